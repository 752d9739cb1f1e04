"""Opens the house of a gateway or an API: workers caption its meetings. No model is loaded but the speech detector."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from api.access import Access, is_loopback
from api.detecting import speech_detectors
from api.files import files_of
from api.gateways import Surroundings, open_janus, open_livekit
from api.house import House
from api.jobs import RecordingQueue
from api.metrics import Metrics
from api.other_gateways import OtherGateways
from api.parsing import LANGUAGES
from api.roles import Role
from api.room_voices import voice_model
from api.sample import Sample
from api.settings import Settings, for_many_processes
from api.tokens import Signer
from api.tracing import tracing
from media_gateway.captioned_rooms import Patience
from media_gateway.webrtc import WhipPeers
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.leases import RedisLeases
from pipeline.distributed.offers import Offers, broker_at
from pipeline.distributed.remote_meeting import Shared
from pipeline.distributed.remote_meetings import RemoteMeetings
from pipeline.distributed.watch import Watch
from pipeline.errors import InvalidInput
from pipeline.store.sql import SqlStore

_ROOM_LEASE, _ROOM_SWEEP = 3.0, 2.0
"""Seconds: after both at most, the rooms of a gateway that died are taken up by another."""


@asynccontextmanager
async def open_shared_house(settings: Settings, role: Role, process: str) -> AsyncIterator[House]:
    """Everything is ready when it opens but the routes: nothing runs before the application starts it.

    ``process`` is its name in Redis. Raises ``InvalidSetting``, ``StorageFailed`` and ``BusFailed`` where what the
    settings name cannot be used.
    """
    url = for_many_processes(settings, signs=True)
    async with AsyncExitStack() as opened:
        traces = await opened.enter_async_context(tracing(settings, role, process))
        store = await asyncio.to_thread(SqlStore.open, settings.database_url)
        opened.push_async_callback(store.close)
        bus = await RedisBus.open(url, process)
        opened.push_async_callback(bus.close)
        broker = broker_at(url)
        offers = Offers(broker)
        opened.push_async_callback(offers.close)
        metrics = Metrics(recognises=False)
        if traces is not None:
            traces.jobs(broker)
        files = files_of(settings, store, shared=True)
        holder = f"{process}/{secrets.token_hex(4)}"
        new_detector = speech_detectors()
        shared = Shared(bus, store, new_detector, check_languages, files.new_keeper)
        meetings = RemoteMeetings(shared, Watch(bus, offers, holder), files.forget)
        loopback = is_loopback(settings.host)
        signer = Signer(settings.secret or b"", settings.token_ttl, bus.wall)
        around = Surroundings(
            house=signer.name,
            meetings=meetings,
            store=store,
            objects=files.others_read,
            leases=RedisLeases(bus, holder),
            new_detector=new_detector,
            load=lambda: 0.0,  # LiveKit spreads rooms evenly: a gateway costs little, and workers are found by offers
            wall=bus.wall,
            patience=Patience(lease=_ROOM_LEASE),
            sweep=_ROOM_SWEEP,
        )
        joins = role is Role.GATEWAY
        model = None if joins else await opened.enter_async_context(voice_model(settings))
        house = House(
            settings=settings,
            store=store,
            files=files,
            meetings=meetings,
            access=Access(store, signer, loopback=loopback, now=bus.wall),
            metrics=metrics,
            peers=WhipPeers(settings.ice_servers, loopback=loopback, ports=settings.udp_ports),
            jobs=RecordingQueue(broker),
            sample=Sample(),
            check_languages=check_languages,
            livekit=open_livekit(settings.livekit, around) if settings.livekit and joins else None,
            janus=open_janus(settings.janus, settings.ice_servers, around) if settings.janus and joins else None,
            role=role,
            wall=bus.wall,
            bus=bus,
            sent=bus.sent if joins else None,
            traces=traces,
            voice_model=model,
        )
        for sfu in house.sfus:
            opened.push_async_callback(sfu.disconnect)
        if joins:
            by_provider = {sfu.rooms.gateway.provider: sfu for sfu in house.sfus}
            house.other_gateways = others = OtherGateways(bus, by_provider, house.peers)
            opened.push_async_callback(await others.follow())
        yield house


def check_languages(languages: tuple[str, ...]) -> None:
    """Raises ``InvalidInput`` naming the languages that Whisper does not know: the model is elsewhere."""
    if strange := [language for language in languages if language not in LANGUAGES]:
        raise InvalidInput(f"no model knows the language {', '.join(strange)}; they know {', '.join(LANGUAGES)}")
