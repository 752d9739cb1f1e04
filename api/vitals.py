"""How a process is: whether it can do its work, what it measures, and what it tells the others of itself."""

import asyncio
import platform
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import Metric
from starlette.requests import HTTPConnection

from api.measures import (
    BusMeasures,
    ChannelMeasures,
    HouseMeasures,
    KyutaiMeasures,
    KyutaiServers,
    Measures,
    OutletMeasures,
    ProcessMeasures,
    RecogniserMeasures,
    Worker,
    WorkerMeasures,
)
from api.metrics import Metrics
from pipeline.errors import BusFailed, GreffierError

if TYPE_CHECKING:
    from api.house import House
    from api.probe import EngineProbe
    from pipeline.bus.redis.connection import RedisBus
    from pipeline.distributed.queues import QueueLength
    from pipeline.store.sql import SqlStore

_PATIENCE = 3.0
"""Seconds for each check: whoever asks gives up soon, and no answer is an answer, too."""
_LEAST_ROOM = 16 * 1024**2
"""Bytes that must be free where a process keeps its database: some hours of captions."""

Check = Callable[[], Awaitable[bool]]
Told = Callable[[], Mapping[str, object]]


@dataclass(slots=True)
class Vitals:
    """One per process, ``app.state.vitals``.

    ``checks`` must all hold for the process to be ready, by what they look at; ``beside`` is told, and changes nothing:
    SFUs come back by themselves, and Whisper does what Kyutai's servers do not.
    ``told`` is what it says of itself besides its role and age.
    """

    role: str
    metrics: Metrics
    checks: dict[str, Check]
    measures: list[Measures]
    told: Told = dict
    beside: Told = dict
    draining: Callable[[], bool] = lambda: False
    probe: "EngineProbe | None" = None
    bus: "RedisBus | None" = None
    started_at: float = 0.0
    _version: str = ""
    _queues: "Mapping[str, QueueLength]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started_at = time.time() if self.bus is None else self.bus.wall()
        self._version = version("greffier")
        self.measures.append(ProcessMeasures(self.role, self._version))
        if self.probe is not None:
            self.checks["engine"] = self._engine_answers
        if (bus := self.bus) is not None:
            self.checks["redis"] = self._redis_answers
            self.measures.append(BusMeasures(lambda: bus.reachable, lambda: self._queues))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While the process does its work: looks after the engine, and tells the others that it is there."""
        async with AsyncExitStack() as stack:
            if self.probe is not None:
                probing = asyncio.create_task(self.probe.run())
                stack.push_async_callback(_ended, probing)
            if self.bus is not None:
                from pipeline.bus.redis.registry import Registry

                stack.push_async_callback(await Registry.announce(self.bus, self.facts))
            yield

    async def found(self) -> dict[str, bool]:
        """What each check finds now; one that fails or does not end finds that it cannot be done."""
        results = await asyncio.gather(*(_holds(check) for check in self.checks.values()))
        return dict(zip(self.checks, results, strict=True))

    def facts(self) -> dict[str, object]:
        """What others see of this process, as JSON has it."""
        return {
            "role": self.role,
            "host": platform.node(),
            "version": self._version,
            "started_at": self.started_at,
            **self.told(),
        }

    def collect(self) -> Iterable[Metric]:
        """Everything that Prometheus gets, as a collector of its client."""
        yield from self.metrics.registry.collect()
        for measures in self.measures:
            yield from measures.collect()

    async def look(self) -> None:
        """Before ``collect``: asks what is not of this process."""
        self._queues = {}
        if self.bus is not None and self.bus.reachable:
            from pipeline.distributed.queues import queue_lengths

            with suppress(BusFailed):
                self._queues = await queue_lengths(self.bus)

    async def _engine_answers(self) -> bool:
        return self.probe is None or self.probe.works

    async def _redis_answers(self) -> bool:
        return self.bus is None or self.bus.reachable


def house_vitals(house: "House") -> Vitals:
    """Of a process that serves people: ``greffier serve``, ``api`` or ``gateway``."""

    async def store_is_writable() -> bool:
        await house.store.check()
        return house.bus is not None or await asyncio.to_thread(has_room, house.settings.home)

    measures: list[Measures] = [HouseMeasures(house)]
    if house.talkers is not None:
        measures.append(RecogniserMeasures(lambda: house.metrics.talking, house.talkers))
        measures.append(KyutaiMeasures(house.kyutai))
    if house.channels is not None:
        measures.append(ChannelMeasures(house.channels))
    if house.sent is not None:
        measures.append(OutletMeasures(house.sent))
    return Vitals(
        house.role,
        house.metrics,
        {"store": store_is_writable},
        measures,
        told=lambda: _told_of_house(house),
        beside=lambda: {
            **{sfu.rooms.gateway.provider: sfu.at_hand() for sfu in house.sfus},
            **_told_of_kyutai(house.kyutai),
        },
        probe=house.engine,
        bus=house.bus,
    )


def worker_vitals(
    queue: str,
    worker: Worker | None,
    metrics: Metrics,
    store: "SqlStore",
    probe: "EngineProbe",
    bus: "RedisBus",
    kyutai: KyutaiServers | None = None,
) -> Vitals:
    """Of ``greffier worker --queues <queue>``; ``worker`` is None where that is ``batch``."""

    async def store_is_writable() -> bool:
        await store.check()
        return True

    return Vitals(
        "worker",
        metrics,
        {"store": store_is_writable},
        [] if worker is None else [WorkerMeasures(worker), KyutaiMeasures(kyutai)],
        told=lambda: {"queue": queue, **({} if worker is None else _told_of_worker(worker))},
        draining=lambda: worker is not None and worker.draining,
        beside=lambda: _told_of_kyutai(kyutai),
        probe=probe,
        bus=bus,
    )


def vitals_of(connection: HTTPConnection) -> Vitals:
    vitals: Vitals = connection.app.state.vitals
    return vitals


def has_room(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free >= _LEAST_ROOM
    except OSError:
        return False


def _told_of_house(house: "House") -> dict[str, object]:
    meetings = house.meetings.all()
    return {
        **({"rooms": house.other_gateways.told_rooms()} if house.other_gateways is not None else {}),
        "meetings": len(meetings),
        "tracks": sum(meeting.tracks for meeting in meetings),
        "readers": sum(meeting.feed.readers for meeting in meetings),
    }


def _told_of_kyutai(kyutai: KyutaiServers | None) -> dict[str, object]:
    """Whether each server is healthy, in the order of the settings; what is not healthy is done by others."""
    if kyutai is None:
        return {}
    healthy = [server.healthy for server in kyutai.servers]
    return {"kyutai": healthy, **({} if all(healthy) else {"degraded": True})}


def _told_of_worker(worker: Worker) -> dict[str, object]:
    return {
        "meetings": worker.meetings_held,
        "talkers_held": worker.talkers_held,
        "talkers_possible": worker.talkers_possible,
        "load": round(worker.load, 3),
        "lag": round(worker.lag, 3),
        "draining": worker.draining,
    }


async def _holds(check: Check) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await check()
    except (GreffierError, TimeoutError):
        return False


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
