"""Opens the SFUs that the settings name: their rooms as this process captions them, and what begins that by itself."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.house import Sfu
from api.meetings import new_id
from api.parsing import IceServer
from api.settings import JanusSettings, LiveKitSettings, S3Settings
from media_gateway.captioned_rooms import CaptionedRooms, Patience
from media_gateway.sfu import SfuGateway
from pipeline.ports import Leases, ObjectStore, SpeechDetector
from pipeline.running import LiveMeetings
from pipeline.store.sql import SqlStore

if TYPE_CHECKING:
    from media_gateway.livekit.metadata import MetadataCollector
    from pipeline.store.s3 import S3Objects


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every SFU is opened with. ``house`` tells this server from others beside the same SFU, after a restart, too.

    ``load`` is the part of what this server can recognise that it does, 0 to 1; ``new_detector`` hears one more track.
    ``objects`` takes the files that others read; every ``sweep`` seconds LiveKit is asked what became of its rooms.
    """

    house: str
    meetings: LiveMeetings
    store: SqlStore
    objects: ObjectStore
    leases: Leases
    new_detector: Callable[[], SpeechDetector]
    load: Callable[[], float]
    wall: Callable[[], float] = time.time
    patience: Patience = field(default_factory=Patience)
    sweep: float = 5.0

    def rooms_of(self, gateway: SfuGateway) -> CaptionedRooms:
        return CaptionedRooms(
            gateway, self.meetings, self.store, self.leases, lambda: new_id(12), self.wall, self.patience
        )


@dataclass(frozen=True, slots=True)
class _Collecting:
    """A metadata collector as a ``RoomService``."""

    collector: "MetadataCollector"

    async def start(self) -> None:
        self.collector.start()

    async def close(self) -> None:
        await self.collector.close()


def open_s3(settings: S3Settings) -> "S3Objects":
    """Nothing is asked of S3 before the first file."""
    from pipeline.store.s3 import S3Objects

    return S3Objects(
        settings.endpoint,
        settings.bucket,
        settings.key,
        settings.secret,
        settings.region,
        path_style=settings.path_style,
        public_url=settings.public_url,
    )


def open_livekit(settings: LiveKitSettings, around: Surroundings) -> Sfu:
    # The SDK brings native code that takes a while to load.
    from media_gateway.livekit import LegacyMode, LiveKitGateway, LiveKitServer
    from media_gateway.livekit.metadata import MetadataCollector, MetadataSettings
    from media_gateway.livekit.service import LiveKitCaptions

    server = LiveKitServer(settings.url, settings.key, settings.secret, house=around.house)
    mode = LegacyMode(settings.packets.value)
    rooms = around.rooms_of(LiveKitGateway(server, settings.transcriber, mode=mode))
    captions = LiveKitCaptions(server, rooms, settings.transcriber, load=around.load, sweep=around.sweep)
    if settings.collector is None:
        return Sfu(rooms, (captions,), lambda: captions.registered, server.close)
    collector = MetadataCollector(
        server,
        around.objects,
        around.store,
        around.new_detector,
        around.leases,
        MetadataSettings(settings.collector, settings.folder),
    )
    return Sfu(
        rooms, (captions, _Collecting(collector)), lambda: captions.registered and collector.registered, server.close
    )


def open_janus(settings: JanusSettings, ice_servers: Sequence[IceServer], around: Surroundings) -> Sfu:
    """Raises ``InvalidSetting`` for the address of an ICE server that is none."""
    from media_gateway.janus import JanusCaptions, JanusGateway, JanusServer

    server = JanusServer(settings.url, settings.pin, settings.secret, settings.token, tuple(ice_servers))
    gateway = JanusGateway(server)
    rooms = around.rooms_of(gateway)
    captions = JanusCaptions(gateway, rooms, settings.rooms)
    return Sfu(rooms, (captions,), lambda: captions.reachable)
