"""Words are compared by what is said, stay in order, are not said twice, and loops are broken off."""

import pytest

from pipeline.domain import Word
from pipeline.live.words import after_committed, ends_sentence, monotone, spoken_form, without_echo, without_loops


def words(text: str, start: float = 0.0, length: float = 0.3) -> tuple[Word, ...]:
    return tuple(Word(f" {each}", start + k * length, start + (k + 1) * length) for k, each in enumerate(text.split()))


def text(heard: tuple[Word, ...]) -> str:
    return "".join(word.text for word in heard).strip()


def test_case_and_punctuation_are_not_spoken() -> None:
    assert spoken_form(" L'Été, ") == spoken_form("l’été.") == "lété"


@pytest.mark.parametrize(("said", "ends"), [(" done.", True), (" why? ", True), (" well…", True), (" so,", False)])
def test_a_sentence_ends_with_its_mark(said: str, ends: bool) -> None:
    assert ends_sentence(said) is ends


def test_words_heard_again_after_the_seam_are_left_out() -> None:
    committed = words("we begin with the budget")
    assert text(after_committed(words("The budget, and then", 0.95), committed)) == "and then"


def test_without_a_seam_time_tells_what_is_new() -> None:
    committed = words("we begin with")
    assert text(after_committed(words("whip the budget", 0.6), committed)) == "the budget"


def test_a_phrase_said_again_later_is_new() -> None:
    assert text(after_committed(words("with", 2.0), words("we begin with"))) == "with"


def test_before_anything_is_committed_every_word_is_new() -> None:
    heard = words("we begin")
    assert after_committed(heard, ()) == heard
    assert after_committed((), heard) == ()


def test_times_run_forward_within_their_span() -> None:
    heard = (Word(" a", 0.0, 2.0), Word(" b", 1.0, 1.5), Word(" c", 2.5, 9.0), Word(" d", 9.0, 9.5))
    assert [(word.start, word.end) for word in monotone(heard, 1.0, 4.0)] == [
        (1.0, 2.0),
        (2.0, 2.0),
        (2.5, 4.0),
        (4.0, 4.0),
    ]


def test_a_span_that_ends_before_it_begins_never_sends_time_backwards() -> None:
    assert [(word.start, word.end) for word in monotone(words("a b"), 5.0, 4.0)] == [(5.0, 5.0), (5.0, 5.0)]


@pytest.mark.parametrize(
    "said",
    [
        "non non non je ne crois pas",
        "non non non non non non",
        "my number is 4 4 4 4",
        "0000 0000 0000 0000 0000 0000 0000 0000",
        "I know I know I know",
        "tick tock tick tock tick tock tick tock",
        "not at all not at all not at all",
        "",
    ],
)
def test_what_people_repeat_stays(said: str) -> None:
    assert text(without_loops(words(said))) == said


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("so " + "merci " * 20, "so merci merci"),
        ("thank you " * 9, "thank you thank you"),
        ("thank you " * 9 + "thank", "thank you thank you"),
        ("see you next time " * 4 + "bye then", "see you next time see you next time bye then"),
        ("na " * 9 + "what was I " + "la " * 9, "na na what was I la la"),
        ("1 " * 30, "1 1"),
    ],
)
def test_two_turns_of_a_loop_and_what_follows_it_stay(said: str, left: str) -> None:
    assert text(without_loops(words(said))) == left


def test_a_number_that_comes_again_faster_than_it_can_be_said_is_dropped() -> None:
    said, hurried = Word(" 01803", 0.0, 1.4), Word(" 01803", 1.4, 1.6)
    assert without_loops((said, hurried, Word(" 01803", 1.6, 1.7))) == (said,)
    assert without_loops((said, Word(" 01803", 1.4, 2.8)))[1:] != (), "it was said twice"
    assert without_loops((said, Word(" 01804", 1.4, 1.6)))[1:] != (), "it is another number"
    assert without_loops((Word(" 4", 0.0, 0.3), Word(" 4", 0.3, 0.3)))[1:] != (), "a digit alone is short"
    assert without_loops((Word(" nous", 0.0, 0.4), Word(" nous", 0.4, 0.5)))[1:] != (), "words may be"


def test_a_last_word_that_echoes_what_was_said_beyond_the_end_of_speech_is_dropped() -> None:
    said = (Word(" Mr.", 0.0, 0.4), Word(" Quilter", 0.4, 1.0))
    gospel, echo = Word(" gospel.", 4.0, 4.8), Word(" Mr.", 4.8, 5.2)
    assert without_echo((gospel, echo), (*said, gospel), 4.9) == (gospel,)
    assert without_echo((gospel, echo), (*said, gospel), 5.3) == (gospel, echo), "it ends with the speech"
    assert without_echo((gospel, Word(" Mr.", 4.0, 5.2)), said, 4.9)[1:] != (), "most of it was spoken"
    assert without_echo((gospel, Word(" Anne.", 4.8, 5.2)), said, 4.9)[1:] != (), "nobody said it before"
    assert without_echo((), said, 4.9) == ()
