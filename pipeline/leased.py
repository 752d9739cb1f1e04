"""Durable work in a thread, by one process of several at a time: whoever works on something holds its lease.

The thread waits for what runs on the event loop of its process, and looks meanwhile whether that process stops.
"""

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from pipeline.errors import BusFailed
from pipeline.ports import Leases

LOOK = 0.2
"""Seconds after which a waiting thread looks whether its process stops."""
LEASE = 30.0
_RENEW = 5.0

Answer = TypeVar("Answer")


class Stopping(Exception):
    """The process stops: the work stays as it is in the store, and is taken up at the next start."""


@dataclass(frozen=True, slots=True)
class LeasedWork:
    """``loop`` is where ``leases`` and all else that is waited for live; ``stopping`` is set when the process stops."""

    leases: Leases
    loop: asyncio.AbstractEventLoop
    stopping: threading.Event = field(default_factory=threading.Event)

    def wait(self, work: Coroutine[object, object, Answer]) -> Answer:
        """The answer of ``work``, which runs on the event loop. Raises ``Stopping`` when the process stops."""
        return self.answer(asyncio.run_coroutine_threadsafe(work, self.loop))

    def answer(self, future: "concurrent.futures.Future[Answer]") -> Answer:
        while not concurrent.futures.wait([future], timeout=LOOK).done:
            self.check()
        return future.result()

    def check(self) -> None:
        if self.stopping.is_set():
            raise Stopping

    @contextmanager
    def holding(self, key: str) -> Iterator[bool]:
        """Whether the lease of ``key`` is ours, which then is held while the block lasts, as long as that can be said.

        It is let go of also when the process stops: another one may go on at once.
        """
        if not self.wait(self.leases.acquire(key, LEASE)):
            yield False
            return
        renewing = asyncio.run_coroutine_threadsafe(self._renew(key), self.loop)
        try:
            yield True
        finally:
            renewing.cancel()
            released = asyncio.run_coroutine_threadsafe(self.leases.release(key), self.loop)
            with suppress(BusFailed, TimeoutError, concurrent.futures.CancelledError):
                released.result(_RENEW)

    def until(self, said: Callable[[], Coroutine[object, object, None]]) -> None:
        """Returns once ``said`` does, and asks again while nobody can be asked (``BusFailed``)."""
        while True:
            self.check()
            try:
                self.wait(said())
                return
            except BusFailed:
                time.sleep(LOOK)

    async def _renew(self, key: str) -> None:
        """Keeps the lease while nothing is written, as when a large file is fetched."""
        while True:
            await asyncio.sleep(_RENEW)
            with suppress(BusFailed):
                await self.leases.renew(key, LEASE)
