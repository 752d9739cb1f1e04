"""A stay in a room of a real livekit-server: who is there, and what they say."""

import asyncio

from media_gateway.sfu import Parted, Parting
from pipeline.domain import SAMPLE_RATE
from tests.livekit.hearing import find
from tests.livekit.people import People, until
from tests.livekit.server import LiveKit
from tests.livekit.stays import staying
from tests.recordings import heard

_RATE = SAMPLE_RATE


async def test_whoever_is_there_or_comes_is_told_and_heard_at_the_right_time(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne = await people.join(room, "anne", "Anne")
    microphone = await anne.publish()
    async with staying(livekit, room) as stay:
        first = await stay.ear("anne")
        eric = await people.join(room, "eric", "Éric")
        second = await stay.ear("eric") if await eric.publish() else None
        assert second is not None
        assert stay.names == {"anne": "Anne", "eric": "Éric"}
        await until(lambda: first.frames and second.frames)
        english, french = heard("en_jfk.flac")[: 3 * _RATE], heard("fr_fdm000.mp3")[: 3 * _RATE]
        spoken = await asyncio.gather(microphone.play(english), eric.microphones[0].play(french))
        for ear, speech, began in ((first, english, spoken[0]), (second, french, spoken[1])):
            await until(lambda ear=ear, began=began: ear.frames[-1].end > began + 3.0)
            for second_of_it in (1.0, 2.0):
                piece = speech[round(second_of_it * _RATE) : round((second_of_it + 0.5) * _RATE)]
                found = find(piece, ear.timeline(began - 0.5, began + 3.5))
                print(found, found.at - 0.5 - second_of_it)
                assert found.likeness > 0.8
                assert 0.0 < found.at - 0.5 - second_of_it < 0.3
    assert stay.told[-1] == Parted(Parting.LEFT)
