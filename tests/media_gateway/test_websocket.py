"""Hellos and messages of clients that send sound over a WebSocket: what is right is heard, what is wrong is said."""

import asyncio
import json
from collections.abc import Sequence

import numpy as np
import pytest

from media_gateway.websocket import LONGEST_HELLO, Codec, Hello, SocketTap, read_hello
from pipeline.domain import (
    AudioFrame,
    AudioLost,
    Participant,
    ParticipantId,
    Samples,
    Track,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
)
from pipeline.errors import InvalidInput
from tests.media_gateway.opus_packets import encoded, likeness
from tests.recordings import heard, joined, tone

TRACK = Track(TrackId("track"), Participant(ParticipantId("p"), "P"))


class Clock:
    """Meeting time that the test moves."""

    def __init__(self) -> None:
        self.at = 3.0

    def now(self) -> float:
        return self.at


def tap(codec: Codec, rate: int, clock: Clock) -> SocketTap:
    return SocketTap(Hello("token", codec, rate), TRACK, clock.now, lambda: True)


async def events_of(source: SocketTap) -> list[TrackEvent]:
    source.finish()
    return [event async for event in source.source.events()]


def sound_of(events: Sequence[TrackEvent]) -> Samples:
    return joined([event for event in events if isinstance(event, AudioFrame)])


def test_a_hello_says_token_codec_and_rate() -> None:
    assert read_hello('{"token": "t", "codec": "pcm16", "sample_rate": 44100}') == Hello("t", Codec.PCM16, 44_100)
    assert read_hello('{"token": "t", "codec": "opus"}') == Hello("t", Codec.OPUS, 48_000)


def test_a_hello_does_not_show_its_token() -> None:
    assert "secret" not in repr(read_hello('{"token": "secret", "codec": "opus"}'))


@pytest.mark.parametrize(
    ("hello", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * LONGEST_HELLO, "not JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "no token"),
        ('{"token": 7, "codec": "opus"}', "no token"),
        ('{"token": "", "codec": "opus"}', "no token"),
        ('{"token": "t"}', "codec must be"),
        ('{"token": "t", "codec": ["opus"]}', "codec must be"),
        ('{"token": "t", "codec": "mp3"}', "codec must be"),
        ('{"token": "t", "codec": "pcm16", "sample_rate": "48000"}', "sample_rate must be"),
        ('{"token": "t", "codec": "pcm16", "sample_rate": true}', "sample_rate must be"),
        ('{"token": "t", "codec": "pcm16", "sample_rate": 7999}', "sample_rate must be"),
        ('{"token": "t", "codec": "pcm16", "sample_rate": 1e9}', "sample_rate must be"),
        (json.dumps({"token": "t" * LONGEST_HELLO, "codec": "opus"}), "longer than"),
    ],
)
def test_a_wrong_hello_is_told_what_is_wrong(hello: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_hello(hello)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000])
async def test_pcm_of_any_rate_is_heard_at_16_khz(rate: int) -> None:
    clock = Clock()
    source = tap(Codec.PCM16, rate, clock)
    sound = np.rint(tone(2.0, rate=rate) * 32767).astype("<i2")
    for begin in range(0, len(sound), rate // 10):
        clock.at += 0.1
        await source.push(sound[begin : begin + rate // 10].tobytes())
    events = await events_of(source)
    assert isinstance(events[0], TrackOpened)
    assert isinstance(events[-1], TrackClosed)
    assert len(sound_of(events)) == pytest.approx(32_000, abs=800)
    expected = np.rint(tone(2.0) * 32767).astype(np.int16)
    assert likeness(expected, sound_of(events)) > 0.99
    assert not [event for event in events if isinstance(event, AudioLost)]


async def test_opus_packets_are_decoded() -> None:
    clock = Clock()
    source = tap(Codec.OPUS, 48_000, clock)
    speech = heard("en_LJ001-0002.wav")
    for packet in encoded(speech):
        clock.at += 0.02
        await source.push(packet)
    events = await events_of(source)
    assert likeness(speech, sound_of(events)) > 0.95
    frames = [event for event in events if isinstance(event, AudioFrame)]
    assert frames[0].start == pytest.approx(3.0)
    assert frames[-1].end == pytest.approx(clock.at)


async def test_an_odd_number_of_bytes_is_no_pcm() -> None:
    with pytest.raises(InvalidInput, match="odd number of bytes"):
        await tap(Codec.PCM16, 16_000, Clock()).push(b"\x00\x01\x02")


async def test_an_empty_message_is_nothing() -> None:
    source = tap(Codec.PCM16, 16_000, Clock())
    await source.push(b"")
    assert sound_of(await events_of(source)).size == 0


async def test_a_packet_that_is_none_is_concealed_many_in_a_row_are_refused() -> None:
    clock = Clock()
    source = tap(Codec.OPUS, 48_000, clock)
    speech = encoded(heard("en_LJ001-0002.wav"))
    for _ in range(49):
        clock.at += 0.02
        await source.push(b"\xff")
    await source.push(speech[0])
    with pytest.raises(InvalidInput, match="no Opus packets"):
        for _ in range(50):
            await source.push(b"\xff")
    with pytest.raises(InvalidInput, match="longer than any Opus packet"):
        await source.push(bytes(100_000))


async def test_sound_faster_than_speech_is_taken_at_the_pace_of_speech() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    source = SocketTap(Hello("t", Codec.PCM16, 16_000), TRACK, lambda: loop.time() - began, lambda: True)
    for _ in range(10):
        await source.push(bytes(2 * 1_600))  # a second in all
    assert loop.time() - began == pytest.approx(0.5, abs=0.2)
    events = await events_of(source)
    assert len(sound_of(events)) == 16_000


async def test_while_nobody_listens_nothing_is_kept_and_nothing_is_lost() -> None:
    clock = Clock()
    listening = True
    source = SocketTap(Hello("t", Codec.PCM16, 16_000), TRACK, clock.now, lambda: listening)
    for number in range(40):
        listening = not 10 <= number < 30
        clock.at += 0.1
        await source.push(np.full(1_600, number, "<i2").tobytes())
    events = await events_of(source)
    assert {int(value) for value in sound_of(events)} == {*range(10), *range(30, 40)}
    frames = [event for event in events if isinstance(event, AudioFrame)]
    assert not [event for event in events if isinstance(event, AudioLost)]
    assert frames[-1].end == pytest.approx(clock.at)


async def test_a_client_that_pauses_goes_on_at_its_arrival() -> None:
    clock = Clock()
    source = tap(Codec.PCM16, 16_000, clock)
    for number in range(40):
        clock.at += 5.1 if number == 20 else 0.1
        await source.push(np.full(1_600, 7, "<i2").tobytes())
    events = await events_of(source)
    assert [event for event in events if isinstance(event, AudioLost)] == []
    frames = [event for event in events if isinstance(event, AudioFrame)]
    assert frames[-1].end == pytest.approx(clock.at, abs=0.1)
