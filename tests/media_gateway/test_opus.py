"""Opus to 16 kHz mono: right sound, bad packets concealed, lost ones recovered from the next."""

import ctypes
import random

import numpy as np
import pytest

from media_gateway import opus
from media_gateway.opus import OpusDecoder
from pipeline.domain import Samples
from pipeline.errors import GreffierError
from tests.media_gateway.opus_packets import PACKET_SAMPLES, encoded, likeness
from tests.recordings import heard


@pytest.fixture(scope="module")
def speech() -> Samples:
    return heard("en_LJ001-0002.wav")


@pytest.fixture(scope="module")
def packets(speech: Samples) -> list[bytes]:
    return encoded(speech)


def test_decoded_speech_is_the_speech_at_16_khz(speech: Samples, packets: list[bytes]) -> None:
    decoder = OpusDecoder()
    sound = np.concatenate([decoder.decode(packet) for packet in packets])
    assert len(sound) == len(packets) * PACKET_SAMPLES
    assert sound.dtype == np.int16
    assert likeness(speech, sound) > 0.95
    assert decoder.concealed_packets == 0


def test_the_length_of_a_packet_is_known_without_decoding(packets: list[bytes]) -> None:
    assert OpusDecoder().length(packets[0]) == PACKET_SAMPLES
    assert OpusDecoder().knows(packets[0])


@pytest.mark.parametrize("packet", [b"", b"\xff", bytes(3), bytes(range(256)) * 8])
def test_what_is_no_packet_is_concealed_for_as_long_as_the_last(packet: bytes, packets: list[bytes]) -> None:
    decoder = OpusDecoder()
    decoder.decode(packets[0])
    sound = decoder.decode(packet)
    assert 0 < len(sound) <= opus.LONGEST_SAMPLES
    assert len(decoder.decode(packets[1])) == PACKET_SAMPLES


def test_no_bytes_at_all_crash_it(packets: list[bytes]) -> None:
    chance = random.Random(0)
    decoder = OpusDecoder()
    for _ in range(2_000):
        packet = bytearray(chance.choice(packets)[: chance.randrange(1, 60)])
        packet[chance.randrange(len(packet))] = chance.randrange(256)
        assert len(decoder.decode(bytes(packet))) <= opus.LONGEST_SAMPLES
        decoder.recover(bytes(packet), chance.randrange(1, 3_000))


def test_a_lost_packet_is_recovered_from_the_copy_in_the_next(speech: Samples, packets: list[bytes]) -> None:
    """Better than what is made up; at every tenth packet."""
    with_copies, made_up = OpusDecoder(), OpusDecoder()
    recovered, guessed = [], []
    for number, packet in enumerate(packets[:-1]):
        lost = number % 10 == 5
        recovered.append(
            with_copies.recover(packets[number + 1], PACKET_SAMPLES) if lost else with_copies.decode(packet)
        )
        guessed.append(made_up.conceal(PACKET_SAMPLES) if lost else made_up.decode(packet))
    assert likeness(speech, np.concatenate(recovered)) > likeness(speech, np.concatenate(guessed)) + 0.005


@pytest.mark.parametrize("count", [1, 39, 320, 333, 1_600, 4_000])
def test_as_much_is_made_up_as_is_asked_for(count: int, packets: list[bytes]) -> None:
    decoder = OpusDecoder()
    decoder.decode(packets[10])
    assert len(decoder.conceal(count)) == count
    assert len(decoder.recover(packets[11], count)) == count
    assert len(decoder.recover(b"", count)) == count
    assert len(decoder.conceal(0)) == 0


def test_without_libopus_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "_candidates", lambda: ["libopus-that-is-not-there.so"])
    opus._libopus.cache_clear()
    try:
        with pytest.raises(GreffierError, match="install PyAV from its wheel, or libopus"):
            OpusDecoder()
    finally:
        opus._libopus.cache_clear()


def test_the_copy_of_pyav_comes_first_and_the_systems_last() -> None:
    candidates = opus._candidates()
    assert candidates[-1] == "libopus.so.0"
    assert ctypes.PyDLL(candidates[0])
