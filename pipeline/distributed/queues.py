"""What waits in dramatiq's queues: offers of meetings on ``live``, recordings on ``batch``."""

from collections.abc import Sequence
from dataclasses import dataclass

import redis
from dramatiq.brokers.redis import RedisBroker

from pipeline import jobs
from pipeline.distributed import offers
from pipeline.errors import BusFailed

QUEUES = (offers.QUEUE, jobs.QUEUE)


@dataclass(frozen=True, slots=True)
class QueueLength:
    """``waiting`` counts messages that nobody has finished, those put back for a while and those in hand too.

    ``dead`` counts those that were given up, which dramatiq keeps for some time.
    """

    waiting: int
    dead: int


def queue_lengths(broker: RedisBroker, names: Sequence[str] = QUEUES) -> dict[str, QueueLength]:
    """By name of the queue, in one round trip, in the calling thread. Raises ``BusFailed``.

    dramatiq's hash ``<queue>.msgs`` holds each message until it is acknowledged, ``<queue>.DQ.msgs`` those with a
    delay and ``<queue>.XQ`` the dead (``dramatiq/brokers/redis/dispatch.lua``).
    """
    with broker.client.pipeline(transaction=False) as asking:
        for name in names:
            asking.hlen(f"{broker.namespace}:{name}.msgs")
            asking.hlen(f"{broker.namespace}:{name}.DQ.msgs")
            asking.zcard(f"{broker.namespace}:{name}.XQ")
        try:
            found = asking.execute()
        except redis.RedisError as error:
            raise BusFailed(f"Redis does not say how long its queues are ({type(error).__name__})") from error
    return {
        name: QueueLength(found[3 * place] + found[3 * place + 1], found[3 * place + 2])
        for place, name in enumerate(names)
    }
