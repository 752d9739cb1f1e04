"""What the tests of this folder stand on: a real server, real participants, and their sound."""

import asyncio
from pathlib import Path

import numpy as np
from livekit import rtc

from pipeline.domain import SAMPLE_RATE
from tests.livekit.hearing import find
from tests.livekit.people import People, until
from tests.livekit.server import VERSION, LiveKit
from tests.recordings import heard

_SERVICES = Path(__file__).parents[2] / ".ci" / "services"


def test_the_server_is_the_one_that_ci_builds() -> None:
    assert f"\nlivekit={VERSION} " in _SERVICES.read_text()


async def test_what_a_person_plays_another_hears(people: People, room: str) -> None:
    anne, eric = await people.join(room, "anne"), await people.join(room, "eric", hears=True)
    microphone = await anne.publish()
    await until(lambda: _sound_of(eric.room, "anne"))
    track = _sound_of(eric.room, "anne")
    assert track is not None
    stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1)
    speech = heard("en_jfk.flac")[: 2 * SAMPLE_RATE]
    playing = asyncio.create_task(microphone.play(speech))
    got = []
    async for event in stream:
        got.append(np.frombuffer(event.frame.data, np.int16))
        if playing.done():
            break
    await stream.aclose()
    await playing
    assert find(speech[SAMPLE_RATE : SAMPLE_RATE * 5 // 4], np.concatenate(got)).likeness > 0.5


async def test_a_killed_server_comes_back_at_the_same_address(
    own_livekit: LiveKit, own_people: People, room: str
) -> None:
    await own_people.join(room, "anne")
    await asyncio.to_thread(own_livekit.kill)
    await asyncio.to_thread(own_livekit.start)
    await own_people.join(room, "eric")


async def test_a_stopped_server_tells_participants_and_ends(
    own_livekit: LiveKit, own_people: People, room: str
) -> None:
    anne = await own_people.join(room, "anne")
    await asyncio.to_thread(own_livekit.stop)
    await until(lambda: {"reconnecting", "disconnected"} & set(anne.told))


def _sound_of(room: rtc.Room, identity: str) -> rtc.RemoteAudioTrack | None:
    person = room.remote_participants.get(identity)
    publications = person.track_publications.values() if person is not None else ()
    return next((each.track for each in publications if isinstance(each.track, rtc.RemoteAudioTrack)), None)
