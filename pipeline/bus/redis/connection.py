"""One process's way to Redis: connections, a clock that all share, and word of losses."""

from collections.abc import Awaitable, Callable

from pipeline.bus.redis.reader import StreamReader


class RedisBus:
    """One per process. Whatever fails raises ``BusFailed``."""

    process: str
    """Its name in the keys of Redis, as ``gateway-1a2b3c4d``."""
    reader: StreamReader

    @classmethod
    async def open(cls, url: str, process: str) -> "RedisBus":
        """Raises ``InvalidSetting`` for a URL that is none, ``BusFailed`` when it cannot be reached within 5 s."""
        raise NotImplementedError

    def wall(self) -> float:
        """Redis's time in seconds since 1970: the clocks of machines do not matter."""
        raise NotImplementedError

    @property
    def reachable(self) -> bool:
        """Whether Redis answered within the last 2 s."""
        raise NotImplementedError

    def on_return(self, act: Callable[[], Awaitable[None]]) -> Callable[[], None]:
        """``act`` is called once each time Redis is back after a loss, with its content or without, and when it has
        been emptied. Gives back how to cancel that."""
        raise NotImplementedError

    async def ping(self) -> None:
        """Raises ``BusFailed``."""
        raise NotImplementedError

    async def close(self) -> None:
        """In order: whatever waits is written (2 s at most), then nothing more is read."""
        raise NotImplementedError
