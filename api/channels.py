"""Recognition for others: each channel is a session of its own, of one track, that keeps nothing.

Its windows share batches with those of all meetings. As in moshi-server, whoever connects holds a channel; unlike
there, a channel costs next to nothing while nobody speaks in it, so there are more of them than talkers.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.bus.memory import MemoryAudioBus
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    Caption,
    Gap,
    Participant,
    ParticipantId,
    RecordText,
    Samples,
    Track,
    TrackEvent,
    TrackId,
    TrackOpened,
    Word,
)
from pipeline.edge import TrackEdge
from pipeline.errors import TooMany
from pipeline.running import Equipment
from pipeline.session import Session

_log = logging.getLogger("greffier.channels")

PER_TALKER = 16
"""Channels for each talker that the machine holds: in a meeting most are silent most of the time."""
_MOST_BEHIND = 10.0
"""Seconds of speech that may wait for recognition; while more waits, no more sound is taken."""
TRACK = Track(TrackId("channel"), Participant(ParticipantId("channel"), "channel"))


class Listener(Protocol):
    """Whoever is told what is said in a channel; while it does not return, no more is recognised."""

    async def said(self, word: Word) -> None:
        """The next word, which will not change."""

    async def unheard(self, gap: Gap) -> None:
        """Sound in which nothing could be recognised."""


class Channel:
    """Made by ``Channels.open``. Time is in seconds since the first sample."""

    def __init__(self, equipment: Equipment, listener: Listener) -> None:
        self._listener = listener
        self._edge = TrackEdge(TRACK.id, equipment.new_detector())
        self._bus = MemoryAudioBus(_MOST_BEHIND, lossless=True)
        self._memory = equipment.new_memory()
        self._core = equipment.new_captioner((), ())
        self._core.makes_record = False
        shelf = _NothingKept(listener)
        self._session = Session(
            self._core, equipment.recognizer, self._bus, self._memory, self, shelf, lambda: self._edge.heard_until
        )
        self._samples = 0
        self._told: tuple[str, int] = ("", 0)  # the newest utterance, and how many of its words were told

    @property
    def talking(self) -> int:
        """1 while somebody speaks, or has not been recognised to the end."""
        return self._core.talking

    @property
    def silence(self) -> float:
        """Seconds since somebody may have spoken, or since the beginning."""
        return self._edge.heard_until - self._edge.spoken_until

    async def hear(self, sound: Samples) -> None:
        """Takes what comes next; waits while more than 10 s of speech are not recognised yet."""
        if not len(sound):
            return
        frame = AudioFrame(TRACK.id, self._samples / SAMPLE_RATE, sound)
        self._samples += len(sound)
        await self._send(self._edge.feed(frame))
        if not self._keeps_up():
            await self._session.once(self._keeps_up)

    async def end_speech(self) -> None:
        """Nothing more comes for now: speech that is under way ends here."""
        if self._edge.speaking:
            await self._send(self._edge.close())

    async def captioned(self) -> None:
        """Returns once all words of what was heard were told; speech that is under way must have ended."""
        await self._session.once(lambda: self._bus.empty and not self._core.captioning)

    async def run(self) -> None:
        await self._bus.send(TrackOpened(TRACK, 0.0))
        try:
            await self._session.run()
        finally:
            self._memory.close()

    async def send(self, caption: Caption) -> None:
        """Tells the words of a caption of the session that were not told before."""
        utterance, told = self._told
        if utterance != caption.utterance:
            told = 0
        for word in caption.words[told:]:
            await self._listener.said(word)
        self._told = caption.utterance, len(caption.words)

    def _keeps_up(self) -> bool:
        return self._core.behind(0.0) <= _MOST_BEHIND

    async def _send(self, events: list[TrackEvent]) -> None:
        for event in events:
            await self._bus.send(event)


@dataclass(frozen=True, slots=True)
class _NothingKept:
    """The ``TranscriptStore`` of a channel."""

    listener: Listener

    async def keep_final(self, caption: Caption) -> None:
        del caption

    async def keep_record(self, record: RecordText) -> None:
        del record

    async def keep_gap(self, gap: Gap) -> None:
        await self.listener.unheard(gap)


@dataclass(slots=True)
class Channels:
    """The channels of one process, ``most`` at once."""

    equipment: Equipment
    most: int
    refused: int = 0
    _open: set[Channel] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def talking(self) -> int:
        """In how many of them somebody speaks."""
        return sum(channel.talking for channel in self._open)

    @asynccontextmanager
    async def open(self, listener: Listener) -> AsyncIterator[tuple[Channel, "asyncio.Task[None]"]]:
        """A channel, and what runs it, which ends before the channel is left only if it fails.

        Raises ``TooMany``.
        """
        if len(self._open) >= self.most:
            self.refused += 1
            _log.warning("channel.refused", extra={"open": len(self._open)})
            raise TooMany("no free channels")
        channel = Channel(self.equipment, listener)
        self._open.add(channel)
        running = asyncio.create_task(channel.run())
        try:
            yield channel, running
        finally:
            running.cancel()
            await asyncio.wait([running])
            self._open.remove(channel)
            if not running.cancelled() and (failure := running.exception()) is not None:
                _log.error("channel.failed", exc_info=failure)
