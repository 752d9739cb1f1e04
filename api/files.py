"""Where the files of a process go: kept sound, uploads, metadata."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from api.gateways import open_s3
from api.settings import Settings
from pipeline.domain import MeetingId
from pipeline.errors import NotFound
from pipeline.ports import AudioKeeper, Meetings, ObjectStore
from pipeline.store.audio import MeetingAudio, audio_key, meeting_prefix
from pipeline.store.objects import FolderObjects
from pipeline.store.stored_audio import StoredAudio
from pipeline.store.uploads import SharedUploads, Uploads


class Links(Protocol):
    """Files that can be fetched elsewhere."""

    async def link(self, key: str, seconds: float) -> str | None:
        """A signed URL, None where there is none; raises ``NotFound``."""


@dataclass(frozen=True, slots=True)
class Files:
    """``objects`` keeps what must outlast a meeting; ``others_read`` takes what is written for others than Greffier.

    ``forget`` removes the files of a deleted meeting; ``links`` is where downloads are sent to, None where they come
    from here.
    """

    objects: ObjectStore
    others_read: ObjectStore
    uploads: Uploads
    new_keeper: Callable[[MeetingId], AudioKeeper]
    forget: Callable[[MeetingId], Awaitable[None]]
    links: Links | None = None


def files_of(settings: Settings, store: Meetings, *, shared: bool) -> Files:
    """In a folder where one process does all; ``shared`` by many, in S3, else in a folder that all machines mount."""
    folder = FolderObjects(settings.home / "objects")
    s3 = None if settings.s3 is None else open_s3(settings.s3)
    if not shared:
        return Files(
            folder,
            s3 or folder,
            Uploads(settings.home / "uploads"),
            lambda meeting: MeetingAudio(lambda track: folder.path(audio_key(meeting, track))),
            _forgetting(folder),
        )
    objects: ObjectStore = s3 or folder
    return Files(
        objects,
        objects,
        SharedUploads(settings.home / "uploads", objects),
        lambda meeting: StoredAudio(objects, meeting, lambda: _is_kept(store, meeting)),
        _forgetting(objects),
        links=s3,
    )


def _forgetting(objects: ObjectStore) -> Callable[[MeetingId], Awaitable[None]]:
    return lambda meeting: objects.delete_prefix(meeting_prefix(meeting))


async def _is_kept(store: Meetings, meeting: MeetingId) -> bool:
    try:
        await store.meeting(meeting)
    except NotFound:
        return False
    return True
