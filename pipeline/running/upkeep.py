"""What goes on beside the session of a running meeting: looking at it, keeping what was said, telling of trouble."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.domain import Gap, TrackId
from pipeline.export.event import seconds
from pipeline.ports import OwnedMeetingStore
from pipeline.running.keeping import Keeping
from pipeline.running.notices import Watch
from pipeline.running.telling import Telling
from pipeline.running.voices import Voices
from pipeline.session import Session

_BEAT = 0.4
"""Committed words are durable within a second: at most one beat and one write after they were shown."""
RESERVED = 10_000
"""Numbers of events asked of the store at once."""


@dataclass(slots=True)
class Upkeep:
    """``reserved_until`` is the number after the last one that the feed may give out. ``needed``: see the meeting's."""

    now: Callable[[], float]
    shelf: OwnedMeetingStore
    keeping: Keeping
    telling: Telling
    voices: Voices
    reserved_until: int
    needed: Mapping[TrackId, float] = field(default_factory=dict)
    _watch: Watch = field(default_factory=Watch)
    _told_not_kept: bool = False

    async def beat(self, session: Session) -> None:
        while True:
            await asyncio.sleep(_BEAT)
            now = self.now()
            await self.voices.look(now)
            for code in self._watch.look(now, session.core.behind(now), session.failing):
                self.telling.notice(code)

    async def keep(self, session: Session) -> None:
        while True:
            await asyncio.sleep(_BEAT)
            settled = await session.settled()
            if await self.keeping.flush():
                self.needed = {track: _further(self.needed.get(track, 0.0), at) for track, at in settled.items()}
            if self.keeping.failing is not self._told_not_kept:
                self._told_not_kept = self.keeping.failing
                self.telling.notice("not_kept" if self._told_not_kept else "kept")
            if self.reserved_until - self.telling.feed.newest < RESERVED // 2:
                await self.keeping.do(self._reserve)

    async def keep_the_rest(self) -> None:
        """What the store refused is tried until it is kept: a disk may stay full for a night."""
        while self.keeping.waiting:
            await asyncio.sleep(_BEAT)
            await self.keeping.flush()

    def lost(self, gap: Gap) -> None:
        if self._watch.tells_loss(gap.track, self.now()):
            named = self.telling.named(gap.participant.id)
            self.telling.notice("sound_lost", **named, at=seconds(gap.start), end=seconds(gap.end))

    async def _reserve(self) -> None:
        """More numbers, in one row with those reserved before: only this process takes them."""
        first = await self.shelf.reserve_sequence(RESERVED)
        self.reserved_until = first + RESERVED


def _further(before: float, now: float) -> float:
    """What was needed no longer is gone; but a track that had ended may have begun anew."""
    return now if before == float("inf") else max(before, now)
