"""Event logs that break a law once are counted once."""

import pytest

from tests.benchmarks.integrity import (
    Erasure,
    Violations,
    find_violations,
    measure_erasure,
    shown_words,
    update_intervals,
    words_outside,
)
from tests.benchmarks.logs import event, timed

ONE = timed(("la", 0, 1))
TWO = timed(("la", 0, 1), ("sottise", 1, 2))
OTHER = timed(("le", 0, 1), ("mal", 1, 2))

GOOD = [
    event(1.0, (), " la", revision=1),
    event(2.0, ONE, " sot", revision=2),
    event(3.0, TWO, revision=3, final=True),
]


def test_a_good_log_breaks_nothing():
    assert find_violations(GOOD) == Violations()


def test_committed_words_that_change_are_found():
    assert find_violations([GOOD[1], event(3, OTHER, revision=3, final=True)]).changed == 1


def test_committed_words_that_go_away_are_found():
    assert find_violations([event(1, TWO, revision=1), event(3, ONE, revision=3, final=True)]).changed == 1


def test_committed_words_whose_times_change_are_found():
    moved = timed(("la", 0, 1.5), ("sottise", 1.5, 2))
    assert find_violations([GOOD[1], event(3, moved, revision=3, final=True)]).changed == 1


def test_a_final_with_a_tail_is_found():
    assert find_violations([event(3, TWO, " et", final=True)]).changed == 1


def test_a_revision_that_does_not_increase_is_found():
    assert find_violations([GOOD[0], event(3, TWO, revision=1, final=True)]) == Violations(disordered=1)


def test_an_event_sent_before_the_one_it_follows_is_found():
    assert find_violations([GOOD[1], event(1, TWO, revision=3, final=True)]) == Violations(disordered=1)


def test_a_lost_final_is_found():
    assert find_violations([*GOOD, event(4, utterance="u2")]) == Violations(lost=1)


def test_a_doubled_final_and_a_caption_after_a_final_are_found():
    assert find_violations([*GOOD, event(4, TWO, revision=4, final=True)]) == Violations(doubled=1)
    assert find_violations([*GOOD, event(4, TWO, revision=4)]) == Violations(doubled=1)


def test_a_committed_text_other_than_its_words_is_found():
    wrong = GOOD[2].__class__(3, "a.wav", "u1", 3, True, "fr", " la bêtise", "", TWO)
    assert find_violations([wrong]) == Violations(mistold=1)


def test_utterances_of_the_same_name_in_two_tracks_are_two():
    assert find_violations([*GOOD, event(1, ONE, revision=1, final=True, track="b.wav")]) == Violations()


def test_erasure_counts_the_words_taken_back():
    log = [
        event(1, (), " la bêtise humaine", revision=1),
        event(2, ONE, " sottise", revision=2),
        event(3, TWO, " et", revision=3),
        event(4, TWO, revision=4, final=True),
    ]
    assert measure_erasure(log) == Erasure(deleted=3, final=2)
    assert measure_erasure(log).rate == 1.5


def test_words_that_only_grow_erase_nothing():
    assert measure_erasure([event(1, (), " la"), event(2, ONE, " sottise"), event(3, TWO, final=True)]).rate == 0.0


def test_only_words_that_touch_no_speech_are_outside():
    words = timed(("avant", 0.0, 0.4), ("bord", 0.2, 0.6), ("dedans", 1.5, 2.0), ("après", 3.6, 4.0))
    assert [word.text for word in words_outside(words, [(1.0, 3.0)])] == [" avant", " après"]


def test_what_was_shown_and_taken_back_on_audio_without_speech_counts():
    assert shown_words([event(1, (), " merci à tous"), event(2, (), "", final=True)]) == 3


def test_intervals_are_taken_inside_an_utterance():
    log = [event(1.0), event(1.5), event(9.0, utterance="u2"), event(9.8, utterance="u2")]
    assert update_intervals(log) == pytest.approx([0.5, 0.8])
