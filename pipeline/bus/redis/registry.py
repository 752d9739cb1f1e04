"""Which processes there are, and what they say of themselves."""

from collections.abc import Callable, Iterable, Mapping

from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.reader import Stop


class Registry:
    """A process that has said nothing for 3 s is gone."""

    @staticmethod
    async def announce(bus: RedisBus, facts: Callable[[], Mapping[str, object]]) -> Stop:
        """Says every second that ``bus.process`` is there, with what ``facts`` gives; ``stop`` says that it is gone."""
        raise NotImplementedError

    @staticmethod
    async def alive(bus: RedisBus, processes: Iterable[str]) -> set[str]:
        """Those of ``processes`` that are there. Raises ``BusFailed``."""
        raise NotImplementedError

    @staticmethod
    async def all(bus: RedisBus) -> list[dict[str, object]]:
        """What each process says of itself, with its ``process``, by name. Raises ``BusFailed``."""
        raise NotImplementedError
