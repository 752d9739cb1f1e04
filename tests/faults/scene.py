"""One meeting of a fleet: somebody talks, somebody reads, something breaks, and what came of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from pipeline.domain import Samples
from tests.faults.fleet import PREFIX, WAIT, Fleet, Machine
from tests.faults.reader import Reader, reading
from tests.faults.talker import Talker, WhipTalker

_LOOK = 0.1


@dataclass(slots=True)
class Stream:
    """What the meeting's caption stream held, by number; ``doubled`` are numbers that were given to two events."""

    fleet: Fleet
    meeting: str
    events: dict[int, bytes] = field(default_factory=dict)
    doubled: list[int] = field(default_factory=list)

    async def watch(self) -> None:
        """For ever; Redis may go and come."""
        async with redis.asyncio.Redis.from_url(self.fleet.store.url, socket_timeout=2) as client:
            while True:
                with suppress(RedisError, OSError):
                    await self.look(client)
                await asyncio.sleep(_LOOK)

    async def look(self, client: "redis.asyncio.Redis") -> None:
        for entry, fields in await client.xrange(f"{PREFIX}{{{self.meeting}}}:captions"):
            number = int(entry.partition(b"-")[0])
            if self.events.setdefault(number, fields[b"e"]) != fields[b"e"]:
                self.doubled.append(number)

    @property
    def holes(self) -> list[int]:
        return [number for number in range(min(self.events), max(self.events)) if number not in self.events]


@dataclass(slots=True)
class Scene:
    """A meeting that goes on."""

    fleet: Fleet
    meeting: str
    talker: Talker | WhipTalker
    reader: Reader
    stream: Stream
    talking: "asyncio.Task[None]"
    transcript: dict[str, Any] = field(default_factory=dict)

    @property
    def began(self) -> float:
        """When the talker began, in the time of the meeting."""
        return self.talker.began_at - self.reader.zero

    def now(self) -> float:
        return time.time() - self.reader.zero

    async def owner(self, *, but: Machine | None = None) -> Machine:
        return await asyncio.to_thread(self.fleet.owner, self.meeting, but=but)

    async def goes_on(self, since: float, *, wait: float = WAIT) -> float:
        """Waits for committed words that were said after the monotonic time ``since``; how long after it they came.

        Raises ``TimeoutError`` where none came within ``wait`` seconds.
        """
        said = since - time.monotonic() + self.now()
        event = await self.reader.until(
            lambda event: event["type"] == "caption" and any(word["end"] > said for word in event["words"]),
            after=since,
            wait=wait,
        )
        at = next(at for at, one in self.reader.events if one is event)
        return at - since

    async def said(self) -> None:
        await self.talking

    async def end(self) -> None:
        """The meeting is over, every reader knows, and the record is written."""
        await self.said()
        answer = await asyncio.to_thread(self.fleet.ask, "POST", f"/api/v1/meetings/{self.meeting}/end")
        assert answer.is_success, answer.text
        await self.reader.until(lambda event: event.get("state") == "ended")
        self.transcript = await self.recorded()

    async def recorded(self) -> dict[str, Any]:
        """The transcript once all of it was heard a second time, or nobody is left who would: where sound was lost."""
        address = f"/api/v1/meetings/{self.meeting}/transcript.json"
        until = time.monotonic() + WAIT
        while True:
            left = await asyncio.to_thread(self.fleet.holder, self.meeting) is None
            answer = await asyncio.to_thread(self.fleet.ask, "GET", address)
            assert answer.is_success, answer.text
            transcript: dict[str, Any] = answer.json()
            heard_again = all(segment["origin"] == "record" for segment in transcript["segments"])
            if heard_again or left or time.monotonic() > until:
                return transcript
            await asyncio.sleep(0.2)


@asynccontextmanager
async def scene(
    fleet: Fleet,
    sound: Samples,
    *,
    gateways: Sequence[Machine] = (),
    apis: Sequence[Machine] = (),
    whip: bool = False,
    watched: bool = True,
    title: str = "",
) -> AsyncIterator[Scene]:
    """Somebody says ``sound`` at the first of ``gateways``, somebody reads at the first of ``apis``.

    The meeting's stream is looked at where it is ``watched``.
    """
    made = await asyncio.to_thread(
        fleet.ask, "POST", "/api/v1/meetings", json={"title": title or "Fault", "languages": ["en"]}
    )
    assert made.is_success, made.text
    meeting = made.json()["id"]
    publish, read = [await _token(fleet, meeting, mode) for mode in ("publish", "read")]
    doors = [machine.sockets for machine in gateways or fleet.gateways]
    talker = (WhipTalker if whip else Talker)(doors, meeting, publish, sound)
    reader = Reader([machine.sockets for machine in apis or fleet.apis], meeting, read)
    stream = Stream(fleet, meeting)
    async with reading(reader):
        tasks = [asyncio.create_task(talker.talk())]
        tasks += [asyncio.create_task(stream.watch())] if watched else []
        try:
            yield Scene(fleet, meeting, talker, reader, stream, tasks[0])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _token(fleet: Fleet, meeting: str, mode: str) -> str:
    path = f"/api/v1/meetings/{meeting}/participants"
    answer = await asyncio.to_thread(
        fleet.ask, "POST", path, json={"name": "Anne" if mode == "publish" else "Bob", "mode": mode}
    )
    assert answer.is_success, answer.text
    token: str = answer.json()["token"]
    return token
