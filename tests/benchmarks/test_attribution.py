"""Words of another participant are counted, words misheard are not."""

from tests.benchmarks.attribution import words_of_others
from tests.benchmarks.latency import TrueWord


def said(text: str, start: float = 0.0) -> list[TrueWord]:
    return [TrueWord(word, start + place, start + place + 1) for place, word in enumerate(text.split())]


TRUTH = {"anne": said("il neige sur la ville ce soir"), "bob": said("nous parlons du budget de demain")}


def test_what_each_says_and_what_is_misheard_is_nobody_elses():
    heard = {"anne": said("il neige sur la ville de demain"), "bob": said("nous parlons du budget")}
    assert words_of_others(heard, TRUTH) == 0


def test_a_row_of_words_that_somebody_else_says_then_is_counted_whole():
    heard = {"anne": said("il neige") + said("du budget de demain", 2.5), "bob": []}
    assert words_of_others(heard, TRUTH) == 4


def test_the_same_words_said_by_both_or_at_another_time_are_not():
    both = {"anne": TRUTH["anne"] + said("du budget de demain", 20.0), "bob": TRUTH["bob"]}
    assert words_of_others(both, TRUTH) == 0
    assert words_of_others({"anne": TRUTH["bob"], "bob": []}, {"anne": TRUTH["bob"], "bob": TRUTH["bob"]}) == 0
