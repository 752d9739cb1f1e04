"""A meeting in a room of the real Janus, captioned by the real recogniser; played inside the namespace.

``python -m tests.janus.meeting_scene FOLDER`` prints what the participants read and what the store holds.

Anne speaks French and Bruno English, at once; Bruno is muted between two sentences; Anne leaves and comes again; Janus
dies and comes back; in the end everybody leaves. Nobody asks for captions: the room is one of those of the settings.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from api.house import House
from api.meetings import new_id
from api.opening import open_house
from api.settings import read_settings
from api.wiring import recognition
from media_gateway.captioned_rooms import CaptionedRooms
from media_gateway.janus import JanusCaptions, JanusGateway, JanusServer
from pipeline.bus.leases import MemoryLeases
from pipeline.domain import MeetingId
from tests.janus.janus_server import JanusProcess, running
from tests.janus.people import ANNE, BRUNO, Person
from tests.media_gateway.opus_packets import encoded
from tests.recordings import beep, heard

ROOM = "1234"
_WAIT = 40.0


@dataclass
class Stage:
    house: House
    rooms: CaptionedRooms
    service: JanusCaptions
    server: JanusServer

    def person(self, name: str, identity: int) -> Person:
        return Person(self.server, int(ROOM), name, identity)

    def meeting(self) -> MeetingId | None:
        state = self.rooms.state(ROOM)
        return None if state is None else state.meeting

    async def until_final(self, person: Person, utterances: int) -> None:
        """Waits until ``person`` has read so many finals."""
        await until(lambda: len(finals_of(person)) >= utterances)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(_WAIT):
        while not condition():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.02)


def finals_of(person: Person) -> dict[str, dict[str, Any]]:
    return {event["utterance"]: event for _, event in person.captions if event.get("final")}


async def play(stage: Stage, janus: JanusProcess) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    anne, bruno = stage.person("Anne", 11), stage.person("Bruno", 12)
    came = loop.time()
    await asyncio.gather(anne.come(), bruno.come())
    await asyncio.gather(anne.reading.wait(), bruno.reading.wait())
    captioned_in = loop.time() - came
    await until(lambda: stage.meeting() is not None)
    meeting = stage.meeting() or MeetingId("")
    clock = _clock(stage, meeting)
    again = stage.person("Anne", 11)

    async def anne_speaks() -> None:
        await anne.say(_said(ANNE[0]))
        await stage.until_final(bruno, 1)
        await anne.leave()
        await again.come()
        await again.say(_said(ANNE[1]))

    async def bruno_speaks() -> None:
        await bruno.say(_said(BRUNO[0]))
        await asyncio.sleep(1.5)
        await bruno.say(_said(BRUNO[1]))

    await asyncio.gather(anne_speaks(), bruno_speaks())
    await until(lambda: _quiet(bruno, loop.time()))
    await janus.kill()
    await asyncio.gather(again.close(), bruno.close())
    await janus.start()
    back, reader = stage.person("Anne", 11), stage.person("Bruno", 12)
    await asyncio.gather(back.come(), reader.come())
    await asyncio.gather(back.reading.wait(), reader.reading.wait())
    before = len(finals_of(reader))
    await reader.say(_said(BRUNO[2]))
    await until(lambda: len(finals_of(reader)) > before and _quiet(reader, loop.time()))
    left = loop.time()
    await asyncio.gather(back.leave(), reader.leave())
    await until(lambda: stage.house.meetings.running(meeting) is None)
    ended_in = loop.time() - left
    await stage.rooms.close()  # the end of the meeting is kept then
    return {
        "captioned_in": captioned_in,
        "ended_in": ended_in,
        "reachable": stage.service.reachable,
        "read": _read([bruno, reader]),
        "delays": sorted(clock(at) - event["sent_at"] for at, event in bruno.captions if event["type"] == "caption"),
        **await _kept(stage, meeting),
    }


def _said(name: str) -> list[bytes]:
    """After half a second of hardly anything: a microphone may be heard a little after it is published."""
    return encoded(np.concatenate([beep(0.5, amplitude=0.0005), heard(name)]))


def _quiet(person: Person, now: float) -> bool:
    """Whether all that was read is final, and nothing has come for a second."""
    every = {event["utterance"]: event["final"] for _, event in person.captions if event["type"] == "caption"}
    return bool(every) and all(every.values()) and now - person.captions[-1][0] > 1.0


def _clock(stage: Stage, meeting: MeetingId) -> Callable[[float], float]:
    """Meeting time of a moment of the loop."""
    session = stage.house.meetings.running(meeting)
    assert session is not None
    offset = session.now() - asyncio.get_running_loop().time()
    return lambda at: at + offset


def _read(people: list[Person]) -> list[dict[str, Any]]:
    """The finals that were read, once each, in the order in which they came."""
    every: dict[str, dict[str, Any]] = {}
    for person in people:
        every |= finals_of(person)
    return list(every.values())


async def _kept(stage: Stage, meeting: MeetingId) -> dict[str, Any]:
    store = stage.house.store
    finals = await store.finals(meeting)
    return {
        "meetings": len(await store.meetings()),
        "ended": (await store.meeting(meeting)).ended_at is not None,
        "participants": sorted((each.id, each.name) for each in await store.participants(meeting)),
        "finals": {final.utterance: final.committed for final in finals},
        "tracks": sorted({final.track for final in finals}),
    }


async def main(folder: Path) -> dict[str, Any]:
    settings = replace(read_settings(), home=folder, database_url=f"sqlite:///{folder / 'greffier.db'}")
    janus = JanusProcess(folder / "janus", rooms={ROOM: ""})
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_house(settings, recognition(settings, lambda _: None)))
        await stack.enter_async_context(running(janus))
        server = JanusServer(janus.url)
        gateway = JanusGateway(server, empty_after=4.0)
        rooms = CaptionedRooms(gateway, house.meetings, house.store, MemoryLeases(), lambda: new_id(12))
        service = JanusCaptions(gateway, rooms, [ROOM])
        await house.meetings.start()
        await service.start()
        try:
            async with asyncio.timeout(100):
                return await play(Stage(house, rooms, service, server), janus)
        finally:
            await service.close()
            await house.meetings.close()
            with suppress(TimeoutError):
                await rooms.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
