"""What one running server is made of, in one value that every route reaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from api.access import Access
    from api.metrics import Metrics
    from api.sample import Sample
    from api.settings import Settings
    from media_gateway.webrtc import WhipPeers
    from pipeline.jobs import RecordingJobs
    from pipeline.running import RunningMeetings
    from pipeline.store.objects import FolderObjects
    from pipeline.store.sql import SqlStore
    from pipeline.store.uploads import Uploads


@dataclass(slots=True)
class House:
    """Made by ``api/opening.py``; ``app.state.house`` of the application.

    ``check_languages`` raises ``InvalidInput`` for one that the model does not know.
    """

    settings: Settings
    store: SqlStore
    objects: FolderObjects
    uploads: Uploads
    meetings: RunningMeetings
    access: Access
    metrics: Metrics
    peers: WhipPeers
    jobs: RecordingJobs
    sample: Sample
    check_languages: Callable[[tuple[str, ...]], None]


def house_of(connection: HTTPConnection) -> House:
    house: House = connection.app.state.house
    return house
