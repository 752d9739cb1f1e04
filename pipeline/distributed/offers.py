"""Live meetings that wait for a worker: each is an offer, a message on dramatiq's queue ``live``.

``broker_at(url)`` is the one broker of a process. Any process sends: ``await Offers(broker).send(meeting)``. A worker
takes: ``offers.serve(take, load)``, until ``pause``; one process serves one queue, since dramatiq wants one ``Worker``
per process. Whoever made ``Offers`` closes it. A message holds a meeting's id and nothing else.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import cast

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import dq_name
from dramatiq.errors import Retry
from redis.backoff import NoBackoff
from redis.retry import Retry as Again

from pipeline.domain import MeetingId
from pipeline.errors import BusFailed, GreffierError, InvalidSetting

QUEUE = "live"
NAMESPACE = "greffier:queues"
"""Where dramatiq keeps its queues in Redis."""
_ACTOR = "caption_meeting"
_LOOK = 50
"""Milliseconds after which an idle worker asks for offers again: half of that is what an offer waits on average."""
_THREADS = 8
"""Offers that one worker looks into at once; it fetches no more than these, so that others find the rest."""
_TOO_OLD = 60_000
_LEAST_DELAY, _MOST_DELAY = 1.0, 10.0
_MILLISECONDS = 1_000
_DEAD_LETTERS = 3_600_000
_PATIENCE = 5.0
_STOP = 2_000


class Verdict(Enum):
    """What became of an offer: the meeting is captioned here; it is over, or captioned elsewhere; there is no room."""

    TAKEN = "taken"
    DROPPED = "dropped"
    FULL = "full"


Take = Callable[[MeetingId], Awaitable[Verdict]]


def broker_at(url: str) -> RedisBroker:
    """The broker of a process, without a connection yet. Raises ``InvalidSetting``."""
    try:
        client = redis.Redis.from_url(
            url,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            retry=Again(NoBackoff(), 1),
        )
    except ValueError as error:
        raise InvalidSetting(f"GREFFIER_REDIS_URL is no address of a Redis: {error}") from error
    broker: Callable[..., RedisBroker] = RedisBroker
    return broker(client=client, namespace=NAMESPACE, dead_message_ttl=_DEAD_LETTERS)


class Offers:
    """What ``send`` sends, ``serve`` takes, in other processes too."""

    def __init__(self, broker: dramatiq.Broker) -> None:
        self._broker = broker
        self._take: Take | None = None
        self._load: Callable[[], float] = lambda: 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: dramatiq.Worker | None = None
        declared = dramatiq.actor(
            actor_name=_ACTOR, queue_name=QUEUE, broker=broker, max_age=_TOO_OLD, retry_when=_may_retry
        )
        self._actor = declared(self._look_into)

    async def send(self, meeting: MeetingId) -> None:
        """Somebody is to caption ``meeting``. Raises ``BusFailed``."""
        try:
            await asyncio.to_thread(self._actor.send, meeting)
        except redis.RedisError as error:
            raise BusFailed(f"Redis does not take the offer of a meeting ({type(error).__name__})") from error

    def serve(self, take: Take, load: Callable[[], float]) -> None:
        """Takes offers from now on, on the running event loop, until ``pause``.

        ``take`` decides, may be called for several meetings at once and may raise ``GreffierError``: then the offer
        comes again. Where it says ``FULL``, the offer goes back for the longer, the higher ``load`` is (1 and more).
        """
        self._take, self._load, self._loop = take, load, asyncio.get_running_loop()
        worker = self._worker = dramatiq.Worker(
            self._broker, queues={QUEUE}, worker_threads=_THREADS, worker_timeout=_LOOK
        )
        worker.queue_prefetch = _THREADS
        worker.start()

    async def pause(self) -> None:
        """Takes no offers any more; those that were fetched are back in the queue when it returns."""
        worker, self._worker = self._worker, None
        if worker is not None:
            try:
                await asyncio.to_thread(self._stop, worker)
            except redis.RedisError:
                return  # what was fetched is offered again by whoever wants captions

    async def close(self) -> None:
        await self.pause()
        if isinstance(self._broker, RedisBroker):
            await asyncio.to_thread(self._broker.client.close)

    def _stop(self, worker: dramatiq.Worker) -> None:
        """dramatiq leaves what it has fetched and not looked at to the worker that finds it in a minute."""
        worker.stop(_STOP)
        if isinstance(self._broker, RedisBroker):
            for queue in (QUEUE, dq_name(QUEUE)):
                fetched = f"{self._broker.namespace}:__acks__.{self._broker.broker_id}.{queue}"
                self._broker.do_requeue(queue, *cast(set[bytes], self._broker.client.smembers(fetched)))

    def _look_into(self, meeting: str) -> None:
        """In a thread of dramatiq's."""
        if self._take is None or self._loop is None:
            raise Retry("nobody takes offers here", delay=round(_LEAST_DELAY * _MILLISECONDS))
        looking = asyncio.run_coroutine_threadsafe(self._considered(self._take, MeetingId(meeting)), self._loop)
        try:
            delay = looking.result()
        except GreffierError as error:
            raise Retry(type(error).__name__, delay=round(_LEAST_DELAY * _MILLISECONDS)) from error
        if delay is not None:
            raise Retry("full", delay=round(delay * _MILLISECONDS))

    async def _considered(self, take: Take, meeting: MeetingId) -> float | None:
        """Seconds for which the offer goes back, 0 where this worker ends; None where it is done with."""
        if await take(meeting) is not Verdict.FULL:
            return None
        return put_back_for(self._load()) if self._worker is not None else 0.0


def put_back_for(load: float) -> float:
    """Seconds for which a worker of this ``load`` puts an offer back that it has no room for."""
    return min(max(load**2 * _LEAST_DELAY, _LEAST_DELAY), _MOST_DELAY)


def _may_retry(_: int, error: BaseException) -> bool:
    """What nobody foresaw is not tried again: whoever wants captions makes a new offer."""
    return isinstance(error, Retry)
