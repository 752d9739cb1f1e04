"""Leases inside one process: who may do what, until when."""

import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field

Board = MutableMapping[str, tuple[object, float]]
"""Who holds each key, and until when."""


@dataclass(slots=True, eq=False)
class MemoryLeases:
    """``Leases`` of one holder; those who share a ``board`` keep each other out. ``now``: steady seconds."""

    board: Board = field(default_factory=dict)
    now: Callable[[], float] = time.monotonic

    async def acquire(self, key: str, seconds: float) -> bool:
        holder, until = self.board.get(key, (self, 0.0))
        if holder is not self and until > self.now():
            return False
        self.board[key] = (self, self.now() + seconds)
        return True

    async def renew(self, key: str, seconds: float) -> bool:
        return self._holds(key) and await self.acquire(key, seconds)

    async def release(self, key: str) -> None:
        if self.board.get(key, (None, 0.0))[0] is self:
            del self.board[key]

    def _holds(self, key: str) -> bool:
        holder, until = self.board.get(key, (None, 0.0))
        return holder is self and until > self.now()
