"""Rooms of a scripted SFU around real running meetings, and what people in them say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from media_gateway.captioned_rooms import CaptionedRooms, Patience
from media_gateway.sfu import Parting
from pipeline.bus.leases import MemoryLeases
from pipeline.domain import MeetingId, Word
from pipeline.export.event import Event
from pipeline.running import RunningMeeting
from tests.media_gateway.sfu_script import ScriptedGateway, ScriptedMicrophone, ScriptedRoom
from tests.pipeline.running.stage import Stage, until

PATIENCE = Patience(first=0.01, longest=0.05, limit=1.0, steady=10.0, lease=15.0)


@dataclass(slots=True)
class Gathering:
    """One process that captions rooms; ``partings`` are what it told."""

    stage: Stage
    gateway: ScriptedGateway
    rooms: CaptionedRooms
    partings: list[tuple[str, Parting]] = field(default_factory=list)

    async def tell(self, room: str, why: Parting) -> None:
        self.partings.append((room, why))

    @property
    def room(self) -> ScriptedRoom:
        """The newest stay."""
        return self.gateway.joined[-1]

    def meeting(self, meeting: MeetingId) -> RunningMeeting:
        running = self.stage.meetings.running(meeting)
        assert running is not None
        return running

    async def speaker(self, name: str = "Anne") -> ScriptedMicrophone:
        """Somebody arrives and publishes a microphone that is listened to."""
        microphone = self.room.publish(self.room.arrive(name))
        await until(lambda: microphone.tracks)
        return microphone

    async def begin(self, microphone: ScriptedMicrophone, text: str) -> None:
        """Half a second of sound for each word of ``text``; the clock moves with it."""
        clock, track, words = self.stage.clock, microphone.tracks[-1].id, text.split()
        start = microphone.now()
        self.stage.script[track] = [
            *self.stage.script.get(track, ()),
            *(Word(f" {word}", start + k * 0.5, start + (k + 1) * 0.5 - 0.05, 0.9) for k, word in enumerate(words)),
        ]
        for _ in words:
            clock.at += 0.5
            microphone.sound(0.5, loud=True)
            await asyncio.sleep(0.01)

    async def say(self, microphone: ScriptedMicrophone, text: str) -> None:
        """As ``begin``, and then a second of silence."""
        await self.begin(microphone, text)
        self.stage.clock.at += 1.0
        microphone.sound(1.0, loud=False)

    async def hears(self, text: str, room: ScriptedRoom | None = None) -> None:
        """Returns once ``room`` was shown ``text`` as a final."""
        await until(lambda: text in finals(room or self.room))


def finals(room: ScriptedRoom) -> list[str]:
    """What ``room`` shows in the end: each final once, in the order in which they came."""
    shown = {event["utterance"]: event for event in room.shown if event["type"] == "caption" and event["final"]}
    return [str(event["committed"]).strip() for event in shown.values()]


def captions(room: ScriptedRoom) -> list[Event]:
    return [event for event in room.shown if event["type"] == "caption"]


def notices(room: ScriptedRoom) -> list[object]:
    return [event["code"] for event in room.shown if event["type"] == "notice"]


@asynccontextmanager
async def gathering(
    folder: Path,
    *,
    leases: MemoryLeases | None = None,
    patience: Patience = PATIENCE,
    prefix: str = "meeting",
    **more: Any,
) -> AsyncIterator[Gathering]:
    """A process of its own in ``folder``; another one there is the next."""
    numbers = count(1)
    async with Stage(folder, **more) as stage:
        gateway = ScriptedGateway()
        rooms = CaptionedRooms(
            gateway,
            stage.meetings,
            stage.store,
            leases or MemoryLeases(),
            lambda: MeetingId(f"{prefix}-{next(numbers)}"),
            stage.clock.wall,
            patience,
        )
        one = Gathering(stage, gateway, rooms)
        rooms.on_parted(one.tell)
        try:
            yield one
        finally:
            await rooms.close()


def impatiently(**fields: float) -> Patience:
    return replace(PATIENCE, **fields)


async def state(gathered: Gathering, room: str, wanted: Callable[[str], bool]) -> None:
    """Returns once the state of ``room`` is as wanted."""

    def there() -> bool:
        found = gathered.rooms.state(room)
        return found is not None and wanted(found.state)

    await until(there)
