"""What waits in dramatiq's queues: offers of meetings on ``live``, recordings on ``batch``."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import jobs
from pipeline.bus.redis.connection import RedisBus
from pipeline.distributed import offers

QUEUES = (offers.QUEUE, jobs.QUEUE)


@dataclass(frozen=True, slots=True)
class QueueLength:
    """``waiting`` counts messages that nobody has finished, those put back for a while and those in hand too.

    ``dead`` counts those that were given up, which dramatiq keeps for some time.
    """

    waiting: int
    dead: int


async def queue_lengths(bus: RedisBus, names: Sequence[str] = QUEUES) -> dict[str, QueueLength]:
    """By name of the queue, in one round trip. Raises ``BusFailed``.

    dramatiq's hash ``<queue>.msgs`` holds each message until it is acknowledged, ``<queue>.DQ.msgs`` those with a
    delay and ``<queue>.XQ`` the dead (``dramatiq/brokers/redis/dispatch.lua``).
    """
    keys = [f"{offers.NAMESPACE}:{name}" for name in names]
    found = await bus.ask(
        [
            command
            for key in keys
            for command in (("HLEN", f"{key}.msgs"), ("HLEN", f"{key}.DQ.msgs"), ("ZCARD", f"{key}.XQ"))
        ]
    )
    counts = iter(found)
    return {name: QueueLength(next(counts) + next(counts), next(counts)) for name in names}
