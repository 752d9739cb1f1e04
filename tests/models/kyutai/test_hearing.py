"""What comes back over a connection is told in the time of the stream's own sound, whatever else was sent over it."""

import pytest

from models.kyutai.hearing import Hearing
from models.kyutai.messages import STEP_SECONDS, Marker, Ready, Refusal, Said, Step
from pipeline.domain import Word
from pipeline.errors import RecognitionFailed
from pipeline.streams import Heard

STEP = Step((0.1, 0.1, 0.1, 0.1))


def spoken(seconds: float, hearing: Hearing | None = None, own: float = 0.0) -> Hearing:
    """A connection over which so much speech was sent."""
    hearing = hearing or Hearing(0.5)
    hearing.begin(own)
    hearing.frames += round(seconds / STEP_SECONDS)
    return hearing


def word_of(heard: Heard | None) -> Word:
    assert heard is not None
    (word,) = heard.words
    assert heard.tail == ()
    assert heard.until == word.end
    return word


def test_a_word_is_given_as_soon_as_it_is_told_and_lasts_no_longer_than_its_letters_take() -> None:
    word = word_of(spoken(4.0).take(Said("oui", 1.2)))
    assert (word.text, word.start, word.end) == (" oui", 1.2, pytest.approx(1.48))


def test_a_word_ends_where_the_model_has_heard_to_at_the_latest() -> None:
    hearing = spoken(4.0)
    for _ in range(25):  # 2 s, of which all but the delay is told of
        hearing.take(STEP)
    assert word_of(hearing.take(Said("constitutionnellement", 1.2))).end == pytest.approx(1.5)


def test_silence_that_brings_the_last_words_takes_no_time_of_the_stream() -> None:
    hearing = spoken(4.0)
    hearing.frames += 10
    number = hearing.end(3.9)
    spoken(4.0, hearing, own=3.9)
    assert word_of(hearing.take(Said("fin", 3.6))).start == pytest.approx(3.6)
    assert hearing.take(Marker(number)) == Heard((), (), 3.9)
    assert word_of(hearing.take(Said("encore", 4.0 + 0.8 + 1.0))).start == pytest.approx(3.9 + 1.0)


def test_what_is_heard_in_that_silence_ends_with_the_speech_before_it() -> None:
    hearing = spoken(4.0)
    hearing.frames += 10
    hearing.end(4.0)
    word = word_of(hearing.take(Said("hm", 4.4)))
    assert (word.start, word.end) == (4.0, 4.0)


def test_times_never_go_back() -> None:
    hearing = spoken(4.0)
    first = word_of(hearing.take(Said("constitution", 1.0)))
    assert word_of(hearing.take(Said("de", 1.5))).start == first.end
    assert word_of(hearing.take(Said("la", -3.0))).start > first.end


def test_a_connection_after_another_goes_on_in_its_time() -> None:
    hearing = spoken(2.0, Hearing(0.5, 60.0), own=60.0)
    assert word_of(hearing.take(Said("oui", 0.8))).start == pytest.approx(60.8)


def test_what_says_nothing_adds_nothing() -> None:
    assert Hearing(0.5).take(Said("before any sound", 0.0)) is None
    assert spoken(1.0).take(Said("", 0.4)) is None
    assert spoken(1.0).take(Ready()) is None
    assert spoken(1.0).take(Marker(7)) is None


def test_an_answer_is_owed_for_markers_and_for_what_the_model_tells_its_steps_of() -> None:
    hearing = spoken(2.0)
    assert (hearing.behind, hearing.owes) == (0, False)  # some models tell no steps
    hearing.take(STEP)
    assert (hearing.behind, hearing.owes) == (24, True)
    number = hearing.end(2.0)
    for _ in range(22):
        hearing.take(STEP)
    assert (hearing.behind, hearing.owes, hearing.settled) == (2, True, False)
    hearing.take(Marker(number))
    assert (hearing.behind, hearing.owes, hearing.settled) == (0, False, True)


def test_the_head_for_long_pauses_says_that_one_begins() -> None:
    hearing = spoken(2.0)
    hearing.take(Step((0.9, 0.9, 0.7, 0.1)))
    assert hearing.pausing
    hearing.take(Step((0.9, 0.9, 0.5, 0.1)))
    assert not hearing.pausing
    hearing.take(Step(()))
    assert not hearing.pausing


def test_an_error_ends_the_stream() -> None:
    with pytest.raises(RecognitionFailed, match="out of memory"):
        spoken(1.0).take(Refusal("out of memory"))
