"""Settling meetings as durable work of a broker, which is told of those that the store says are to be settled."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import dramatiq
import redis
from dramatiq.errors import Retry

from pipeline.domain import MeetingId
from pipeline.errors import GreffierError, OutOfDate, StorageFull
from pipeline.leased import Stopping
from pipeline.settling import Settling

_log = logging.getLogger("greffier.settling")

QUEUE = "batch"
"""That of recordings, whose worker takes these messages too (``pipeline/jobs``)."""
_ACTOR = "settle_meeting"
_RETRIES = 3
_AGAIN, _SELDOM = 600.0, 6 * 3600.0
"""Seconds after which a meeting that is still not settled is sent again, and twice as many each time, up to so many."""
_MILLISECONDS = 1000


async def send(broker: dramatiq.Broker, meeting: MeetingId) -> None:
    """Somebody is to settle it. Where the broker cannot be reached, it is sent again later."""
    message: dramatiq.Message[None] = dramatiq.Message(QUEUE, _ACTOR, (meeting,), {}, {})
    try:
        await asyncio.to_thread(broker.enqueue, message)
    except redis.RedisError as error:
        _log.warning("settling.unsent", extra={"meeting": meeting, "error": type(error).__name__})


@dataclass(frozen=True, slots=True)
class SettlingJobs:
    """Every ``every`` seconds the store is asked for meetings that ended ``after`` seconds ago and are not settled.

    Those that no session is ``busy`` with any more are sent, by one process of all. ``wall`` is seconds since 1970.
    What may pass is tried again ``retry_after`` seconds later and a few times more, then the message ends: the meeting
    is sent again ``again`` seconds after it was, since the store says that it is not settled.
    """

    broker: dramatiq.Broker
    settling: Settling
    busy: Callable[[MeetingId], Awaitable[bool]]
    wall: Callable[[], float] = time.time
    after: float = 0.0
    every: float = 5.0
    retry_after: float = 5.0
    again: float = _AGAIN
    _sent: dict[MeetingId, "_Sent"] = field(default_factory=dict)
    _looking: "list[asyncio.Task[None]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        dramatiq.actor(
            broker=self.broker,
            queue_name=QUEUE,
            actor_name=_ACTOR,
            time_limit=24 * 3600 * _MILLISECONDS,
            retry_when=_may_retry,
            min_backoff=round(self.retry_after * _MILLISECONDS),
            max_backoff=round(self.retry_after * 10 * _MILLISECONDS),
        )(self._settle)

    async def start(self) -> None:
        self._looking.append(asyncio.create_task(self._look()))

    async def close(self) -> None:
        """Nothing is sent any more. Who works on a meeting learns from ``settling.work`` that it is to stop."""
        while self._looking:
            looking = self._looking.pop()
            looking.cancel()
            await asyncio.wait([looking])

    async def _look(self) -> None:
        while True:
            try:
                await self._send_unsettled()
            except GreffierError as error:
                _log.warning("settling.late", extra={"error": type(error).__name__})
            await asyncio.sleep(self.every)

    async def _send_unsettled(self) -> None:
        unsettled = await self.settling.store.unsettled(self.wall() - self.after)
        for meeting in self._sent.keys() - set(unsettled):
            del self._sent[meeting]
        now = self.settling.work.loop.time()
        for meeting in unsettled:
            before = self._sent.get(meeting)
            if (before is not None and now < before.at + before.wait) or await self.busy(meeting):
                continue
            sent = _Sent(now, self.again if before is None else min(before.wait * 2.0, _SELDOM))
            if await self.settling.work.leases.acquire(f"settling-sent:{meeting}", sent.wait):
                await send(self.broker, meeting)
            self._sent[meeting] = sent

    def _settle(self, meeting: str) -> None:
        try:
            self.settling.run(MeetingId(meeting))
        except Stopping as stopping:
            raise Retry("the process stops") from stopping
        except Exception as error:
            if not _may_pass(error):
                self.settling.give_up(MeetingId(meeting))
                raise
            _log.warning("settling.retried", extra={"meeting": meeting, "error": type(error).__name__})
            raise Retry(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Sent:
    """When, by the loop's clock, and how many seconds later it is sent again."""

    at: float
    wait: float


def _may_retry(retries: int, error: BaseException) -> bool:
    return isinstance(error, Retry) and (isinstance(error.__cause__, Stopping) or retries < _RETRIES)


def _may_pass(error: Exception) -> bool:
    """Outages, a full disk, and people who named voices meanwhile; not what nobody foresaw."""
    passing = isinstance(error, GreffierError) and error.retryable
    return passing or isinstance(error, StorageFull | OutOfDate)
