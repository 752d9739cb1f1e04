"""Somebody who reads captions, as a page does: cut off, it comes back by itself and goes on where it was."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import websockets

Event = dict[str, Any]
AGAIN = 0.25
WAIT = 60.0


@dataclass(slots=True)
class Reader:
    """``events`` in the order in which they came, each with its time; ``connections`` the numbers that came by each.

    ``tried`` is how many times it went to an API: each time to the next.
    """

    apis: Sequence[str]
    meeting: str
    token: str
    events: list[tuple[float, Event]] = field(default_factory=list)
    connections: list[list[int]] = field(default_factory=list)
    tried: int = 0
    ended: bool = False
    zero: float = 0.0
    """When the meeting's time began, in seconds since 1970, by its first snapshot."""
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        """Until the meeting is over."""
        newest: int | None = None
        while not self.ended:
            path = f"/api/v1/meetings/{self.meeting}/captions.ws?token={self.token}"
            address = self.apis[self.tried % len(self.apis)] + path
            self.tried += 1
            place = "" if newest is None else f"&after={newest}"
            with suppress(OSError, websockets.WebSocketException, TimeoutError):
                async with websockets.connect(address + place, proxy=None, open_timeout=5, close_timeout=1) as socket:
                    numbers: list[int] = []
                    self.connections.append(numbers)
                    async for message in socket:
                        event = json.loads(message)
                        newest = event["sequence"]
                        numbers.append(event["sequence"])
                        self._take(event)
            if not self.ended:
                await asyncio.sleep(AGAIN)

    def _take(self, event: Event) -> None:
        now = time.monotonic()
        if event["type"] == "snapshot":
            self.zero = self.zero or time.time() - event["sent_at"]
            self.events += [(now, each) for each in event["events"]]
        else:
            self.events.append((now, event))
        self.ended = event.get("state") == "ended" or self.ended
        came, self._came = self._came, asyncio.Event()
        came.set()

    @property
    def captions(self) -> list[tuple[float, Event]]:
        return [(at, event) for at, event in self.events if event["type"] == "caption"]

    async def until(self, wanted: Callable[[Event], bool], *, after: float = 0.0, wait: float = WAIT) -> Event:
        """The first event that is so, of those that came after the monotonic time ``after``."""
        seen = 0
        async with asyncio.timeout(wait):
            while True:
                came = self._came
                for at, event in self.events[seen:]:
                    if at > after and wanted(event):
                        return event
                seen = len(self.events)
                await came.wait()

    async def mid_sentence(self, *, after: float = 0.0, words: int = 2) -> Event:
        """Until somebody has said some words that will not change, of a sentence that goes on."""
        return await self.until(
            lambda event: event["type"] == "caption" and not event["final"] and len(event["words"]) >= words,
            after=after,
        )


@asynccontextmanager
async def reading(reader: Reader) -> AsyncIterator[Reader]:
    task = asyncio.create_task(reader.read())
    try:
        yield reader
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
