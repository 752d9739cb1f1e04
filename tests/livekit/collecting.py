"""The metadata collector as tests run it: in their own loop, or as a process that may be killed.

As a process: ``python -m tests.livekit.collecting URL KEY SECRET FOLDER``; it says when it is registered.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livekit import api

from media_gateway.livekit.access import LiveKitServer
from media_gateway.livekit.metadata import MetadataCollector, MetadataSettings
from models.silero import SileroModel, bundled_model
from pipeline.bus.leases import MemoryLeases
from pipeline.ports import ObjectStore
from pipeline.store.objects import FolderObjects
from pipeline.store.sql import SqlStore
from tests.livekit.people import until
from tests.livekit.server import LiveKit

NAME = "metadata-collector"
SETTINGS = MetadataSettings(name=NAME, save=1.0, sweep=0.5)


@dataclass(slots=True)
class Collecting:
    """``folder`` holds the object store and the database."""

    livekit: LiveKit
    folder: Path
    store: SqlStore
    collector: MetadataCollector

    async def dispatch(self, room: str, recording: str) -> str:
        """As Visio's backend when a recording begins; the dispatch's id."""
        return await dispatch(self.livekit, room, recording)

    async def delete(self, room: str, dispatched: str) -> None:
        """As Visio's backend when the recording has ended."""
        await delete(self.livekit, room, dispatched)

    async def is_in(self, room: str, count: int = 1) -> None:
        """Returns once so many collectors are in the room."""
        await collectors_are_in(self.livekit, room, count)

    def file(self, recording: str) -> dict[str, Any]:
        return file_of(self.folder, recording)

    def told(self, recording: str, kind: str) -> list[str]:
        """Whom the events of a kind are of, in order; nobody while there is no file."""
        return told(self.folder, recording, kind)


@asynccontextmanager
async def collecting(
    livekit: LiveKit, folder: Path, objects: ObjectStore | None = None, settings: MetadataSettings = SETTINGS
) -> AsyncIterator[Collecting]:
    """Files go below ``folder``, or into ``objects``."""
    server = LiveKitServer(livekit.url, livekit.key, livekit.secret, house="the house of tests")
    store = SqlStore.open(f"sqlite:///{folder}/greffier.db")
    objects = objects or FolderObjects(folder / "objects")
    detector = SileroModel(bundled_model()).detector
    collector = MetadataCollector(server, objects, store, detector, MemoryLeases(), settings)
    collector.start()
    try:
        await until(lambda: collector.registered)
        yield Collecting(livekit, folder, store, collector)
    finally:
        await collector.close()
        await server.close()
        await store.close()


async def dispatch(livekit: LiveKit, room: str, recording: str) -> str:
    wanted = api.CreateAgentDispatchRequest(agent_name=NAME, room=room, metadata=recording)
    async with livekit.api() as server:
        return str((await server.agent_dispatch.create_dispatch(wanted)).id)


async def delete(livekit: LiveKit, room: str, dispatched: str) -> None:
    async with livekit.api() as server:
        await server.agent_dispatch.delete_dispatch(dispatched, room)


async def collectors_in(livekit: LiveKit, room: str) -> list[str]:
    async with livekit.api() as server:
        found = await server.room.list_participants(api.ListParticipantsRequest(room=room))
    return [each.identity for each in found.participants if each.kind == api.ParticipantInfo.Kind.AGENT]


async def collectors_are_in(livekit: LiveKit, room: str, count: int) -> None:
    there: list[str] = []
    for _ in range(300):
        there = await collectors_in(livekit, room)
        if len(there) == count:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{there} are in the room, not {count}")


def path_of(folder: Path, recording: str) -> Path:
    return folder / "objects" / "metadata" / f"{recording}-metadata.json"


def file_of(folder: Path, recording: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path_of(folder, recording).read_text())
    return found


def told(folder: Path, recording: str, kind: str) -> list[str]:
    if not path_of(folder, recording).exists():
        return []
    return [event["participant_id"] for event in file_of(folder, recording)["events"] if event["type"] == kind]


async def _serve(url: str, key: str, secret: str, folder: Path) -> None:
    server = LiveKit(folder, key=key, secret=secret, url=url)
    async with collecting(server, folder):
        sys.stdout.write("registered\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:4], Path(sys.argv[4])))  # type: ignore[call-arg]
