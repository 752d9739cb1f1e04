"""Captions and notices in a real LiveKit room, in both dialects, as the SDK receives them."""

import asyncio
import time
from typing import Any

import pytest

from media_gateway.livekit import LegacyMode
from pipeline.errors import GatewayFailed
from tests.livekit.people import People, until
from tests.livekit.server import LiveKit
from tests.livekit.stays import staying


async def test_a_caption_goes_out_as_a_text_stream_of_its_speaker(livekit: LiveKit, people: People, room: str) -> None:
    anne, eric = await people.join(room, "anne"), await people.join(room, "eric")
    microphone = await anne.publish()
    async with staying(livekit, room) as stay:
        await stay.ear("anne")
        await stay.room.show(_caption(" Bonjour,", " tout"))
        await stay.room.show(_caption(" Bonjour, tout le monde.", final=True, revision=2))
        await until(lambda: len(eric.texts) == 2 and len(anne.texts) == 2)
    first, last = sorted(eric.texts, key=lambda text: text.final)
    assert (first.sender, first.text, last.text) == ("anne", "Bonjour, tout", "Bonjour, tout le monde.")
    assert first.attributes == {
        "lk.segment_id": "meeting/anne.1#1",
        "lk.transcription_final": "false",
        "lk.transcribed_track_id": microphone.id,
        "greffier.language": "fr",
        "greffier.committed": str(len("Bonjour,")),
    }
    assert last.final
    assert last.segment == first.segment


