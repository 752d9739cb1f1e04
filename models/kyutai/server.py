"""One moshi-server as this process knows it: its slots, whether it is healthy, and what befell it."""

import asyncio
import logging
import random
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_log = logging.getLogger("greffier.kyutai")

_MOST_FAILURES = 2
_TOLD = 60.0
"""Seconds in which it is said once that a server is full."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """``slots`` of each server of ``urls``; ``delay`` of its model. Times are seconds.

    connecting: until the model of a server must say that it is ready. full: how long a server counts as full that has
    said so. stalled: without an answer to what was sent, a server hangs. alive: without sound, until a sign of life.
    rotated: of a connection's sound, after which the next pause takes a new one; longest: after which no pause is
    waited for (models are set up for 40,960 steps, 54 minutes). probed: between two looks at a server with which nobody
    speaks. rested: before the first look at one that failed, then twice as long each time, until longest_rest.
    """

    urls: tuple[str, ...]
    key: str = field(repr=False)
    slots: int = 64
    delay: float = 0.5
    connecting: float = 0.6
    full: float = 0.5
    stalled: float = 3.0
    alive: float = 30.0
    rotated: float = 1200.0
    longest: float = 2400.0
    probed: float = 5.0
    rested: float = 1.0
    longest_rest: float = 30.0


@dataclass(slots=True, eq=False)
class KyutaiServer:
    """``used`` slots are this process's; others may use more. Counts are since the process began.

    The circuit breaker: two failures in a row, to connect or to answer, and nobody is sent there until a look at it
    finds it well; looks come at growing intervals, never all at once. One that says that it is full is well.
    """

    url: str
    settings: ServerSettings
    used: int = 0
    refused: int = 0
    failed: int = 0
    lost: int = 0
    rotated: int = 0
    suspected: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody should look at it now."""
    _failures: int = 0
    _full_until: float = float("-inf")

    @property
    def name(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def slots(self) -> int:
        return self.settings.slots

    @property
    def healthy(self) -> bool:
        return self._failures < _MOST_FAILURES

    def has_room(self, now: float) -> bool:
        return self.healthy and self.used < self.slots and now >= self._full_until

    @property
    def burden(self) -> tuple[bool, float]:
        """Smallest first: servers that just failed come last, then those with most of their slots in use."""
        return self._failures > 0, self.used / self.slots

    @property
    def rest(self) -> float:
        """Seconds until the next look at it."""
        if self.healthy:
            longest = self.settings.probed
        else:
            doubled = self.settings.rested * 2.0 ** min(30, self._failures - _MOST_FAILURES)
            longest = min(self.settings.longest_rest, doubled)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - so that processes do not come all at once

    def works(self) -> None:
        if not self.healthy:
            _log.info("kyutai.back", extra={"server": self.name})
        self._failures = 0

    def fails(self, error: Exception, *, looking: bool = False) -> None:
        """``looking``: it was only looked at. Talkers who had begun to connect do not make its rest longer."""
        self.failed += not looking
        if self.healthy or looking:
            self._failures += 1
            if self._failures == _MOST_FAILURES:
                _log.warning("kyutai.away", extra={"server": self.name, "error": str(error)})
        self.suspected.set()

    def is_full(self, now: float) -> None:
        self.works()
        self.refused += 1
        if now > self._full_until + _TOLD:
            _log.info("kyutai.full", extra={"server": self.name, "used": self.used})
        self._full_until = now + self.settings.full
