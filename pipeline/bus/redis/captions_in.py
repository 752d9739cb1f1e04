"""The events of one meeting in processes that do not caption it."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Sequence

from pipeline.bus.feed import CaptionFeed
from pipeline.bus.redis import keys
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.events import history_of
from pipeline.bus.redis.reader import Entry, Stop
from pipeline.bus.redis.scripts import TELL
from pipeline.domain import MeetingId, ParticipantId
from pipeline.errors import BusFailed
from pipeline.export.event import Event, Reading

_HELD = 2000
_SOON, _LATE = 0.1, 1.0


class MirroredFeed:
    """An ``EventFeed`` with the numbers of the owner's.

    Where a number is left out, the stream was trimmed or the owner began anew: the history is read again meanwhile, and
    the newest 2,000 entries wait for it. One that is older than what is known is ignored.
    """

    def __init__(self, bus: RedisBus, meeting: MeetingId) -> None:
        """See ``open``."""
        self.title = ""
        self.paused = False
        self.ended = False
        self.people: dict[ParticipantId, tuple[str, bool]] = {}
        """Name, and whether they are there."""
        self._bus = bus
        self._captions = keys.of_meeting(meeting, "captions")
        self._history = keys.of_meeting(meeting, "history")
        self._feed = CaptionFeed()
        self._held: deque[Entry] = deque(maxlen=_HELD)
        self._loading: asyncio.Task[None] | None = None
        self._stop: Stop | None = None

    @classmethod
    async def open(cls, bus: RedisBus, meeting: MeetingId) -> "MirroredFeed":
        """With what Redis holds of it, which may be nothing yet. Raises ``BusFailed``."""
        mirror = cls(bus, meeting)
        await mirror._load()
        mirror._stop = await bus.reader.follow(mirror._captions, str(mirror.newest), mirror._come)
        return mirror

    @property
    def newest(self) -> int:
        return self._feed.newest

    @property
    def readers(self) -> int:
        return self._feed.readers

    def publish(self, event: Event, key: str | None = None) -> int:
        """Raises ``RuntimeError``: a mirror only shows."""
        raise RuntimeError("only the owner of a meeting publishes its events")

    def read(self, after: int | None, *, present: bool = True) -> AsyncGenerator[list[Reading], None]:
        return self._feed.read(after, present=present)

    def history(self, after: int | None = None) -> list[Reading]:
        return self._feed.history(after)

    def close(self) -> None:
        """Readers end; nothing more is taken. Happens by itself when the meeting has ended."""
        self._feed.close()

    async def stop(self) -> None:
        """``close``, and the stream is followed no longer."""
        self.close()
        if self._stop is not None:
            await self._stop()
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])

    # --- what comes --------------------------------------------------------------------------------------------

    def _come(self, entries: Sequence[Entry]) -> None:
        if self._loading is not None:
            self._held += entries
            return
        for index, entry in enumerate(entries):
            if _number(entry) > self.newest + 1:
                self._held += entries[index:]
                self._loading = asyncio.create_task(self._load_again())
                return
            self._take_entry(entry)

    async def _load_again(self) -> None:
        """What came meanwhile is newer than the history, or in it."""
        pause = _SOON
        while True:
            before = _number(self._held[0])
            try:
                await self._load()
            except BusFailed:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LATE)
                continue
            if _number(self._held[0]) == before:
                break  # else more came than are held
        held, self._held, self._loading = self._held, deque(maxlen=_HELD), None
        for entry in held:
            self._take_entry(entry)

    async def _load(self) -> None:
        """Raises ``BusFailed``."""
        history = history_of(await self._bus.call("HGETALL", self._history))
        if history is None:
            return
        self._feed.begin_at(history.first)
        for number, key, text in history.events:
            self._take(number, key, text)

    def _take_entry(self, entry: Entry) -> None:
        name = entry.fields[b"k"].decode()
        self._take(_number(entry), name[1:] if name.startswith("=") else None, entry.fields[b"e"].decode())

    def _take(self, number: int, key: str | None, text: str) -> None:
        event = self._feed.take(number, text, key)
        if event is None:
            return
        if event["type"] == "meeting":
            self.title = str(event.get("title", self.title))
            self.paused = bool(event.get("paused", self.paused))
            if event.get("state") == "ended":
                self.ended = True
                self._feed.close()
        elif event["type"] == "participant":
            present = bool(event.get("present", event.get("state") != "left"))
            self.people[ParticipantId(str(event["participant"]))] = (str(event.get("speaker", "")), present)


async def tell_unowned(bus: RedisBus, meeting: MeetingId, event: Event, newest_known: int) -> bool:
    """Gives readers ``event`` while nobody captions the meeting; False, and nothing told, when somebody does.

    ``newest_known``: the newest number that the caller's mirror has. Raises ``BusFailed``.
    """
    names = [keys.of_meeting(meeting, what) for what in ("lease", "captions", "history")]
    start = json.dumps({"type": event.get("type")}, ensure_ascii=False, separators=(",", ":"))[:-1] + ',"sequence":'
    rest = {key: value for key, value in event.items() if key not in {"type", "sequence"}}
    end = json.dumps(rest, ensure_ascii=False, separators=(",", ":"))
    told = await bus.run(TELL, names, [newest_known, start, f",{end[1:]}" if rest else "}"])
    return bool(told)


def _number(entry: Entry) -> int:
    return int(entry.id.partition("-")[0])
