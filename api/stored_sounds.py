"""The sound of uploaded recordings and of meetings for a process that hears it again."""

import asyncio
import threading
from collections.abc import Collection, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from media_gateway.recording import Recording
from pipeline.domain import MeetingId, RecordingId, Samples, TrackId
from pipeline.errors import NotFound, UnreadableMedia
from pipeline.leased import LeasedWork, Stopping
from pipeline.ports import ObjectStore
from pipeline.store.stored_audio import open_sound
from pipeline.store.uploads import upload_key

_LOOK = 0.2
"""Seconds after which a waiting thread looks whether its process stops."""
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class FetchedSound:
    """A ``RecordedSound`` in an unnamed file, which is gone with it."""

    recording: Recording
    file: BinaryIO

    @property
    def duration(self) -> float | None:
        return self.recording.duration

    def pieces(self, seconds: float) -> Iterator[Samples]:
        return self.recording.pieces(seconds)

    def __del__(self) -> None:
        self.file.close()


@dataclass(frozen=True, slots=True)
class StoredSounds:
    """The ``Sounds`` of uploads in an object store (``SharedUploads``), fetched whole for whoever transcribes them.

    Called in threads while ``loop`` runs. Raises ``Stopping`` once ``stopping`` is set, and ``StorageFailed``.
    """

    objects: ObjectStore
    loop: asyncio.AbstractEventLoop
    stopping: threading.Event

    def open(self, recording: RecordingId) -> FetchedSound:
        try:
            file = self._wait(self.objects.open(upload_key(recording)))
        except NotFound as error:
            raise UnreadableMedia("the recording is not there any more: upload it again") from error
        try:
            return _fetched(file, "the recording")
        except BaseException:
            file.close()
            raise

    def remove(self, recording: RecordingId) -> None:
        self._wait(self.objects.delete_prefix(upload_key(recording)))

    def remove_others(self, kept: Collection[RecordingId]) -> None:
        """Others may be receiving what nobody here knows."""

    def _wait(self, work: Coroutine[object, object, Answer]) -> Answer:
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        while True:
            try:
                return future.result(_LOOK)
            except TimeoutError:
                if future.done():
                    raise
            if self.stopping.is_set():
                future.cancel()
                raise Stopping


@dataclass(frozen=True, slots=True)
class KeptTracks:
    """The ``KeptSounds`` of meetings in an object store, fetched whole."""

    objects: ObjectStore
    work: LeasedWork

    def open(self, meeting: MeetingId, track: TrackId) -> FetchedSound:
        file = self.work.wait(open_sound(self.objects, meeting, track))
        try:
            return _fetched(file, "the kept sound")
        except BaseException:
            file.close()
            raise


def _fetched(file: BinaryIO, name: str) -> FetchedSound:
    """FFmpeg is given paths only: one by which the open file is read from its beginning (proc_pid_fd(5))."""
    path = Path(f"/proc/self/fd/{file.fileno()}")
    return FetchedSound(Recording.measure(path if path.exists() else Path(str(file.name)), name), file)
