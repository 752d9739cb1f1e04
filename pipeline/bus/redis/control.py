"""What the owner and the gateways of a meeting are asked to do."""

import json
from collections.abc import Callable, Sequence

from pipeline.bus.redis import keys
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.reader import Entry, Stop
from pipeline.domain import MeetingId

_LENGTH = 200


class Control:
    """Wishes are JSON objects with ``do``, not kept for whoever comes later: the store has what lasts."""

    @staticmethod
    async def tell(bus: RedisBus, meeting: MeetingId, **fields: object) -> None:
        """``Control.tell(bus, meeting, do="pause")``. Raises ``BusFailed``."""
        key, text = keys.of_meeting(meeting, "control"), json.dumps(fields, ensure_ascii=False)
        await bus.ask([("XADD", key, "MAXLEN", "~", _LENGTH, "*", "c", text), ("EXPIRE", key, keys.SECONDS_KEPT)])

    @staticmethod
    async def follow(bus: RedisBus, meeting: MeetingId, take: Callable[[dict[str, object]], None]) -> Stop:
        """``take`` gets what is told from now on, until ``stop`` is awaited. Raises ``BusFailed``.

        When Redis is emptied, what was told since may come twice.
        """

        def take_all(entries: Sequence[Entry]) -> None:
            for entry in entries:
                take(json.loads(entry.fields[b"c"]))

        return await bus.reader.follow(keys.of_meeting(meeting, "control"), "$", take_all)
