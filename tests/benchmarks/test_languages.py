"""Languages of hand-made logs."""

import pytest

from tests.benchmarks.corpus import Turn
from tests.benchmarks.languages import Spoken, count_right, measure_switches
from tests.benchmarks.logs import event, timed


def turn(start, end, language):
    return Turn("c", (0, end - start), start, end, "x", language, ((start, end),))


TURNS = [turn(0, 10, "fr"), turn(10, 11, "en"), turn(11, 20, "fr"), turn(20, 30, "en")]


def test_each_word_is_judged_by_what_is_spoken_at_its_middle():
    log = [event(9, timed(("oui", 1, 2), ("yes", 11, 12), ("hum", 25, 26)), language="fr", final=True)]
    assert count_right(log, [Spoken(0, 10, "fr"), Spoken(10, 20, "en")]) == (1, 2)


def test_words_where_two_languages_sound_at_once_are_not_judged():
    log = [event(9, timed(("oui", 1, 2)), final=True)]
    assert count_right(log, [Spoken(0, 10, "fr"), Spoken(0, 5, "en")]) == (0, 0)


def test_a_switch_is_followed_when_a_caption_in_its_language_holds_its_words():
    log = [
        event(8, timed(("oui", 1, 2)), language="fr"),
        event(21, timed(("fin", 18, 19)), language="en", utterance="u1"),
        event(23, timed(("yes", 21, 22)), language="en", utterance="u2"),
    ]
    found = measure_switches(log, TURNS)
    assert found.delays == pytest.approx([3.0])
    assert found.within(8) == 1.0


def test_a_switch_that_is_never_followed_is_missed():
    found = measure_switches([event(22, timed(("yes", 21, 22)), language="fr")], TURNS)
    assert (found.delays, found.missed, found.within(8)) == ([], 1, 0.0)
