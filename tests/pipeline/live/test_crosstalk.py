"""Words that a second microphone heard from afar are withheld, as soon as it is clear and no word sooner."""

import numpy as np
import pytest

from pipeline.domain import TrackId, Word
from pipeline.live.crosstalk import CrossTalk, Settled, level_of
from tests.recordings import beep, silence

ANNE, BILAL, CHLOE = TrackId("anne"), TrackId("bilal"), TrackId("chloe")
LOUD, QUIET = -20.0, -35.0
GREETING = "bonjour à tous"


def said(text: str, start: float = 0.0, step: float = 0.3) -> tuple[Word, ...]:
    return tuple(
        Word(f" {each}", round(start + k * step, 3), round(start + (k + 1) * step, 3))
        for k, each in enumerate(text.split())
    )


def text(words: tuple[Word, ...]) -> str:
    return "".join(word.text for word in words).strip()


def room(**levels: float) -> CrossTalk:
    """Everybody is as loud as that from 0 to 20 s, told in frames of 32 ms."""
    talk = CrossTalk()
    for name, level in levels.items():
        for number in range(625):
            talk.audio_level(TrackId(name), number * 0.032, (number + 1) * 0.032, level)
    return talk


def settled(talk: CrossTalk, track: TrackId, words: tuple[Word, ...], last: bool = False) -> tuple[str, str]:
    """The text of the words that are the track's own, and of those that are held."""
    found = talk.settle(track, words, last)
    return text(found.own), text(found.held)


# --- loudness -------------------------------------------------------------------------------------------------


def test_loudness_is_in_decibels_of_full_scale() -> None:
    assert level_of(beep(0.1, amplitude=1.0)) == pytest.approx(-3.0, abs=0.1)
    assert level_of(np.full(160, -32768, np.int16)) == pytest.approx(0.0, abs=0.01)
    assert level_of(silence(0.1)) == level_of(silence(0.0)) == -120.0


def test_a_word_is_as_loud_as_the_sound_of_its_time() -> None:
    talk = CrossTalk()
    for number in range(20):
        talk.audio_level(ANNE, number * 0.1, (number + 1) * 0.1, LOUD if number < 10 else QUIET)
    (first, second, beyond) = talk.settle(ANNE, (*said("un deux", 0.2, 1.0), Word(" trois", 5.0, 5.5))).own
    assert first.level == pytest.approx(LOUD - 0.9, abs=0.05)
    assert second.level == pytest.approx(QUIET, abs=0.1)
    assert beyond.level is None


def test_a_word_of_no_length_is_as_loud_as_what_follows() -> None:
    assert room(anne=LOUD).settle(ANNE, (Word(" oui", 3.0, 3.0),)).own[0].level == pytest.approx(LOUD)


def test_sound_that_comes_again_is_not_heard_twice() -> None:
    talk = CrossTalk()
    talk.audio_level(ANNE, 0.0, 1.0, LOUD)
    talk.audio_level(ANNE, 0.0, 0.5, 0.0)
    talk.audio_level(ANNE, 0.5, 1.05, QUIET)
    assert talk.settle(ANNE, said("un", 0.0, 1.0)).own[0].level == pytest.approx(LOUD)


def test_a_minute_of_loudness_is_kept_and_not_more() -> None:
    talk = CrossTalk()
    for second in range(100):
        for part in range(50):
            talk.audio_level(ANNE, second + part * 0.02, second + (part + 1) * 0.02, LOUD)
    assert talk.settle(ANNE, (Word(" un", 20.0, 20.5),)).own[0].level is None
    assert talk.settle(ANNE, (Word(" un", 60.0, 60.5),)).own[0].level == pytest.approx(LOUD)
    assert len(talk._tracks[ANNE].pieces) < 700


# --- what is withheld -----------------------------------------------------------------------------------------


def test_what_a_louder_track_says_already_is_withheld() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said(GREETING))
    assert talk.settle(BILAL, said("Bonjour, à tous !".replace(" !", "!"), 0.06)) == Settled((), (), 0.96)


