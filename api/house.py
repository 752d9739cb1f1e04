"""What one running server is made of, in one value that every route reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from api.access import Access
    from api.metrics import Metrics
    from api.settings import Settings
    from media_gateway.webrtc import WhipPeers
    from pipeline.jobs import Jobs
    from pipeline.running import RunningMeetings
    from pipeline.store.objects import FolderObjects
    from pipeline.store.sql import SqlStore


@dataclass(slots=True)
class House:
    """Made by ``api/wiring.py``; ``app.state.house`` of the application."""

    settings: Settings
    store: SqlStore
    objects: FolderObjects
    meetings: RunningMeetings
    access: Access
    metrics: Metrics
    peers: WhipPeers
    jobs: Jobs


def house_of(connection: HTTPConnection) -> House:
    house: House = connection.app.state.house
    return house
