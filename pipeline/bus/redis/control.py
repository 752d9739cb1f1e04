"""What the owner and the gateways of a meeting are asked to do."""

from collections.abc import Callable

from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.reader import Stop
from pipeline.domain import MeetingId


class Control:
    """Wishes are JSON objects with ``do``, not kept for whoever comes later: the store has what lasts."""

    @staticmethod
    async def tell(bus: RedisBus, meeting: MeetingId, **fields: object) -> None:
        """``Control.tell(bus, meeting, do="pause")``. Raises ``BusFailed``."""
        raise NotImplementedError

    @staticmethod
    async def follow(bus: RedisBus, meeting: MeetingId, take: Callable[[dict[str, object]], None]) -> Stop:
        """``take`` gets what is told from now on, until ``stop`` is awaited."""
        raise NotImplementedError
