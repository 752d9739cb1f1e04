"""The lease of a meeting while a worker captions it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pipeline.errors import BusFailed
from pipeline.ports import Leases

SECONDS = 2.5
_EVERY = 0.5
_WITHOUT = 10.0
"""Seconds for which a worker that cannot reach Redis goes on: nobody else can, where it is Redis that is away."""


@dataclass(slots=True, eq=False)
class HeldLease:
    """Renewed every half second by ``run``, which ends when the meeting is no longer this worker's.

    One that has lapsed is taken again where it is free and ``unclaimed`` says that nobody has claimed the meeting
    meanwhile. ``steady``: seconds that never go back.
    """

    leases: Leases
    key: str
    unclaimed: Callable[[], Awaitable[bool]]
    steady: Callable[[], float]
    away: bool = False
    """Whether Redis could not be reached the last time."""
    _renewed_at: float = field(init=False)
    _renewing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._renewed_at = self.steady()

    async def run(self) -> None:
        while await self.hold():  # noqa: ASYNC110 - a lease is renewed by the clock
            await asyncio.sleep(_EVERY)

    async def hold(self) -> bool:
        """Renews it, or takes it again; False when it is another's, or Redis was away for too long."""
        async with self._renewing:
            try:
                held = await self.leases.renew(self.key, SECONDS) or await self._take_again()
            except BusFailed:
                self.away = True
                return self.steady() - self._renewed_at < _WITHOUT
            self.away = False
            if held:
                self._renewed_at = self.steady()
            return held

    async def release(self) -> None:
        """Where Redis cannot be reached it lapses."""
        try:
            await self.leases.release(self.key)
        except BusFailed:
            return

    async def _take_again(self) -> bool:
        if not await self.leases.acquire(self.key, SECONDS):
            return False
        if await self.unclaimed():
            return True
        await self.release()
        return False
