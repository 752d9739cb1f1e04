"""The events of one meeting from its owner to all readers of all processes."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from pipeline.bus.feed import UNKEYED, CaptionFeed
from pipeline.bus.redis import keys
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.events import field_of, history_of
from pipeline.bus.redis.line import Answer, Command, Word
from pipeline.bus.redis.scripts import OPEN, PUBLISH
from pipeline.domain import MeetingId
from pipeline.errors import Superseded
from pipeline.export.event import Event, Reading

_STREAM_LENGTH = 500
_WAITING = 2000
_AT_ONCE = 500
_LOOK_AGAIN = 0.25
_RENEW_EVERY = 3600.0
_REPUBLISH_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class _Flight:
    """On its way: the whole history or not, up to which number, how many fields go, whether all lives longer."""

    whole: bool = False
    newest: int = 0
    gone: int = 0
    renewed: bool = False


class PublishedFeed:
    """An ``EventFeed`` of the holder of the meeting's lease, whose events reach Redis in the order of their numbers.

    They are written by one script that looks at the lease: where it is another's, or another has written since,
    nothing is written and ``superseded`` is set. While nobody holds the lease nothing is written either; what waits is
    written once ``holder`` holds it again.

    Drop rule: while Redis is away 2,000 events wait; with one more the whole history takes their place, which has the
    newest event of each key and the newest 200 without. It is written, too, when Redis has lost some of it.
    """

    def __init__(self, bus: RedisBus, meeting: MeetingId, holder: str, feed: CaptionFeed, first: int | None) -> None:
        """See ``open``; ``first`` of a history that Redis has."""
        self.superseded = asyncio.Event()
        self.restored = first is not None
        """Whether Redis held the history of the meeting, and the numbers go on after it."""
        self._bus = bus
        self._keys = [keys.of_meeting(meeting, what) for what in ("lease", "captions", "history")]
        self._holder = holder
        self._feed = feed
        self._first = feed.newest + 1 if first is None else first
        self._written = 0
        self._waiting: deque[tuple[int, str, str]] = deque()
        self._unkeyed = deque(reading.sequence for key, reading in feed.kept() if key is None)
        self._gone: deque[int] = deque()
        self._begins = first is None
        self._whole = False
        self._flight = _Flight()
        self._changed = asyncio.Event()
        self._renew_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._done = False
        self._content = bus.content
        self._cancel = bus.on_return(self._returned)

    @classmethod
    async def open(
        cls,
        bus: RedisBus,
        meeting: MeetingId,
        holder: str,
        reserved_first: int,
        observe: Callable[[Event], None] | None = None,
    ) -> "PublishedFeed":
        """For whoever holds the lease. Raises ``BusFailed``; ``Superseded`` where ``holder`` does not hold it.

        Goes on after the newest number in Redis; at ``reserved_first``, which nobody has had before, where there is
        none, or Redis was restarted since an owner wrote there, and may have forgotten numbers that readers know.
        """
        names = [keys.of_meeting(meeting, what) for what in ("lease", "captions", "history")]
        answer = await bus.run(OPEN, names, [holder])
        if answer is None:
            raise Superseded("another worker captions the meeting")
        newest, pairs = answer
        history = history_of(pairs)
        if history is None:
            published = cls(bus, meeting, holder, CaptionFeed(max(reserved_first, newest + 1), observe), None)
        else:
            feed = CaptionFeed(history.first, observe)
            for number, key, text in history.events:
                feed.take(number, text, key)
            feed.go_on_at(newest + 1 if history.content == bus.content else max(newest + 1, reserved_first))
            if observe is not None:  # whoever counts begins with the event of the meeting
                for reading in sorted(feed.history(), key=lambda reading: reading.event["type"] == "meeting"):
                    observe(reading.event)
            published = cls(bus, meeting, holder, feed, history.first)
        published._written = newest
        return published

    @property
    def newest(self) -> int:
        return self._feed.newest

    @property
    def readers(self) -> int:
        return self._feed.readers

    def publish(self, event: Event, key: str | None = None) -> int:
        number = self._feed.publish(event, key)
        if not number or self.superseded.is_set():
            return number
        self._waiting.append((number, field_of(number, key), self._feed.history(number - 1)[-1].text))
        if key is None:
            self._unkeyed.append(number)
            if len(self._unkeyed) > UNKEYED:
                self._gone.append(self._unkeyed.popleft())
        if len(self._waiting) > _WAITING:
            self._whole = True
            self._waiting.clear()
        self._wake()
        return number

    def read(self, after: int | None, *, present: bool = True) -> AsyncGenerator[list[Reading], None]:
        return self._feed.read(after, present=present)

    def history(self, after: int | None = None) -> list[Reading]:
        return self._feed.history(after)

    def close(self) -> None:
        """The meeting is over: readers here end. What waits is still written; mirrors end by the event ``ended``."""
        self._feed.close()

    async def flush(self) -> None:
        """Returns once everything published is in Redis, or ``superseded`` is set."""
        number = self.newest
        while self._owes(number) and not self.superseded.is_set() and not self._done:
            changed = self._changed
            self._wake()
            await changed.wait()

    async def republish(self) -> None:
        """The whole history again, with its numbers: Redis has been emptied, and ``holder`` has its lease again.

        Waits for it for 5 s: whoever is told of Redis's return must not hold up the others.
        """
        self._whole = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_REPUBLISH_WITHIN):
                await self.flush()

    async def close_pump(self) -> None:
        """Nothing more is written."""
        self._done = True
        self._cancel()
        self._bus.captions.forget(self)
        if self._timer is not None:
            self._timer.cancel()
        self._tell()

    # --- what the pump asks ------------------------------------------------------------------------------------

    def commands(self) -> Sequence[Command]:
        if self._done or self.superseded.is_set() or not self._more:
            return ()
        whole, self._whole = self._whole, False
        events = self._all() if whole else list(islice(self._waiting, _AT_ONCE))
        anew = whole or self._begins
        renewed = anew or time.monotonic() >= self._renew_at
        self._flight = _Flight(whole, events[-1][0] if events else self._written, len(self._gone), renewed)
        arguments: list[Word] = [self._holder, self._bus.content, self._first, int(anew), self._written]
        arguments += [_STREAM_LENGTH, keys.SECONDS_KEPT if renewed else 0, len(self._gone)]
        arguments += [field_of(number, None) for number in self._gone]
        for event in events:
            arguments += event
        return [("EVALSHA", PUBLISH.sha, 3, *self._keys, *arguments)]

    def answered(self, answers: Sequence[Answer]) -> bool:
        if not answers:
            return False
        flight, self._flight = self._flight, _Flight()
        answer = answers[0]
        if answer == b"done":
            self._take_done(flight)
        elif answer in {b"unheld", b"behind"}:
            self._whole |= flight.whole or answer == b"behind"
        else:
            self.superseded.set()
            self._waiting.clear()
        self._tell()
        if answer == b"unheld":
            self._look_again()
            return False
        return self._more and not self.superseded.is_set()

    def unanswered(self) -> None:
        """What flew may be written: the script leaves out numbers that are there."""
        self._whole |= self._flight.whole
        self._flight = _Flight()

    def _take_done(self, flight: "_Flight") -> None:
        self._written, self._begins = flight.newest, False
        while self._waiting and self._waiting[0][0] <= flight.newest:
            self._waiting.popleft()
        for _ in range(flight.gone):
            self._gone.popleft()
        if flight.renewed:
            self._renew_at = time.monotonic() + _RENEW_EVERY

    async def _returned(self) -> None:
        """Redis was restarted or emptied: it may have forgotten."""
        if self._content != self._bus.content:
            self._content, self._whole = self._bus.content, True
            self._wake()

    def _all(self) -> list[tuple[int, str, str]]:
        """The history, and what waits, where newer events of its keys have followed it already."""
        events = {one.sequence: (one.sequence, field_of(one.sequence, key), one.text) for key, one in self._feed.kept()}
        events |= {event[0]: event for event in self._waiting}
        return [events[number] for number in sorted(events)]

    @property
    def _more(self) -> bool:
        return bool(self._waiting or self._begins or self._whole)

    def _owes(self, number: int) -> bool:
        waiting = bool(self._waiting and self._waiting[0][0] <= number)
        return waiting or self._begins or self._whole or self._flight.whole

    def _look_again(self) -> None:
        """Nobody holds the lease."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_LOOK_AGAIN, self._wake)

    def _wake(self) -> None:
        if not self._done:
            self._bus.captions.wake(self)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
