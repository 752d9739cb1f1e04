"""Who is in a meeting, by which gateway."""

from pipeline.bus.redis.connection import RedisBus
from pipeline.domain import MeetingId, ParticipantId


class People:
    """Gateways say so by ``AudioOutlet.set_person``. Raises ``BusFailed``."""

    @staticmethod
    async def load(bus: RedisBus, meeting: MeetingId) -> dict[tuple[str, ParticipantId], tuple[str, tuple[str, ...]]]:
        """By gateway and participant: name and languages."""
        raise NotImplementedError

    @staticmethod
    async def forget_gateway(bus: RedisBus, meeting: MeetingId, gateway: str) -> None:
        """Nobody is there by ``gateway`` any more."""
        raise NotImplementedError
