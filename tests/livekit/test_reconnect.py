"""Connections that break in a real LiveKit room: Greffier's own, a participant's, and the server itself."""

import asyncio

import pytest
from livekit import rtc

from media_gateway.sfu import Parting, Renewed
from pipeline.domain import SAMPLE_RATE
from tests.livekit.hearing import find
from tests.livekit.people import Microphone, People, until
from tests.livekit.server import LiveKit
from tests.livekit.stays import Ear, staying
from tests.recordings import heard

_FULL = rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT
_SIGNAL = rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT
_NODE = rtc.SimulateScenarioKind.SIMULATE_NODE_FAILURE


async def test_nothing_is_missed_while_only_the_signalling_is_renewed(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne = await people.join(room, "anne")
    microphone = await anne.publish()
    async with staying(livekit, room) as stay:
        ear = await stay.ear("anne")
        await until(lambda: ear.frames)
        await stay.room.connection.simulate_scenario(_SIGNAL)
        await anne.room.simulate_scenario(_SIGNAL)
        await _heard(microphone, ear)
        assert not stay.departed


@pytest.mark.parametrize("scenario", [_FULL, _NODE])
async def test_after_a_new_connection_everybody_is_told_and_heard_again(
    livekit: LiveKit, people: People, room: str, scenario: "rtc.SimulateScenarioKind.ValueType"
) -> None:
    anne = await people.join(room, "anne")
    microphone = await anne.publish()
    async with staying(livekit, room) as stay:
        first = await stay.ear("anne")
        await until(lambda: first.frames)
        await stay.room.connection.simulate_scenario(scenario)
        second = await stay.ear("anne", 1)
        await until(lambda: first.closed and second.frames)
        assert stay.departed == ["anne"]
        await _heard(microphone, second)


async def test_a_participant_that_connects_anew_is_heard_again(livekit: LiveKit, people: People, room: str) -> None:
    anne = await people.join(room, "anne")
    microphone = await anne.publish()
    async with staying(livekit, room) as stay:
        first = await stay.ear("anne")
        await until(lambda: first.frames)
        await anne.room.simulate_scenario(_FULL)
        second = await stay.ear("anne", 1)
        await until(lambda: first.closed and second.frames)
        await _heard(microphone, second)


async def test_who_is_muted_while_the_connection_is_renewed_is_heard_once_unmuted(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne = await people.join(room, "anne")
    microphone = await anne.publish()
    async with staying(livekit, room) as stay:
        first = await stay.ear("anne")
        await until(lambda: first.frames)
        microphone.mute()
        await stay.room.connection.simulate_scenario(_FULL)
        second = await stay.ear("anne", 1)
        await asyncio.sleep(0.3)
        assert not second.frames
        microphone.unmute()
        await until(lambda: second.frames)


async def test_a_server_that_is_killed_and_started_again_is_joined_again_by_the_same_stay(
    own_livekit: LiveKit, own_people: People, room: str
) -> None:
    anne = await own_people.join(room, "anne")
    microphone = await anne.publish()
    async with staying(own_livekit, room) as stay:
        first = await stay.ear("anne")
        await until(lambda: first.frames)
        await asyncio.to_thread(own_livekit.kill)
        await asyncio.to_thread(own_livekit.start)
        second = await stay.ear("anne", 1)
        await until(lambda: second.frames)
        await _heard(microphone, second)


async def test_after_a_new_connection_the_others_have_a_minute_to_come_back(
    own_livekit: LiveKit, own_people: People, room: str
) -> None:
    anne = await own_people.join(room, "anne")
    await anne.publish()
    async with staying(own_livekit, room, empty_after=0.3) as stay:
        await until(lambda: stay.ears)
        await asyncio.to_thread(own_livekit.kill)
        await own_people.leave()
        await asyncio.to_thread(own_livekit.start)
        await until(lambda: any(isinstance(event, Renewed) for event in stay.told))
        await asyncio.sleep(1.0)
        assert stay.parting is None
        anne = await own_people.join(room, "anne")
        await anne.publish()
        await stay.ear("anne", 1)
        assert stay.parting is None


async def test_a_server_that_is_stopped_ends_the_stay_as_lost(
    own_livekit: LiveKit, own_people: People, room: str
) -> None:
    anne = await own_people.join(room, "anne")
    await anne.publish()
    async with staying(own_livekit, room) as stay:
        ear = await stay.ear("anne")
        await asyncio.to_thread(own_livekit.stop)
        await until(lambda: stay.parting is Parting.LOST and ear.closed)


async def _heard(microphone: Microphone, ear: Ear) -> None:
    """What is said now arrives."""
    speech = heard("en_jfk.flac")[: 2 * SAMPLE_RATE]
    began = await microphone.play(speech)
    await until(lambda: ear.frames[-1].end > began + 2.3)
    piece = speech[SAMPLE_RATE : SAMPLE_RATE * 5 // 4]
    assert find(piece, ear.timeline(began, began + 2.3)).likeness > 0.5
