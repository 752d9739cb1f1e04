"""Latencies of hand-made logs, to the tenth."""

import pytest

from tests.benchmarks.latency import TrueWord, heard_words, measure_track, percentile, true_words
from tests.benchmarks.logs import event, timed

TRUTH = [TrueWord("la", 0.0, 0.3), TrueWord("sottise", 0.3, 1.0), TrueWord("humaine", 1.0, 1.6)]
# Whisper's own times are off by up to half a second, which must not matter.
WORDS = timed(("la", 0.1, 0.5), ("sottise", 0.5, 1.4), ("humaine", 1.4, 2.1))

LOG = [
    event(0.9, (), " la", revision=1),
    event(1.5, WORDS[:1], " bêtise", revision=2),
    event(2.0, WORDS[:1], " sottise humaine", revision=3),
    event(2.6, WORDS[:2], " humaine", revision=4),
    event(3.1, WORDS, revision=5, final=True),
]


def test_a_word_is_late_by_what_passed_since_its_true_end():
    found = measure_track(LOG, TRUTH)
    assert found.committed == pytest.approx([1.5 - 0.3, 2.6 - 1.0, 3.1 - 1.6])
    assert found.displayed == pytest.approx([0.9 - 0.3, 2.0 - 1.0, 2.0 - 1.6])


def test_a_final_is_late_by_what_passed_since_the_true_end_of_its_last_word():
    assert measure_track(LOG, TRUTH).finals == pytest.approx([1.5])


def test_a_misheard_word_has_no_latency_and_spoils_no_other():
    words = (WORDS[0], timed(("bêtise", 0.5, 1.4))[0], WORDS[2])
    found = measure_track([event(3.1, words, final=True)], TRUTH)
    assert found.committed == pytest.approx([2.8, 1.5])
    assert found.unmatched == 1


def test_a_final_whose_last_word_was_misheard_is_measured_from_the_word_in_its_place():
    words = (*WORDS[:2], *timed(("humain", 1.4, 2.1)))
    assert measure_track([event(3.1, words, final=True)], TRUTH).finals == pytest.approx([1.5])


def test_a_final_with_words_nobody_said_has_no_end_of_speech():
    found = measure_track([event(3.1, timed(("merci", 0, 1)), final=True)], TRUTH)
    assert found.finals == []
    assert found.unplaced == 1


def test_a_word_said_twice_is_matched_in_order():
    truth = [TrueWord("oui", 0, 1), TrueWord("non", 1, 2), TrueWord("oui", 2, 3)]
    words = timed(("oui", 0, 1), ("non", 1, 2), ("oui", 2, 3))
    log = [event(1.5, words[:1]), event(3.5, words, revision=2, final=True)]
    assert measure_track(log, truth).committed == pytest.approx([0.5, 1.5, 0.5])


def test_a_word_matched_with_the_same_word_said_much_later_is_left_out():
    found = measure_track([event(9.0, timed(("la", 0, 1)), final=True)], [TrueWord("la", 60.0, 61.0)])
    assert found.committed == []


def test_utterances_are_put_in_order_of_their_speech_not_of_their_finals():
    truth = [TrueWord("un", 0, 1), TrueWord("deux", 5, 6)]
    late = event(8.0, timed(("un", 0, 1)), final=True, utterance="u1")
    early = event(7.0, timed(("deux", 5, 6)), final=True, utterance="u2")
    found = measure_track([early, late], truth)
    assert found.committed == pytest.approx([7.0, 1.0])
    assert found.finals == pytest.approx([7.0, 1.0])


def test_a_word_is_displayed_where_it_stands_in_the_final():
    words = timed(("la", 0, 1), ("la", 1, 2))
    heard = heard_words([event(1.0, (), " la"), event(2.0, (), " la la"), event(3.0, words, final=True)], 0)
    assert [(word.displayed_at, word.committed_at) for word in heard] == [(1.0, 3.0), (2.0, 3.0)]


def test_an_elision_inside_one_timed_word_shares_its_time():
    found = measure_track([event(2.0, timed(("l'homme", 0, 1)), final=True)], true_words(timed(("l'homme", 0, 1.2))))
    assert found.committed == pytest.approx([0.8, 0.8])


def test_words_cut_at_an_apostrophe_are_matched_with_the_whole_word():
    pieces = (*timed(("l", 0, 0.2)), timed(("x", 0.2, 1))[0].__class__("'homme", 0.2, 1.0))
    found = measure_track([event(2.0, pieces, final=True)], true_words(timed(("l'homme", 0, 1.2))))
    assert found.unmatched == 0


def test_latencies_of_a_part_of_the_replay():
    found = measure_track(LOG, TRUTH)
    assert found.between(0.5, 1.5) == pytest.approx([1.6])


def test_percentiles_of_nothing_are_not_numbers():
    assert percentile([], 50) != percentile([], 50)
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
