"""What a room was shown of its meeting's feed, and what is still to be shown there."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

from media_gateway.sfu import SfuRoom
from pipeline.export.event import Event, Reading
from pipeline.export.live_cues import labels_first
from pipeline.ports import EventFeed
from pipeline.running import LiveMeeting
from pipeline.running.telling import CAPTIONS

_log = logging.getLogger("greffier.room")

_TYPES = {"caption", "voices", "notice"}
HISTORY = 120.0
"""Seconds: finals of speech that ended so long ago are shown where a meeting was captioned by another session."""
AGAIN = 5.0
"""Seconds of captions shown before a connection was lost that are shown again once it stands: until a loss is noticed
they go nowhere."""
_WAITING = 500
_TRIES = 3
_LAST_TRIES = 5
"""After the end of a meeting nobody waits for a room that takes nothing."""
_LONGEST_SHOW = 10.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that pass before showing is tried again: ``first``, then twice as long each time, up to ``longest``."""

    first: float = 0.1
    longest: float = 2.0

    def after(self, failures: int) -> float:
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 16))


@dataclass(slots=True)
class _Due:
    """A reading to show, the newest of its key. ``tries`` failed, ``refusals`` of them while others went."""

    reading: Reading
    tries: int = 0
    refusals: int = 0
    tried_at: int = -1


@dataclass(slots=True)
class Shown:
    """Shows a room the captions, voices and notices of a meeting, one after the other; goes on over stays and sessions.

    Every caption is the whole state of its utterance: a room that is slow is shown the newest state of each, in turn.
    What fails is tried again, as its newest state, until the stay ends; after three times others may go before it, and
    what fails while they go is passed over in the end. At most 500 utterances and notices wait; the oldest are dropped
    then, and counted in the log.
    """

    pace: Pace = field(default_factory=Pace)
    _feed: EventFeed | None = None
    _cursor: int = 0
    _waiting: OrderedDict[object, _Due] = field(default_factory=OrderedDict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: bool = False
    _last: float = 0.0
    _from: float = float("inf")
    _successes: int = 0

    async def follow(self, running: LiveMeeting, room: SfuRoom) -> None:
        """Shows until the feed is closed and everything was shown; nothing is raised."""
        self._begin(running)
        listening = asyncio.create_task(self._listen(running.feed, running.feed.newest))
        try:
            await self._show_all(running.feed, room)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def again(self) -> None:
        """Somebody came who may have missed what was shown while the connection was lost, or shortly before."""
        if self._feed is not None and self._from != float("inf"):
            self._wait_for(reading for reading in self._captions(self._feed) if _sent_at(reading) >= self._from)
            self._changed.set()

    def follows(self, running: LiveMeeting) -> bool:
        """Whether an earlier stay showed this session."""
        return running.feed is self._feed

    def renew(self, lost_at: float) -> None:
        """The connection was lost at ``lost_at``, meeting time, and stands again."""
        self._from = lost_at - AGAIN
        self.again()

    # --- what is due ------------------------------------------------------------------------------------------

    def _begin(self, running: LiveMeeting) -> None:
        """A feed that is not known yet begins with its newest part, one that is with what may have been lost."""
        self._ended = False
        if self.follows(running):
            self.renew(self._last)
            return
        self._feed, self._cursor, self._last = running.feed, running.feed.newest, running.now()
        self._from = float("inf")
        self._waiting.clear()
        now = running.now()
        self._wait_for(labels_first(reading for reading in running.feed.history() if _fresh(reading.event, now)))

    def _captions(self, feed: EventFeed) -> list[Reading]:
        return [reading for reading in labels_first(feed.history()) if reading.event["type"] in CAPTIONS]

    def _take_newer(self, feed: EventFeed) -> None:
        if feed.newest > self._cursor:
            newer = feed.history(self._cursor)
            self._cursor = feed.newest
            self._wait_for(labels_first(reading for reading in newer if reading.event["type"] in _TYPES))

    def _wait_for(self, readings: Iterable[Reading]) -> None:
        """A newer state takes the place of an older one in the queue."""
        for reading in readings:
            key = _key(reading)
            if (due := self._waiting.get(key)) is not None:
                due.reading = reading
            else:
                self._waiting[key] = _Due(reading)
        if (many := len(self._waiting) - _WAITING) > 0:
            for key in list(self._waiting)[:many]:
                del self._waiting[key]
            _log.warning("captions.dropped", extra={"number": many})

    async def _listen(self, feed: EventFeed, after: int) -> None:
        async with aclosing(feed.read(after, present=False)) as batches:
            async for _ in batches:
                self._changed.set()
        self._ended = True
        self._changed.set()

    # --- showing ----------------------------------------------------------------------------------------------

    async def _show_all(self, feed: EventFeed, room: SfuRoom) -> None:
        failures = 0
        while not (self._ended and failures > _LAST_TRIES):
            self._changed.clear()
            self._take_newer(feed)
            if not self._waiting:
                if self._ended:
                    return
                await self._changed.wait()
                continue
            key, due = next(iter(self._waiting.items()))
            reading = due.reading
            if await self._show(due, room):
                failures = 0
                if due.reading is reading:
                    self._waiting.pop(key, None)
                continue
            failures += 1
            if due.refusals > _TRIES:
                self._waiting.pop(key, None)
                _log.warning("caption.unshown", extra={"utterance": reading.event.get("utterance")})
            elif due.tries >= _TRIES and key in self._waiting:
                self._waiting.move_to_end(key)
            await asyncio.sleep(self.pace.after(failures))

    async def _show(self, due: _Due, room: SfuRoom) -> bool:
        """Whether it went. Only what fails while others go is at fault itself."""
        reading = due.reading
        try:
            async with asyncio.timeout(_LONGEST_SHOW):
                await room.show(reading.event)
        except Exception as failure:  # noqa: BLE001 - an SFU may raise anything, and the others are shown
            if not due.tries:
                _log.warning("caption.failed", extra={"error": type(failure).__name__})
            due.tries += 1
            due.refusals += due.tried_at not in {-1, self._successes}
            due.tried_at = self._successes
            return False
        due.tries = due.refusals = 0
        self._successes += 1
        self._last = max(self._last, _sent_at(reading))
        return True


def _key(reading: Reading) -> object:
    return reading.event["type"], reading.event.get("utterance", reading.sequence)


def _sent_at(reading: Reading) -> float:
    return cast(float, reading.event["sent_at"])


def _fresh(event: Event, now: float) -> bool:
    """Whether an event of the history is shown to a room that joins: what was just said, and what holds now."""
    fields = cast(dict[str, Any], event)
    if fields["type"] == "voices":
        return bool(fields["sent_at"] >= now - HISTORY)
    if fields["type"] == "notice":
        return bool(fields["at"] >= now - AGAIN)
    if fields["type"] != "caption" or not fields["final"] or not fields["words"]:
        return False
    return bool(fields["words"][-1]["end"] >= now - HISTORY)
