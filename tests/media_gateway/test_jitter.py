"""Packets in any order become frames in order: what is missing is made up or named, pauses are neither."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest

from media_gateway.jitter import JitterBuffer
from media_gateway.opus import OpusDecoder
from pipeline.domain import SAMPLE_RATE, AudioFrame, AudioLost, Samples, TrackId
from tests.media_gateway.opus_packets import PACKET_SAMPLES, encoded, likeness
from tests.recordings import heard, joined

TRACK = TrackId("track")
TICKS = 960
Given = list[AudioFrame | AudioLost]


@dataclass
class Numbers:
    """A decoder whose sound tells which packet it came from; -1 is made up, -2 recovered from the next packet."""

    samples: int = PACKET_SAMPLES
    decoded: list[int] = field(default_factory=list)

    def decode(self, packet: bytes) -> Samples:
        self.decoded.append(int.from_bytes(packet, "big"))
        return np.full(self.samples, int.from_bytes(packet, "big"), np.int16)

    def conceal(self, count: int) -> Samples:
        return np.full(count, -1, np.int16)

    def recover(self, following: bytes, count: int) -> Samples:
        return np.full(count, -2, np.int16)

    def length(self, packet: bytes) -> int:
        return self.samples


@dataclass
class Line:
    """Packets by number into a buffer: number n carries the sound from 5 + n * 0.02 on and arrives when it ends."""

    first_sequence: int = 100
    first_timestamp: int = 7_000
    buffer: JitterBuffer = field(default_factory=lambda: JitterBuffer(TRACK, Numbers()))
    given: Given = field(default_factory=list)
    skipped: int = 0

    def push(self, *numbers: int, late: float = 0.0) -> None:
        for number in numbers:
            sequence = (self.first_sequence + number - self.skipped) & 0xFFFF
            timestamp = (self.first_timestamp + number * TICKS) & 0xFFFFFFFF
            at = 5.0 + (number + 1) * 0.02 + late
            self.given += self.buffer.push(sequence, timestamp, number.to_bytes(2, "big"), at)

    def pause(self, packets: int) -> None:
        """So many packets are not sent while time goes on: numbers of packets go on, sequence numbers do not."""
        self.skipped += packets

    @property
    def frames(self) -> list[AudioFrame]:
        return [event for event in self.given if isinstance(event, AudioFrame)]

    @property
    def lost(self) -> list[AudioLost]:
        return [event for event in self.given if isinstance(event, AudioLost)]

    @property
    def heard(self) -> list[int]:
        """Each 20 ms of sound by what it holds."""
        return [int(value) for value in joined(self.frames)[::PACKET_SAMPLES]]


def whole(given: Sequence[AudioFrame | AudioLost]) -> bool:
    """No sound is missing, or twice, without a word."""
    return all(later.start == pytest.approx(sooner.end, abs=1e-6) for sooner, later in pairwise(given))


def test_packets_in_order_are_frames_of_40_ms_at_the_time_of_their_arrival() -> None:
    line = Line()
    line.push(*range(10))
    assert line.heard == list(range(10))
    assert [len(frame.samples) for frame in line.frames] == [640] * 5
    assert line.frames[0].start == pytest.approx(5.0)
    assert whole(line.given)


@pytest.mark.parametrize("first", [65_530, 65_535, 0])
def test_sequence_numbers_and_timestamps_wrap(first: int) -> None:
    line = Line(first, 2**32 - 3 * TICKS)
    line.push(*range(20))
    assert line.heard == list(range(20))
    assert whole(line.given)


def test_packets_that_overtake_others_are_put_back() -> None:
    line = Line()
    line.push(0, 1, 3, 2, 5, 4, 6, 7)
    assert line.heard == list(range(8))
    assert line.buffer.counts.concealed == 0


def test_doubled_and_late_packets_are_dropped() -> None:
    line = Line()
    line.push(0, 1, 1, 2, 4, 5, 6, 7, 3, 8, 9)
    assert line.heard == [0, 1, 2, -2, 4, 5, 6, 7, 8, 9]
    assert line.buffer.counts.late == 2
    assert whole(line.given)


def test_a_packet_doubled_while_it_waits_is_heard_once() -> None:
    line = Line()
    line.push(0, 2, 2, 1, 3)
    assert line.heard == [0, 1, 2, 3]


def test_a_short_loss_is_made_up_the_last_packet_of_it_from_the_next() -> None:
    line = Line()
    line.push(0, 1, 5, 6, 7, 8)
    line.given += line.buffer.finish()
    assert line.heard == [0, 1, -1, -1, -2, 5, 6, 7, 8]
    assert line.lost == []
    assert line.buffer.counts.concealed == pytest.approx(0.06)


def test_a_long_loss_is_named_where_it_was() -> None:
    line = Line()
    line.push(0, 1, *range(10, 16))
    assert line.lost == [AudioLost(TRACK, pytest.approx(5.04), pytest.approx(5.2))]
    assert line.heard == [0, 1, *range(10, 16)]
    assert whole(line.given)
    assert line.buffer.counts.lost == pytest.approx(0.16)


def test_a_loss_is_waited_for_no_longer_than_three_packets() -> None:
    line = Line()
    line.push(0, 1, 3, 4)
    assert line.heard == [0, 1]
    line.push(5)
    assert line.heard == [0, 1, -2, 3, 4, 5]


def test_a_packet_held_back_by_a_loss_is_given_when_nothing_follows() -> None:
    line = Line()
    line.push(0, 1, 3)
    line.given += line.buffer.flush(5.0 + 4 * 0.02 + 0.03)
    assert line.heard == [0, 1]
    line.given += line.buffer.flush(5.0 + 4 * 0.02 + 0.07)
    assert line.heard == [0, 1, -2, 3]


def test_the_last_half_frame_is_given_when_nothing_follows() -> None:
    line = Line()
    line.push(0, 1, 2)
    line.given += line.buffer.flush(5.07)
    assert line.heard == [0, 1]
    line.given += line.buffer.flush(5.2)
    assert line.heard == [0, 1, 2]


def test_all_that_waits_is_given_at_the_end() -> None:
    line = Line()
    line.push(0, 2, 4)
    line.given += line.buffer.finish()
    assert line.heard == [0, -2, 2, -2, 4]
    assert line.buffer.finish() == []


def test_dtx_goes_on_as_silence_and_is_no_loss() -> None:
    line = Line()
    line.push(0, 1)
    line.pause(19)
    line.push(21, 22)
    assert line.heard == [0, 1, *[0] * 19, 21, 22]
    assert line.lost == []
    assert line.buffer.counts.concealed == 0


def test_a_mute_is_a_second_of_silence_then_nothing_and_no_loss() -> None:
    line = Line()
    line.push(0, 1)
    line.pause(500)
    line.push(502, 503)
    assert line.heard == [0, 1, *[0] * 50, 502, 503]
    assert line.lost == []
    assert line.frames[-1].start == pytest.approx(5.0 + 502 * 0.02)


def test_a_loss_beside_a_pause_is_named() -> None:
    line = Line()
    line.push(0, 1)
    line.pause(30)
    line.push(33, 34, 35, 36)  # 32 was lost
    assert line.lost == [AudioLost(TRACK, pytest.approx(5.04), pytest.approx(5.66))]


def test_padding_holds_no_sound_and_hides_no_loss() -> None:
    line = Line()
    line.push(0, 1)
    line.given += line.buffer.push(102, 7_000 + TICKS, b"", 5.05)
    line.skipped = -1
    line.push(2, 3)
    assert line.heard == [0, 1, 2, 3]
    line.given += line.buffer.push(107, 7_000 + 3 * TICKS, b"", 5.1)  # 105 and 106 are missing
    line.skipped = -2
    line.push(6, 7, 8)
    line.given += line.buffer.finish()
    assert line.heard == [0, 1, 2, 3, -1, -2, 6, 7, 8]


def test_a_sender_that_starts_anew_goes_on_at_its_arrival() -> None:
    line = Line()
    line.push(0, 1)
    other = Line(40_000, 999_999, line.buffer)
    other.push(300, 301)
    assert other.heard == [300, 301]
    assert other.frames[0].start == pytest.approx(11.0)
    assert other.lost == []


def test_timestamps_that_jump_ahead_of_time_say_nothing() -> None:
    line = Line()
    line.push(0, 1)
    line.first_timestamp += 3600 * 48_000
    line.push(2, 3)
    assert line.frames[-1].start == pytest.approx(5.04, abs=0.01)
    assert line.heard == [0, 1, 2, 3]


def test_sound_that_comes_faster_than_time_is_dropped_until_its_time_has_come() -> None:
    line = Line()
    for number in range(500):  # ten seconds at once
        line.push(number, late=-number * 0.02)
    assert line.frames[-1].end == pytest.approx(5.02 + 0.5, abs=0.1)
    assert line.buffer.counts.late == pytest.approx(500 - 26, abs=2)
    line.push(*range(500, 600))
    assert line.heard[-100:] == list(range(500, 600))
    assert line.frames[-1].end == pytest.approx(5.0 + 600 * 0.02, abs=0.1)


def test_timestamps_that_go_back_say_nothing() -> None:
    line = Line()
    line.push(*range(10))
    line.first_timestamp -= 5 * TICKS
    line.push(*range(10, 20))
    assert line.heard == list(range(20))
    assert whole(line.given)


def test_timestamps_that_stood_still_while_muted_catch_up() -> None:
    line = Line()
    line.push(*range(50))
    for number in range(50, 150):
        line.push(number, late=8.0)
    assert line.frames[-1].end == pytest.approx(5.0 + 150 * 0.02 + 8.0, abs=0.1)
    assert line.lost == []


def test_a_drifting_clock_is_followed_without_overlap() -> None:
    line = Line()
    for number in range(6_000):
        line.push(number, late=number * 0.02 * 0.002)
    assert line.frames[-1].end == pytest.approx(5.0 + 120.0 * 1.002, abs=0.1)
    assert whole(line.given)
    fast = Line()
    for number in range(6_000):
        fast.push(number, late=-number * 0.02 * 0.002)
    assert fast.frames[-1].end == pytest.approx(5.0 + 120.0 * 0.998, abs=0.1)
    assert whole(fast.given)


def test_packets_passed_over_are_no_loss_and_the_time_goes_on() -> None:
    line = Line()
    line.push(0, 1, 2)
    line.given += line.buffer.pass_over()
    assert line.heard == [0, 1, 2]
    assert line.buffer.pass_over() == []
    line.push(100, 101)
    assert line.heard == [0, 1, 2, 100, 101]
    assert line.frames[-1].start == pytest.approx(7.0)
    assert line.lost == []


def test_nothing_is_missing_without_a_mark_whatever_the_network_does() -> None:
    for seed in range(30):
        chance = random.Random(seed)
        drop, burst = chance.choice([0.02, 0.1, 0.3]), chance.choice([1, 3, 15])
        sent = [number for number in range(600) if number < 5 or chance.random() > drop / burst]
        numbers = [number for number in sent if not any(number - k not in sent for k in range(burst) if number > 20)]
        for place in range(len(numbers) - 1):
            if chance.random() < 0.1:
                numbers[place], numbers[place + 1] = numbers[place + 1], numbers[place]
        line = Line()
        for number in numbers:
            line.push(number, late=chance.uniform(0.0, 0.02))
            if chance.random() < 0.05:
                line.push(number)
        line.given += line.buffer.finish()
        assert whole(line.given), f"seed {seed}"
        assert all(event.end > event.start for event in line.given)


def test_a_tenth_of_real_packets_lost_sounds_like_the_speech() -> None:
    speech = heard("en_LJ001-0002.wav")
    chance = random.Random(1)
    buffer = JitterBuffer(TRACK, OpusDecoder())
    given: Given = []
    for number, packet in enumerate(encoded(speech)):
        if number and chance.random() < 0.1:
            continue
        given += buffer.push(number, number * TICKS, packet, 1.0 + number * 0.02)
    given += buffer.finish()
    assert whole(given)
    assert buffer.counts.concealed + buffer.counts.lost > 0.1
    assert likeness(speech, joined([event for event in given if isinstance(event, AudioFrame)])) > 0.9
    assert given[-1].end - given[0].start == pytest.approx(len(speech) / SAMPLE_RATE, abs=0.05)