def test_what_a_louder_track_shows_and_may_still_change_is_withheld_too() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    assert text(talk.visible(ANNE, said(GREETING))) == GREETING
    assert settled(talk, BILAL, said(GREETING, 0.06)) == ("", "")
    talk.visible(ANNE, ())
    assert settled(talk, CHLOE, said(GREETING, 0.06)) == (GREETING, "")


def test_the_louder_track_keeps_its_words_though_the_other_came_first() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    assert settled(talk, BILAL, said(GREETING)) == (GREETING, "")
    assert settled(talk, ANNE, said(GREETING, 0.05)) == (GREETING, "")


def test_words_are_held_until_it_is_clear_whether_they_are_a_copy() -> None:
    talk = room(anne=LOUD, bilal=QUIET, chloe=QUIET)
    talk.settle(ANNE, said(f"{GREETING} et bienvenue"))
    first, second, third, fourth = said("bonjour à tous et")
    assert settled(talk, BILAL, (first,)) == ("", "bonjour")
    assert settled(talk, BILAL, (first, second)) == ("", "bonjour à")
    assert settled(talk, BILAL, (first, second, third)) == ("", "")
    assert settled(talk, BILAL, (fourth,)) == ("", "")
    assert settled(talk, CHLOE, (first,)) == ("", "bonjour")
    assert settled(talk, CHLOE, (first, *said("Anne", 0.3))) == ("bonjour Anne", "")


def test_nothing_is_held_after_the_last_word_of_an_utterance() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said("d'accord on continue"))
    assert settled(talk, BILAL, said("d'accord"), last=True) == ("d'accord", "")


def test_a_copy_goes_on_after_words_that_were_shown_before_the_other_track_had_them() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    words = said("bonjour à tous et bienvenue")
    assert settled(talk, BILAL, words[:2]) == ("bonjour à", "")
    talk.settle(ANNE, words)
    assert settled(talk, BILAL, words[2:]) == ("", "")


def test_own_words_before_and_after_a_copy_are_shown() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said(GREETING, 2.0))
    assert settled(talk, BILAL, said("alors voilà c'est parti", 0.8)) == ("alors voilà c'est parti", "")
    assert settled(talk, BILAL, said(f"{GREETING} merci Anne", 2.05)) == ("merci Anne", "")


def test_a_tail_is_shown_without_copies_and_without_what_may_become_one() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said(f"{GREETING} merci"))
    assert text(talk.visible(BILAL, said(f"oui {GREETING}", -0.3))) == "oui"
    assert text(talk.visible(BILAL, said("bonjour à", 0.0))) == ""
    assert text(talk.visible(BILAL, said("bonjour Anne", 0.0))) == "bonjour Anne"


def test_words_that_two_people_say_as_loud_are_shown_of_both_without_waiting() -> None:
    talk = room(anne=LOUD, bilal=LOUD - 5.0)
    talk.settle(ANNE, said("oui d'accord merci beaucoup"))
    assert settled(talk, BILAL, said("oui", 0.1)) == ("oui", "")
    assert settled(talk, BILAL, said("d'accord merci beaucoup", 0.4)) == ("d'accord merci beaucoup", "")


def test_of_two_tracks_one_of_which_is_never_told_how_loud_neither_is_a_copy() -> None:
    for talk in (room(anne=LOUD), room(bilal=QUIET), CrossTalk()):
        talk.settle(ANNE, said("nous allons commencer la réunion maintenant"))
        assert talk.settle(BILAL, said("nous allons commencer la réunion maintenant", 0.1)).copied is None


def test_punctuation_of_its_own_goes_with_the_word_before_it() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said(GREETING))
    assert settled(talk, BILAL, said(f"{GREETING} ! oui", 0.05)) == ("oui", "")
    assert settled(talk, BILAL, said("?", 3.0)) == ("?", "")
    assert settled(talk, BILAL, ()) == ("", "")


def test_what_an_ended_track_said_is_forgotten() -> None:
    talk = room(anne=LOUD, bilal=QUIET)
    talk.settle(ANNE, said(GREETING))
    talk.forget(ANNE)
    talk.forget(ANNE)
    assert settled(talk, BILAL, said(GREETING, 0.05)) == (GREETING, "")
