"""Who is in a meeting, by which gateway."""

import json

from pipeline.bus.redis import keys
from pipeline.bus.redis.connection import RedisBus
from pipeline.domain import MeetingId, ParticipantId


class People:
    """Gateways say so by ``AudioOutlet.set_person``. Raises ``BusFailed``."""

    @staticmethod
    async def load(bus: RedisBus, meeting: MeetingId) -> dict[tuple[str, ParticipantId], tuple[str, tuple[str, ...]]]:
        """By gateway and participant: name and languages."""
        pairs = await bus.call("HGETALL", keys.of_meeting(meeting, "people"))
        people = {}
        for field, text in zip(pairs[::2], pairs[1::2], strict=True):
            gateway, _, participant = field.decode().partition(" ")
            said = json.loads(text)
            people[gateway, ParticipantId(participant)] = (str(said["name"]), tuple(said["languages"]))
        return people

    @staticmethod
    async def forget_gateway(bus: RedisBus, meeting: MeetingId, gateway: str) -> None:
        """Nobody is there by ``gateway`` any more."""
        key = keys.of_meeting(meeting, "people")
        gone = [field for field in await bus.call("HKEYS", key) if field.startswith(f"{gateway} ".encode())]
        if gone:
            await bus.call("HDEL", key, *gone)
