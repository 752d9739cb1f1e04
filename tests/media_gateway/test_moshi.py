"""The moshi dialect without a socket: messages, pauses, streams of Opus in Ogg."""

import io

import av
import msgpack
import numpy as np
import pytest

from media_gateway.moshi import OggOpus, StreamedSound, pause_shares, read_message, spoken
from media_gateway.ogg_opus import OggOpusStream
from pipeline.domain import Samples, Word
from pipeline.errors import InvalidInput
from tests.media_gateway.opus_packets import likeness
from tests.recordings import heard


def ogg(sound: Samples, layout: str = "mono") -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000, layout=layout)
        frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        frame.rate = 16_000
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=48_000, frame_size=960)
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.fixture(scope="module")
def speech() -> Samples:
    return heard("en_LJ001-0002.wav")


@pytest.mark.parametrize("size", [1, 100, 5_000, 1_000_000])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_ogg_opus_is_decoded_from_pieces_of_any_size(speech: Samples, size: int, layout: str) -> None:
    content = ogg(speech, layout)
    stream = OggOpusStream()
    sound = np.concatenate([stream.push(content[begin : begin + size]) for begin in range(0, len(content), size)])
    assert len(speech) <= len(sound) <= len(speech) + 1_000  # the last packet is filled up
    assert likeness(sound, speech, 0.01) > 0.95


def test_streams_one_after_the_other_are_heard_as_one(speech: Samples) -> None:
    content = ogg(speech)
    stream = OggOpusStream()
    assert len(stream.push(content)) == len(stream.push(content))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"RIFF", "no Ogg stream"),
        (b"Og!", "no Ogg stream"),
        (ogg(np.zeros(1_600, np.int16)).replace(b"OpusHead", b"vorbisss"), "holds no Opus"),
        (ogg(np.zeros(1_600, np.int16))[:26] + b"\xff" + b"\xff" * 255 + bytes(70_000), "no Ogg stream"),
    ],
)
def test_what_is_no_ogg_opus_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        OggOpusStream().push(content)


def test_many_channels_are_refused() -> None:
    content = bytearray(ogg(np.zeros(1_600, np.int16)))
    content[content.index(b"OpusHead") + 18] = 1
    with pytest.raises(InvalidInput, match="more than two channels"):
        OggOpusStream().push(bytes(content))


def test_a_packet_without_end_is_refused() -> None:
    head = ogg(np.zeros(1_600, np.int16))
    page = b"OggS\x00\x01" + bytes(20) + b"\xff" + b"\xff" * 255 + bytes(255 * 255)
    stream = OggOpusStream()
    stream.push(head)
    with pytest.raises(InvalidInput, match="longer than any"):
        stream.push(page)


def test_bytes_may_come_as_numbers() -> None:
    assert read_message(msgpack.packb({"type": "OggOpus", "data": [79, 103]})) == OggOpus(b"Og")
    with pytest.raises(InvalidInput):
        read_message(msgpack.packb({"type": "OggOpus", "data": [256]}))


def test_what_of_a_pause_has_passed() -> None:
    assert pause_shares(0.0) == [0.0, 0.0, 0.0, 0.0]
    assert pause_shares(0.75) == [1.0, 0.75, 0.375, 0.25]
    assert pause_shares(9.0) == [1.0, 1.0, 1.0, 1.0]


def test_a_word_has_no_spaces_around_it() -> None:
    word, end = spoken(Word(" hello", 1.00049, 1.5))
    assert word == {"type": "Word", "text": "hello", "start_time": 1.0}
    assert end == {"type": "EndWord", "stop_time": 1.5}


def test_what_is_left_over_is_taken_once() -> None:
    sound = StreamedSound()
    content = ogg(np.zeros(2_000, np.int16))
    pieces = sound.push(OggOpus(content))
    assert {len(piece) for piece in pieces} == {1_280}
    left = sound.buffered
    assert left == len(sound.rest()) * 3 // 2
    assert len(sound.rest()) == 0
