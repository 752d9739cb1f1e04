"""The events of one meeting, kept with their history, for any number of readers in one event loop."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator

from pipeline.export.event import Event, Reading

__all__ = ["CaptionFeed", "Event", "Reading"]

UNKEYED = 200
"""How many events without key are kept."""


class CaptionFeed:
    """An ``EventFeed``: numbers events, writes each as JSON once, and wakes all readers together.

    Readers hold a cursor and nothing else, so a slow one costs nothing. Drop rule: events of one key (captions of an
    utterance, each with all its words) replace one another, so a slow reader gets the newest state of each utterance
    and never misses a final. Of events without key (notices, participants, the meeting's state) the newest
    200 are kept. Captions are kept as long as the feed, which is the meeting.

    Numbers after a restart: the new feed starts at a number that the store has never given out (``first``) and its
    maker publishes all finals of the store again, so they get new numbers. A reader that comes back with a number of
    the former process is older than all of them and gets everything again; utterances are the same by their ids.
    A number that the feed has not reached is unknown, and gets everything too.
    """

    def __init__(self, first: int = 1, observe: Callable[[Event], None] | None = None) -> None:
        """``observe`` is told every event, for whoever counts them."""
        self._observe = observe
        self._first = first
        self._next = first
        self._history: dict[str | int, Reading] = {}
        self._unkeyed: deque[int] = deque()
        self._changed = asyncio.Event()
        self._closed = False
        self._readers = 0
        self._batch: tuple[int, int, list[Reading]] = (0, 0, [])

    @property
    def newest(self) -> int:
        """The number of the newest event; one less than ``first`` when there was none."""
        return self._next - 1

    @property
    def readers(self) -> int:
        return self._readers

    def publish(self, event: Event, key: str | None = None) -> int:
        """Stamps ``sequence``, which it gives back. What comes after ``close`` reaches nobody and has no number: 0."""
        if self._closed:
            return 0
        number = self._next
        self._next += 1
        stamped = {"type": event.get("type"), "sequence": number} | event | {"sequence": number}
        text = json.dumps(stamped, ensure_ascii=False, separators=(",", ":"))
        self._keep(Reading(number, stamped, text), key)
        if self._observe is not None:
            self._observe(stamped)
        return number

    def take(self, number: int, event: str | Event, key: str | None = None) -> Event | None:
        """An event that somebody else has numbered, as JSON or stamped; None for one that is not newer than the others.

        Numbers may be left out. After ``close`` nothing is taken.
        """
        if self._closed or number < self._next:
            return None
        self._next = number + 1
        text = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        stamped: Event = json.loads(event) if isinstance(event, str) else event
        self._keep(Reading(number, stamped, text), key)
        return stamped

    def begin_at(self, first: int) -> None:
        """Numbers before ``first`` are a former process's from now on: whoever comes with one gets everything."""
        self._first = first
        self._next = max(self._next, first)

    def go_on_at(self, number: int) -> None:
        """The next event has ``number``, where it would have a smaller one."""
        self._next = max(self._next, number)

    def kept(self) -> list[tuple[str | None, Reading]]:
        """All events that are kept, with their keys, in the order of their numbers."""
        return [(key if isinstance(key, str) else None, reading) for key, reading in self._history.items()]

    async def read(self, after: int | None, *, present: bool = True) -> AsyncGenerator[list[Reading], None]:
        """Batches of what is newer than ``after``, oldest first; everything kept where that is None or unknown.

        Ends when the feed is closed and everything was read. Where ``present`` is False nobody is behind it for whom
        an empty meeting should go on (a writer of files): it does not count among the ``readers``.
        """
        cursor = after if after is not None and self._first <= after < self._next else self._first - 1
        self._readers += present
        try:
            while True:
                changed = self._changed
                if batch := self._newer(cursor):
                    cursor = batch[-1].sequence
                    yield batch
                elif self._closed:
                    return
                else:
                    await changed.wait()
        finally:
            self._readers -= present

    def history(self, after: int | None = None) -> list[Reading]:
        """What ``read`` would give at once."""
        known = after is not None and self._first <= after < self._next
        return self._newer(after if known and after is not None else self._first - 1)

    def close(self) -> None:
        """The meeting is over; readers get what they have not read, and end."""
        self._closed = True
        self._wake()

    def _newer(self, cursor: int) -> list[Reading]:
        """Events after ``cursor``, in time that grows with their number; readers at one cursor share the list."""
        if cursor == self.newest:
            return []
        if self._batch[:2] != (cursor, self.newest):
            self._batch = (cursor, self.newest, list(self._backwards(cursor))[::-1])
        return self._batch[2]

    def _backwards(self, cursor: int) -> Iterator[Reading]:
        for reading in reversed(self._history.values()):
            if reading.sequence <= cursor:
                return
            yield reading

    def _keep(self, reading: Reading, key: str | None) -> None:
        if key is None:
            self._make_room(reading.sequence)
        else:
            self._history.pop(key, None)
        self._history[reading.sequence if key is None else key] = reading
        self._wake()

    def _make_room(self, number: int) -> None:
        self._unkeyed.append(number)
        if len(self._unkeyed) > UNKEYED:
            del self._history[self._unkeyed.popleft()]

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
