"""What a recogniser makes up is cut; what was said survives."""

from dataclasses import replace

import pytest

from models.guards import SILENCE_PHRASES, Guards, before_pile, compression_ratio, doubted, loops, numbers_alone, plain
from pipeline.domain import Word

GUARDS = Guards()
SURE, DOUBTFUL = (0.02, -0.2), (0.5, -0.8)


def spoken(*texts: str, each: float = 0.3, start: float = 0.0) -> list[Word]:
    return [Word(f" {text}", start + index * each, start + (index + 1) * each) for index, text in enumerate(texts)]


@pytest.mark.parametrize("text", [" Merci.", " Thank you.", " OK.", " Oui !", " So..."])
def test_a_listed_phrase_that_was_heard_well_survives(text: str) -> None:
    assert not doubted(text, *SURE, GUARDS)


@pytest.mark.parametrize("scores", [(0.5, -0.1), (0.01, -0.8), DOUBTFUL])
def test_a_listed_phrase_is_cut_when_either_score_doubts_it(scores: tuple[float, float]) -> None:
    assert doubted(" Merci.", *scores, GUARDS)
    assert doubted(" Sous-titres réalisés par la communauté d'Amara.org", *scores, GUARDS)


def test_other_words_survive_the_doubt_that_cuts_a_listed_phrase() -> None:
    assert not doubted(" Merci à vous tous d'être venus.", *DOUBTFUL, GUARDS)


def test_what_both_scores_doubt_is_cut() -> None:
    assert doubted(" Le vent se lève.", 0.7, -1.1, GUARDS)
    assert not doubted(" Le vent se lève.", 0.7, -0.5, GUARDS)
    assert not doubted(" Le vent se lève.", 0.1, -1.1, GUARDS)


def test_numbers_that_both_scores_doubt_survive_when_each_is_sure() -> None:
    said = [replace(word, confidence=0.48) for word in spoken("1,0001", "90210", "01803")]
    scores = 0.93, -0.91  # en_vosk_digits
    assert not doubted(" 1,0001 90210 01803", *scores, GUARDS, numbers_alone(said))
    assert doubted(" 1,0001 90210 01803", *scores, GUARDS, numbers_alone([*said, replace(said[0], confidence=0.3)]))
    assert numbers_alone([*said, *(replace(word, confidence=0.9) for word in spoken("C'est"))]) == 0.0
    assert numbers_alone([]) == 0.0


def test_what_is_hopeless_is_cut_whatever_the_other_score_says() -> None:
    assert doubted(" Le vent se lève.", 0.0, -1.8, GUARDS)


def test_what_was_measured_on_a_word_alone_and_on_noise_is_told_apart() -> None:
    assert not doubted(" Bonjour !", 0.011, -1.515, GUARDS)  # fr_linto_bonjour
    assert doubted(" Happy Halloween on this.", 0.577, -1.075, GUARDS)  # ns_sb_noise5
    assert doubted(" Yeah, we're gonna let this happen.", 0.55, -1.11, GUARDS)


def test_a_loop_is_cut_and_a_repeated_word_is_not() -> None:
    assert doubted(" et on va voir" * 12, *SURE, GUARDS)
    assert not doubted(" non non non non non", *SURE, GUARDS)
    assert compression_ratio(" et on va voir" * 12) > GUARDS.compression


def test_prose_is_no_loop() -> None:
    prose = " Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison."
    assert not doubted(prose, *SURE, GUARDS)


def test_the_list_holds_phrases_as_they_are_compared() -> None:
    assert {plain(phrase) for phrase in SILENCE_PHRASES} == SILENCE_PHRASES


@pytest.mark.parametrize(
    ("text", "bare"),
    [(" Merci d’avoir regardé !", "merci d avoir regarde"), (" À bientôt…", "a bientot"), ("  O.K. ", "o k"), ("", "")],
)
def test_phrases_are_compared_without_case_accents_and_punctuation(text: str, bare: str) -> None:
    assert plain(text) == bare


def test_words_of_a_usual_pace_are_kept() -> None:
    words = spoken("le", "vent", "se", "lève", each=0.12)
    assert before_pile(words, GUARDS.pile) == tuple(words)


def test_three_words_on_one_moment_are_cut_with_all_that_follows() -> None:
    heard = spoken("le", "vent")
    piled = spoken("se", "lève", "il", "faut", each=0.01, start=0.6)
    assert before_pile([*heard, *piled], GUARDS.pile) == tuple(heard)


def test_a_word_that_takes_no_time_and_was_said_just_before_is_cut() -> None:
    heard = spoken("le", "vent", "se", "lève")
    assert before_pile([*heard, Word(" vent", 1.2, 1.2)], GUARDS.pile) == tuple(heard)
    kept = [*heard, Word(" ici", 1.2, 1.2)]
    assert before_pile(kept, GUARDS.pile) == tuple(kept)


def test_nothing_heard_is_nothing() -> None:
    assert before_pile([], GUARDS.pile) == ()
    assert not doubted("", *SURE, GUARDS)


def test_a_phrase_three_times_in_a_row_is_a_loop() -> None:
    assert loops(" Non, non, non.")
    assert loops(" La première fois, la première fois, la première fois et")
    assert not loops(" Non, non. Je n'ai pas dit non.")
    assert not loops(" 1-0-0-0-1 9-0-2-1-0")
    assert not loops(" On en a dix ou onze, dix ou douze.")
