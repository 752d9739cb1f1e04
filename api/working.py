"""``greffier worker``: the engine of one queue, with its health and its metrics."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from api.access import Access, is_loopback
from api.bare_app import bare_app
from api.channels import PER_TALKER, Channels
from api.diarizing import of_recordings, voice_search
from api.files import files_of
from api.job_counts import count_jobs
from api.jobs import jobs_over_redis
from api.measures import ChannelMeasures
from api.metrics import Metrics
from api.probe import EngineProbe
from api.roles import Role
from api.room_voices import voice_model
from api.server import ProcessServer, address_of, run_loop
from api.settings import Settings, for_many_processes
from api.settling import batch_jobs, settling_of
from api.tokens import Signer
from api.tracing import tracing
from api.vitals import worker_vitals
from api.wiring import Recognition, equipment, kyutai_servers, with_shared_rooms
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.leases import RedisLeases, holder_of
from pipeline.distributed.offers import Offers, broker_at
from pipeline.distributed.worker import LiveWorker
from pipeline.domain import MeetingId
from pipeline.store.sql import SqlStore

_AFTER = 30.0
"""Seconds after its end in which gateways bring the kept sound of a meeting to where all find it."""


def run_worker(settings: Settings, recognition: Recognition, queue: str, name: str, listener: socket.socket) -> None:
    """Works on ``queue`` until SIGTERM or SIGINT; then meetings are handed over. Another one ends it at once."""

    async def working() -> None:
        async with open_worker(settings, recognition, queue, name, address_of(listener, settings.host)) as server:
            await server.serve([listener])

    run_loop(working())


@asynccontextmanager
async def open_worker(
    settings: Settings, recognition: Recognition, queue: str, name: str, address: str
) -> AsyncIterator[ProcessServer]:
    """A worker that works already; its server, when it stops, has handed everything over.

    Raises ``InvalidSetting``, ``StorageFailed`` and ``BusFailed`` where what the settings name cannot be used.
    """
    url = for_many_processes(settings, signs=False)
    async with AsyncExitStack() as opened:
        traces = await opened.enter_async_context(tracing(settings, Role.WORKER, name))
        store = await asyncio.to_thread(SqlStore.open, settings.database_url)
        opened.push_async_callback(store.close)
        bus = await RedisBus.open(url, name)
        opened.push_async_callback(bus.close)
        broker = broker_at(url)
        opened.push_async_callback(asyncio.to_thread, broker.client.close)
        metrics = Metrics()
        count_jobs(broker, metrics.registry)
        if traces is not None:
            traces.jobs(broker)
        batcher = await opened.enter_async_context(recognition.batcher(metrics))
        recognizer = batcher if traces is None else traces.recognizer(batcher)
        files = files_of(settings, store, shared=True)
        live: LiveWorker | None = None
        kyutai = None
        channels: Channels | None = None
        if queue == "live":
            kyutai = await opened.enter_async_context(kyutai_servers(settings))
            room_voices = await opened.enter_async_context(voice_model(settings))
            equipped = equipment(recognition, recognizer, settings.languages, store, files, kyutai)
            live = LiveWorker(
                bus,
                Offers(broker),
                with_shared_rooms(equipped, settings, room_voices),
                recognition.calibration.talkers,
                settings.empty_after,
                metrics.watch,
            )
            channels = dialect = Channels(equipped, recognition.calibration.talkers * PER_TALKER)
            live.elsewhere = lambda: dialect.talking
            await live.start()
            stop = live.close
        else:
            leases = RedisLeases(bus, f"{name}/{secrets.token_hex(4)}")
            languages, voices = settings.languages, voice_search(settings)
            mixed = of_recordings(settings, voices)
            recordings = jobs_over_redis(broker, store, recognizer, files.objects, leases, languages, mixed)
            settling = settling_of(recordings, store, files.objects, voices)
            jobs = batch_jobs(recordings, settings, settling, lambda meeting: _held(bus, meeting), bus.wall, _AFTER)
            await jobs.start()
            opened.callback(bus.on_return(jobs.take_up))
            stop = jobs.close
        opened.push_async_callback(stop)
        probe = EngineProbe(batcher, metrics, settings.languages[0])
        vitals = worker_vitals(queue, live, metrics, store, probe, bus, kyutai)
        if channels is not None:
            vitals.measures.append(ChannelMeasures(channels))
        # Nobody gets a token or a session here: keys alone open the metrics and the recogniser.
        signer = Signer(settings.secret or secrets.token_bytes(32), settings.token_ttl, bus.wall)
        access = Access(store, signer, loopback=is_loopback(settings.host), now=bus.wall)
        yield ProcessServer(bare_app(vitals, access, settings, channels), address, stop, opens=False)


async def _held(bus: RedisBus, meeting: MeetingId) -> bool:
    """Whether a worker captions it, or still makes its record texts. Raises ``BusFailed``."""
    return await holder_of(bus, meeting) is not None
