"""The sound of a meeting on its way to an object store, where it is found even if this process is killed."""

import asyncio
import contextlib
import itertools
import logging
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from pipeline.domain import AudioFrame, MeetingId, TrackId
from pipeline.errors import GreffierError, NotFound
from pipeline.ports import ObjectStore
from pipeline.store.audio import MeetingAudio, audio_key, meeting_prefix

_log = logging.getLogger("greffier.audio")

_AT_THE_END = 20.0
"""Seconds that all whole files may take to get there; the parts of those that do not stay in their place."""


def _parts(key: str) -> str:
    """The folder of what is there of a file before it is whole: its bytes in order, as ``00000``, ``00001`` ..."""
    return f"{key}.parts"


@dataclass(slots=True)
class _Growing:
    """The file of one track, without a name here: nothing of it stays when this process is killed."""

    key: str
    file: BinaryIO
    sent: int = 0
    parts: int = 0

    def news(self) -> bytes:
        """What was written since ``sent``; in a thread, while another one writes."""
        return os.pread(self.file.fileno(), os.fstat(self.file.fileno()).st_size - self.sent, self.sent)


@dataclass(slots=True)
class StoredAudio:
    """An ``AudioKeeper`` that keeps the tracks of a meeting in an object store.

    Each track is encoded into a file here, and what it grew by is sent every ``every`` seconds; the whole file takes
    the place of these parts when the meeting ends. An object store that fails is tried again with the next part, and
    captions never wait for it. ``is_kept`` says whether the meeting still is: the sound of a deleted one is removed.
    """

    objects: ObjectStore
    meeting: MeetingId
    is_kept: Callable[[], Awaitable[bool]]
    every: float = 30.0
    _growing: dict[TrackId, _Growing] = field(default_factory=dict)
    _here: MeetingAudio = field(init=False)
    _sending: "asyncio.Task[None] | None" = None

    def __post_init__(self) -> None:
        self._here = MeetingAudio(self._begin)

    def write(self, frame: AudioFrame) -> None:
        """Never waits and never raises."""
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_on())
        self._here.write(frame)

    async def close(self) -> None:
        """Everything is in the object store when this returns, unless that failed."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])
        await self._here.close()
        try:
            await self._send()
            async with asyncio.timeout(_AT_THE_END):
                await asyncio.gather(*(self._finish(each) for each in self._growing.values()))
        except (GreffierError, TimeoutError) as error:
            self._failed(error)
        finally:
            for each in self._growing.values():
                each.file.close()
        await self._remove_deleted()

    def _begin(self, track: TrackId) -> BinaryIO:
        # Unbuffered, so that what is written can be read by its number; closed with the others.
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as its track
        self._growing[track] = _Growing(audio_key(self.meeting, track), file)
        return file

    async def _send_on(self) -> None:
        while True:
            await asyncio.sleep(self.every)
            try:
                await self._send()
            except GreffierError as error:
                self._failed(error)

    async def _send(self) -> None:
        for each in tuple(self._growing.values()):
            if news := await asyncio.to_thread(each.news):
                await self.objects.put(f"{_parts(each.key)}/{each.parts:05d}", news)
                each.sent += len(news)
                each.parts += 1

    async def _finish(self, each: _Growing) -> None:
        each.file.seek(0)
        await self.objects.put(each.key, each.file)
        await self.objects.delete_prefix(_parts(each.key))

    async def _remove_deleted(self) -> None:
        """After all else is there: whoever deleted the meeting meanwhile may have found less."""
        try:
            if self._growing and not await self.is_kept():
                await self.objects.delete_prefix(meeting_prefix(self.meeting))
        except GreffierError as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        _log.warning("audio.not_sent", extra={"meeting": self.meeting, "error": type(error).__name__})


async def open_sound(objects: ObjectStore, meeting: MeetingId, track: TrackId) -> BinaryIO:
    """The kept sound of a track as Ogg Opus, as far as it is kept. Raises ``NotFound``, ``StorageFailed``."""
    key = audio_key(meeting, track)
    with contextlib.suppress(NotFound):
        return await objects.open(key)
    joined = await asyncio.to_thread(tempfile.TemporaryFile)
    try:
        for number in itertools.count():
            try:
                part = await objects.open(f"{_parts(key)}/{number:05d}")
            except NotFound:
                break
            with part:
                await asyncio.to_thread(shutil.copyfileobj, part, joined)
        with contextlib.suppress(NotFound):  # the whole took the place of its parts just now
            whole = await objects.open(key)
            joined.close()
            return whole
        if not joined.tell():
            raise NotFound("no sound of this track is kept")
        joined.seek(0)
    except BaseException:
        joined.close()
        raise
    return joined
