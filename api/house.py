"""What one running server is made of, in one value that every route reaches."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from starlette.requests import HTTPConnection

from api.roles import Role

if TYPE_CHECKING:
    from api.access import Access
    from api.channels import Channels
    from api.files import Files
    from api.measures import KyutaiServers, Outlets
    from api.metrics import Metrics
    from api.other_gateways import OtherGateways
    from api.probe import EngineProbe
    from api.sample import Sample
    from api.settings import Settings
    from api.telemetry import Traces
    from media_gateway.captioned_rooms import CaptionedRooms
    from media_gateway.webrtc import WhipPeers
    from pipeline.bus.redis.connection import RedisBus
    from pipeline.domain import RecordingId
    from pipeline.ports import VoiceModel
    from pipeline.running import LiveMeetings
    from pipeline.store.sql import SqlStore


class RecordingWork(Protocol):
    """What uploaded recordings are given to: this process transcribes them, or others do."""

    async def send(self, recording: RecordingId) -> None:
        """Returns at once."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class RoomService(Protocol):
    """What begins and ends something in rooms by itself, as an SFU or the settings say."""

    async def start(self) -> None:
        """Returns at once, whether the SFU answers or not."""

    async def close(self) -> None:
        """Nothing begins any more; rooms that are captioned stay so. Again, it does nothing."""


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Sfu:
    """An SFU, the rooms of it that this process captions, and what else works there.

    ``at_hand``: whether the SFU would be heard if it asked for captions now. ``disconnect`` comes after all else.
    """

    rooms: CaptionedRooms
    services: tuple[RoomService, ...]
    at_hand: Callable[[], bool]
    disconnect: Callable[[], Awaitable[None]] = _nothing


@dataclass(slots=True)
class House:
    """Made by ``api/opening.py``; ``app.state.house`` of the application.

    ``check_languages`` raises ``InvalidInput`` for one that the model does not know. ``talkers`` can be captioned at
    once, by the ``engine`` of this process, where it has one, whose recogniser others use through ``channels``; else
    ``bus`` is its way to others, and ``sent`` what went there of what was said. ``wall`` gives seconds since 1970, the
    same for all that share meetings.
    """

    settings: Settings
    store: SqlStore
    files: Files
    meetings: LiveMeetings
    access: Access
    metrics: Metrics
    peers: WhipPeers
    jobs: RecordingWork
    sample: Sample
    check_languages: Callable[[tuple[str, ...]], None]
    livekit: Sfu | None = None
    janus: Sfu | None = None
    role: Role = Role.SERVE
    wall: Callable[[], float] = time.time
    other_gateways: OtherGateways | None = None
    engine: EngineProbe | None = None
    talkers: int | None = None
    channels: Channels | None = None
    kyutai: KyutaiServers | None = None
    bus: RedisBus | None = None
    sent: Outlets | None = None
    traces: Traces | None = None
    voice_model: VoiceModel | None = None

    @property
    def sfus(self) -> list[Sfu]:
        return [sfu for sfu in (self.livekit, self.janus) if sfu is not None]


def house_of(connection: HTTPConnection) -> House:
    house: House = connection.app.state.house
    return house
