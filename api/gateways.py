"""Opens the SFUs that the settings name: their rooms as this process captions them, and what begins that by itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from api.house import Sfu
from api.meetings import new_id
from api.settings import IceServer, JanusSettings, LiveKitSettings
from media_gateway.captioned_rooms import CaptionedRooms
from media_gateway.sfu import SfuGateway
from pipeline.ports import Leases, RoomMeetings
from pipeline.running import RunningMeetings


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every SFU is opened with. ``house`` tells this server from others beside the same SFU, after a restart, too.

    ``load`` is the part of what this server can recognise that it does, 0 to 1.
    """

    house: str
    meetings: RunningMeetings
    store: RoomMeetings
    leases: Leases
    load: Callable[[], float]

    def rooms_of(self, gateway: SfuGateway) -> CaptionedRooms:
        return CaptionedRooms(gateway, self.meetings, self.store, self.leases, lambda: new_id(12))


def open_livekit(settings: LiveKitSettings, around: Surroundings) -> Sfu:
    # The SDK brings native code that takes a while to load.
    from media_gateway.livekit import LegacyMode, LiveKitGateway, LiveKitServer
    from media_gateway.livekit.service import LiveKitCaptions

    server = LiveKitServer(settings.url, settings.key, settings.secret, house=around.house)
    mode = LegacyMode(settings.packets.value)
    rooms = around.rooms_of(LiveKitGateway(server, settings.transcriber, mode=mode))
    captions = LiveKitCaptions(server, rooms, settings.transcriber, load=around.load)
    return Sfu(rooms, (captions,), lambda: captions.registered, server.close)


def open_janus(settings: JanusSettings, ice_servers: Sequence[IceServer], around: Surroundings) -> Sfu:
    """Raises ``InvalidSetting`` for the address of an ICE server that is none."""
    from media_gateway.janus import JanusCaptions, JanusGateway, JanusServer

    server = JanusServer(settings.url, settings.pin, settings.secret, settings.token, tuple(ice_servers))
    gateway = JanusGateway(server)
    rooms = around.rooms_of(gateway)
    captions = JanusCaptions(gateway, rooms, settings.rooms)
    return Sfu(rooms, (captions,), lambda: captions.reachable)