async def test_committed_words_go_out_once_each_as_packets_of_their_own(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne, eric = await people.join(room, "anne"), await people.join(room, "eric")
    microphone = await anne.publish()
    async with staying(livekit, room) as stay:
        await stay.ear("anne")
        await stay.room.show(_caption(" Bonjour,", " tout"))
        await stay.room.show(_caption(" Bonjour, tout le", revision=2))
        await stay.room.show(_caption(" Bonjour, tout le monde.", final=True, revision=3))
        await until(lambda: eric.finals() and len(eric.packets) == 4)
    assert [packet.text for packet in eric.packets] == ["Bonjour,", "tout", "le", "monde."]
    assert [packet.id for packet in eric.packets] == [f"meeting/anne.1#1.{number}" for number in (1, 2, 3, 4)]
    assert {(each.speaker, each.track, each.final, each.language) for each in eric.packets} == {
        ("anne", microphone.id, True, "fr")
    }
    assert [(packet.start, packet.end) for packet in eric.packets][:2] == [(1000, 1500), (2000, 2500)]


async def test_packets_say_the_voice_of_a_shared_microphone_once_it_is_known(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne, eric = await people.join(room, "anne"), await people.join(room, "eric")
    await anne.publish()
    runs = [{"first": 2 * voice - 1, "count": 2, "voice": voice, "speaker": f"Anne (voix {voice})"} for voice in (1, 2)]
    async with staying(livekit, room) as stay:
        await stay.ear("anne")
        await stay.room.show(_caption(" Bonjour,", " tout"))
        await stay.room.show(_caption(" Bonjour,") | {"type": "voices", "speaker": "Anne", "runs": runs})
        await stay.room.show(_caption(" Bonjour, tout le monde. Merci.", final=True, revision=2) | {"speaker": "Anne"})
        await until(lambda: len(eric.packets) == 5)
    assert " ".join(packet.text for packet in eric.packets) == "Bonjour, (voix 1) tout le (voix 2) monde. Merci."


async def test_a_state_that_is_shown_again_is_sent_again_as_a_whole(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne, eric = await people.join(room, "anne"), await people.join(room, "eric")
    await anne.publish()
    async with staying(livekit, room) as stay:
        await stay.ear("anne")
        for _ in range(2):
            await stay.room.show(_caption(" Bonjour, tout", final=True))
        await until(lambda: len(eric.texts) == 2 and len(eric.packets) == 4)
    assert [packet.text for packet in eric.packets] == ["Bonjour,", "tout"] * 2
    assert len(eric.finals()) == 1


async def test_packets_name_a_track_of_their_speaker_or_are_not_sent(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne, eric = await people.join(room, "anne"), await people.join(room, "eric")
    async with staying(livekit, room) as stay:
        await until(lambda: "anne" in stay.names)
        await stay.room.show(_caption(" Bonjour, tout"))  # one that named no track would end this process
        await until(lambda: eric.texts)
        microphone = await anne.publish()
        await stay.ear("anne")
        await anne.unpublish(microphone)
        await until(lambda: stay.ears["anne"][0].closed)
        await stay.room.show(_caption(" Bonjour, tout le", final=True, revision=2))
        await until(lambda: len(eric.packets) == 3)
    assert [packet.text for packet in eric.packets] == ["Bonjour,", "tout", "le"]


async def test_who_comes_into_a_sentence_gets_it_from_its_beginning(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne = await people.join(room, "anne")
    await anne.publish()
    async with staying(livekit, room) as stay:
        await stay.ear("anne")
        await stay.room.show(_caption(" Bonjour, tout"))
        eric = await people.join(room, "eric")
        await eric.publish()
        await stay.ear("eric")
        await stay.room.show(_caption(" Bonjour, tout le", revision=2))
        await until(lambda: len(eric.packets) == 3)
    assert [packet.text for packet in eric.packets] == ["Bonjour,", "tout", "le"]


async def test_fronts_that_replace_segments_get_the_whole_utterance_under_one_id(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne, eric = await people.join(room, "anne"), await people.join(room, "eric")
    await anne.publish()
    async with staying(livekit, room, mode=LegacyMode.IN_PLACE) as stay:
        await stay.ear("anne")
        await stay.room.show(_caption(" Bonjour,", " tout"))
        await stay.room.show(_caption(" Bonjour, tout le monde.", final=True, revision=2))
        await until(lambda: len(eric.packets) == 2)
    assert [(each.id, each.text, each.final) for each in eric.packets] == [
        ("meeting/anne.1#1", "Bonjour, tout", False),
        ("meeting/anne.1#1", "Bonjour, tout le monde.", True),
    ]


async def test_the_last_words_of_one_who_has_left_go_by_text_stream_only(
    livekit: LiveKit, people: People, room: str
) -> None:
    anne, eric = await people.join(room, "anne@example.org"), await people.join(room, "eric")
    await anne.publish()
    async with staying(livekit, room) as stay:
        await until(lambda: stay.ears)
        (who,) = stay.ears
        await anne.leave()
        await until(lambda: stay.departed)
        await stay.room.show(_caption(" Bonjour.", final=True, who=who))
        await until(lambda: eric.texts)
        await asyncio.sleep(0.2)
    assert [(text.sender, text.text, text.final) for text in eric.texts] == [("anne@example.org", "Bonjour.", True)]
    assert not eric.packets


async def test_notices_go_out_on_a_topic_of_their_own(livekit: LiveKit, people: People, room: str) -> None:
    anne = await people.join(room, "anne")
    async with staying(livekit, room) as stay:
        fields = {"meeting": "meeting", "code": "behind", "at": 12.5, "seconds": 4}
        await stay.room.show({"type": "notice", "sequence": 4, "sent_at": 12.5} | fields)
        await stay.room.show({"type": "participant", "sequence": 5, "sent_at": 12.5})
        await until(lambda: anne.notices)
    assert anne.notices == [fields]
    assert not anne.texts


async def test_captions_leave_at_once_and_in_order(livekit: LiveKit, people: People, room: str) -> None:
    anne, eric = await people.join(room, "anne"), await people.join(room, "eric")
    await anne.publish()
    took = []
    async with staying(livekit, room) as stay:
        await stay.ear("anne")
        for number in range(1, 61):
            began = time.monotonic()
            await stay.room.show(_caption(" mot" * number, revision=number))
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.02)
        await until(lambda: len(eric.texts) == 60 and len(eric.packets) == 60)
    assert [len(text.text.split()) for text in eric.texts] == list(range(1, 61))
    assert [packet.id.rpartition(".")[2] for packet in eric.packets] == [str(number) for number in range(1, 61)]
    assert sorted(took)[len(took) // 2] < 0.05


async def test_what_cannot_be_sent_is_said_to_be(livekit: LiveKit, people: People, room: str) -> None:
    await people.join(room, "anne")
    async with staying(livekit, room) as stay:
        await stay.room.leave()
        with pytest.raises(GatewayFailed):
            await stay.room.show(_caption(" Bonjour."))


def _caption(
    committed: str, tail: str = "", *, final: bool = False, revision: int = 1, who: str = "anne"
) -> dict[str, Any]:
    texts = [f" {text}" for text in committed.split()]
    return {
        "type": "caption",
        "sequence": revision,
        "meeting": "meeting",
        "sent_at": 3.0,
        "track": f"{who}.1",
        "utterance": f"{who}.1#1",
        "revision": revision,
        "final": final,
        "language": "fr",
        "committed": committed,
        "tail": tail,
        "words": [
            {"text": text, "start": 1.0 + at, "end": 1.5 + at, "confidence": 0.9} for at, text in enumerate(texts)
        ],
        "lag": 0.5,
        "participant": who,
        "speaker": who.title(),
    }
