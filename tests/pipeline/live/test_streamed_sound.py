"""Times of a stream are found again in meeting time, whatever was left out of its sound."""

import pytest

from pipeline.live.streamed_sound import SpokenSpans, StreamedSound


def test_short_pauses_belong_to_a_span_and_long_ones_do_not() -> None:
    spans = SpokenSpans()
    for start, end in [(1.0, 2.0), (2.5, 3.0), (2.0, 2.8), (5.0, 6.0)]:
        spans.add(start, end)
    assert list(spans.spans) == [(1.0, 3.0), (5.0, 6.0)]


def test_spans_that_nobody_needs_are_forgotten() -> None:
    spans = SpokenSpans()
    spans.add(1.0, 2.0)
    spans.add(5.0, 6.0)
    spans.forget(2.0)
    assert list(spans.spans) == [(5.0, 6.0)]


def test_sound_is_sent_from_its_position_on_a_second_at_a_time() -> None:
    sound = StreamedSound(1.5)
    spans = [(1.0, 3.0), (5.0, 5.5)]
    pieces = []
    while (piece := sound.next_piece(spans)) is not None:
        pieces.append(piece)
        sound.sent(piece[0], round((piece[1] - piece[0]) * 16000))
    assert pieces == [(1.5, 2.5), (2.5, 3.0), (5.0, 5.5)]
    assert sound.seconds == 2.0


def test_times_are_found_again_on_both_sides_of_what_was_left_out() -> None:
    sound = StreamedSound(1.0)
    sound.sent(1.0, 32000)
    sound.sent(10.0, 16000)
    assert (sound.begin_of(0.5), sound.end_of(0.5)) == (1.5, 1.5)
    assert (sound.begin_of(2.0), sound.end_of(2.0)) == (10.0, 3.0)
    assert sound.end_of(2.5) == 10.5


def test_nothing_sent_begins_at_the_position() -> None:
    assert StreamedSound(7.0).begin_of(0.0) == 7.0


def test_times_long_ago_may_be_forgotten() -> None:
    sound = StreamedSound(0.0)
    sound.sent(0.0, 16000)
    sound.sent(5.0, 16000)
    sound.sent(9.0, 16000)
    sound.forget(1.5)
    assert (sound.begin_of(1.5), sound.begin_of(2.5)) == (5.5, 9.5)


def test_rounding_does_not_add_up_over_hours() -> None:
    sound = StreamedSound(0.1)
    for _ in range(100_000):
        sound.sent(sound.position, 1601)
    assert sound.begin_of(sound.seconds) == pytest.approx(0.1 + 100_000 * 1601 / 16000, abs=1e-6)
