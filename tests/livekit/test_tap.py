"""Microphones of a real LiveKit room: what is said on them arrives, when it was said, for as long as they are open."""

import asyncio
import time

from livekit import rtc

from media_gateway.sfu import Published
from pipeline.domain import SAMPLE_RATE, Samples
from tests.livekit.hearing import find
from tests.livekit.people import Microphone, People, until
from tests.livekit.server import LiveKit
from tests.livekit.stays import Ear, staying
from tests.recordings import heard

_LATEST = 0.3
"""Seconds that sound may seem later than it was said, on a machine that does other things too."""


async def test_everybody_is_heard_on_a_track_of_their_own_at_the_right_time(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne = await people.join(room, "anne", "Anne")
    english = await anne.publish()
    async with staying(livekit, room) as stay:
        first = await stay.ear("anne")
        eric = await people.join(room, "eric", "Éric")
        french = await eric.publish()
        second = await stay.ear("eric")
        await until(lambda: first.frames and second.frames)
        await asyncio.gather(
            _say(english, heard("en_jfk.flac")[: 3 * SAMPLE_RATE], first, (1.0, 2.0)),
            _say(french, heard("fr_fdm000.mp3")[: 3 * SAMPLE_RATE], second, (1.0, 2.0)),
        )


async def test_a_muted_microphone_is_not_listened_to_and_its_first_word_after_unmuting_is_kept(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne = await people.join(room, "anne")
    microphone = await anne.publish()
    async with staying(livekit, room) as stay:
        ear = await stay.ear("anne")
        await until(lambda: ear.frames)
        microphone.mute()
        muted_at = time.monotonic()
        await until(lambda: time.monotonic() - ear.frames[-1].end > 1.0, what="frames go on")
        assert ear.frames[-1].end - muted_at < 5.0
        microphone.unmute()
        # "And so", without any silence before it.
        await _say(microphone, heard("en_jfk.flac")[round(0.4 * SAMPLE_RATE) : 2 * SAMPLE_RATE], ear, (0.0, 0.25))


async def test_what_is_said_right_before_muting_is_kept_with_silence_after_it(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne = await people.join(room, "anne")
    microphone = await anne.publish()
    speech = heard("en_jfk.flac")[: 2 * SAMPLE_RATE]
    async with staying(livekit, room) as stay:
        ear = await stay.ear("anne")
        await until(lambda: ear.frames)
        began = await microphone.play(speech)
        microphone.mute()
        await until(lambda: time.monotonic() - ear.frames[-1].end > 1.0, what="frames go on")
        assert find(speech[-SAMPLE_RATE // 2 :], ear.timeline(began, began + 3.0)).likeness > 0.7
        assert ear.frames[-1].end > began + 2.0 + 0.8  # what endpointing needs to see


async def test_one_who_comes_muted_is_heard_once_unmuted(livekit: LiveKit, people: People, room: str) -> None:
    anne = await people.join(room, "anne")
    microphone = await anne.publish(muted=True)
    async with staying(livekit, room) as stay:
        ear = await stay.ear("anne")
        await asyncio.sleep(0.5)
        assert not ear.frames
        microphone.unmute()
        await until(lambda: ear.frames)


async def test_shared_screens_are_not_listened_to_and_one_microphone_at_a_time_is(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne, eric = await people.join(room, "anne"), await people.join(room, "eric")
    await anne.publish(rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO)
    await anne.publish(muted=True)
    opened = await anne.publish()
    there = eric.room.remote_participants
    await until(lambda: "anne" in there and len(there["anne"].track_publications) == 3)
    async with staying(livekit, room) as stay:
        ear = await stay.ear("anne")
        await until(lambda: ear.frames)
        third = await anne.publish()
        assert ear.tap.id == opened.id
        await asyncio.sleep(0.5)
        assert len(stay.ears["anne"]) == 1
        await anne.unpublish(opened)
        other = await stay.ear("anne", 1)
        await until(lambda: ear.closed)
        assert other.tap.id in {microphone.id for microphone in anne.microphones}
        assert other.tap.id != opened.id
        await anne.unpublish(third)
        await asyncio.sleep(0.5)
        assert len(stay.ears["anne"]) == 2


async def test_another_device_of_the_same_participant_goes_on(livekit: LiveKit, people: People, room: str) -> None:
    anne = await people.join(room, "anne")
    first = await anne.publish()
    async with staying(livekit, room) as stay:
        ear = await stay.ear("anne")
        await anne.unpublish(first)
        await until(lambda: ear.closed)
        microphone = await anne.publish()
        ear = await stay.ear("anne", 1)
        await until(lambda: ear.frames)
        await _say(microphone, heard("en_jfk.flac")[: 2 * SAMPLE_RATE], ear, (1.0,))


async def test_sources_end_with_their_participant_and_with_the_stay(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne, eric = await people.join(room, "anne"), await people.join(room, "eric")
    await anne.publish()
    await eric.publish()
    async with staying(livekit, room) as stay:
        first, second = await stay.ear("anne"), await stay.ear("eric")
        await until(lambda: first.frames and second.frames)
        await anne.leave()
        await until(lambda: first.closed)
        assert not second.closed
        await stay.room.leave()
        await until(lambda: second.closed)
        late = Ear(second.tap)
        late.listen()
        await until(lambda: late.closed)
        assert not late.frames


async def test_a_source_that_is_asked_for_again_takes_the_place_of_the_one_before(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne = await people.join(room, "anne")
    await anne.publish()
    async with staying(livekit, room) as stay:
        first = await stay.ear("anne")
        await until(lambda: first.frames)
        second = Ear(first.tap)
        second.listen()
        await until(lambda: first.closed and second.frames)
        assert not second.closed
        await second.end()


async def test_nothing_is_decoded_while_nobody_listens(livekit: LiveKit, people: People, room: str) -> None:
    anne = await people.join(room, "anne")
    microphone = await anne.publish()
    async with staying(livekit, room) as stay:
        ear = await stay.ear("anne")
        await until(lambda: ear.frames)
        ear.listening = False
        await until(lambda: time.monotonic() - ear.frames[-1].end > 0.5)
        ear.listening = True
        await until(lambda: time.monotonic() - ear.frames[-1].end < 0.2)
        await _say(microphone, heard("en_jfk.flac")[: 2 * SAMPLE_RATE], ear, (1.0,))


async def test_a_microphone_is_told_of_once(livekit: LiveKit, people: People, room: str) -> None:
    anne = await people.join(room, "anne")
    microphone = await anne.publish()
    async with staying(livekit, room) as stay:
        ear = await stay.ear("anne")
        await until(lambda: ear.frames)
        told = stay.room.connection.remote_participants["anne"].track_publications[microphone.id]
        for _ in range(3):
            microphone.mute()
            await until(lambda: told.muted)  # two that come at once may reach the server in any order
            microphone.unmute()
            await until(lambda: not told.muted)
        heard_until = ear.frames[-1].end
        await until(lambda: ear.frames[-1].end > heard_until + 1.0)
        assert len([event for event in stay.told if isinstance(event, Published)]) == 1


async def _say(microphone: Microphone, speech: Samples, ear: Ear, moments: tuple[float, ...]) -> None:
    """Plays ``speech`` and looks for the quarter seconds of it that begin at ``moments``, in what was heard then."""
    began = await microphone.play(speech)
    length = len(speech) / SAMPLE_RATE
    await until(lambda: ear.frames[-1].end > began + length + _LATEST)
    sound = ear.timeline(began - 0.5, began + length + _LATEST)
    for moment in moments:
        piece = speech[round(moment * SAMPLE_RATE) : round((moment + 0.25) * SAMPLE_RATE)]
        found = find(piece, sound)
        assert found.likeness > 0.5, (moment, found)
        assert -0.02 < found.at - 0.5 - moment < _LATEST, (moment, found)
