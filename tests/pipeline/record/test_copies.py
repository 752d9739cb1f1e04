"""What is a copy: three words or more that another track says too, within a second, and louder."""

from dataclasses import replace

import pytest

from pipeline.record.copies import Lines, Run, is_copy, loudness, may_become_copy, own_level, plain_form
from tests.pipeline.record.samples import words

LOUD, QUIET = -20.0, -32.0
GREETING = "bonjour à tous"
SPEECH = "nous allons commencer la réunion maintenant"


def said(text, start=0.0, level=None, confidence=0.5, step=0.3):
    heard = words(text, start, start + step * len(text.split()))
    return tuple(replace(word, level=level, confidence=confidence) for word in heard)


def copies(*lines, own=LOUD):
    """The runs of the first line that are copies; whoever sits at its microphone is as loud as ``own``."""
    found = Lines(lines)
    return [run for run in found.runs(0) if is_copy(*found.of(0, run), own)]


def test_three_words_that_are_louder_elsewhere_are_a_copy():
    assert copies(said(GREETING, 0.06, QUIET), said(GREETING, 0.0, LOUD)) == [Run(1, 0, 0, 3)]


def test_the_louder_words_are_nobodys_copy():
    assert copies(said(GREETING, 0.0, LOUD), said(GREETING, 0.06, QUIET)) == []


def test_words_are_compared_without_case_accents_punctuation_and_endings():
    assert plain_form(" Été,") == "ete"
    assert copies(said("et forêts et conseillers généraux", 0, QUIET), said("et forêt et conseiller général", 0, LOUD))
    assert copies(said("BONJOUR, à tous !".replace(" !", "!"), 0.0, QUIET), said("bonjour a tous", 0.0, LOUD))


@pytest.mark.parametrize("text", ["bonjour tous", "oui oui oui oui", "non oui non oui non oui"])
def test_fewer_than_three_different_words_are_never_a_copy(text):
    assert copies(said(text, 0.0, QUIET), said(text, 0.0, LOUD)) == []


def test_a_copy_is_heard_within_a_second_of_what_it_copies_and_hardly_before():
    for late, copied in ((0.95, True), (1.1, False), (-0.4, True), (-0.6, False)):
        assert bool(copies(said(GREETING, 1.0 + late, QUIET), said(GREETING, 1.0, LOUD))) is copied


def test_few_words_that_are_about_as_loud_were_said_by_two_people():
    assert copies(said("d'accord merci beaucoup", 0.2, -25.0), said("d'accord merci beaucoup", 0.0, LOUD)) == []


def test_many_words_that_are_about_as_loud_were_said_by_two_people():
    for level in (LOUD, LOUD - 5.0):
        assert copies(said(SPEECH, 0.1, level), said(SPEECH, 0.0, LOUD)) == []


def test_without_loudness_six_words_are_a_copy_of_those_that_were_surer():
    sure, unsure = said(SPEECH, confidence=0.9), said(SPEECH, confidence=0.8)
    assert is_copy(unsure, sure, None)
    assert not is_copy(sure, unsure, None)
    assert not is_copy(sure, sure, None)
    assert not is_copy(unsure[:5], sure[:5], None)


def test_loudness_known_on_one_side_alone_says_nothing():
    assert not is_copy(said(GREETING, level=QUIET), said(GREETING), LOUD)
    assert not may_become_copy(said("bonjour", level=QUIET), said("bonjour"), LOUD)
    assert loudness(said(GREETING)) is None


def test_words_as_loud_as_whoever_sits_at_their_microphone_are_no_copy_however_loud_others_are():
    quiet, loud = said(SPEECH, 0.1, QUIET), said(SPEECH, 0.0, LOUD)
    for own, copied in ((QUIET, False), (QUIET + 3.9, False), (QUIET + 4.1, True), (LOUD, True)):
        assert bool(copies(quiet, loud, own=own)) is copied
        assert may_become_copy(quiet[:2], loud[:2], own) is copied


def test_while_that_is_not_known_five_words_that_are_as_late_are_a_copy():
    quiet, loud = said(SPEECH, 0.1, QUIET), said(SPEECH, 0.0, LOUD)
    assert copies(quiet[:5], loud[:5], own=None)
    assert not copies(quiet[:4], loud[:4], own=None)
    uneven = said(SPEECH, 0.1, QUIET, step=0.38)[:5]
    assert copies(uneven, loud[:5], own=LOUD)
    assert not copies(uneven, loud[:5], own=None)
    assert may_become_copy(quiet[:4], loud[:4], None)
    assert not may_become_copy(quiet[:5], loud[:5], None)
    assert own_level([LOUD] * 7) is None
    assert own_level([LOUD] * 7 + [QUIET]) == LOUD


def test_words_of_a_copy_are_all_about_as_late_but_for_one_of_four():
    loud = said(SPEECH, 0.0, LOUD)
    for late, copied in (
        ([0.2] * 6, True),
        ([0.2, 0.2, 0.7, 0.2, 0.2, 0.2], True),
        ([0, 0.2, 0.4, 0.6, 0.8, 1], False),
    ):
        heard = tuple(
            replace(word, start=word.start + each, end=word.end + each, level=QUIET)
            for word, each in zip(loud, late, strict=True)
        )
        assert is_copy(heard, loud, LOUD) is copied


def test_loudness_is_the_mean_of_the_powers_that_are_known():
    assert loudness((*said("un", level=-20.0), *said("deux", level=-30.0), *said("trois"))) == pytest.approx(
        -22.6, abs=0.01
    )


def test_a_run_ends_where_one_track_says_something_else():
    ours = said("bonjour à tous chers amis et bienvenue à cette réunion", 0.0, QUIET)
    theirs = said("bonjour à tous chères amies et bienvenue à cette réunion", 0.05, LOUD)
    assert copies(ours, theirs) == [Run(1, 0, 0, 3), Run(1, 5, 5, 5)]


def test_a_run_ends_at_a_pause_and_where_the_other_microphone_becomes_the_nearer_one():
    ours = (*said("merci à vous tous", 0.0, QUIET), *said("bonjour à tous ici", 1.3, LOUD))
    theirs = (*said("merci à vous tous", 0.0, LOUD), *said("bonjour à tous ici", 1.3, QUIET))
    assert copies(ours, theirs) == [Run(1, 0, 0, 4)]
    assert copies(theirs, ours) == [Run(1, 4, 4, 4)]
    later = (*said("merci à vous tous", 0.0, QUIET), *said("bonjour à tous ici", 2.3, QUIET))
    louder = (*said("merci à vous tous", 0.0, LOUD), *said("bonjour à tous ici", 2.3, LOUD))
    assert copies(later, louder) == [Run(1, 0, 0, 4), Run(1, 4, 4, 4)]


def test_runs_of_several_tracks_are_found_and_a_track_is_no_copy_of_itself():
    twice = (*said(GREETING, 0.0, QUIET), *said(GREETING, 0.9, QUIET))
    assert copies(twice) == []
    assert {
        run.other for run in copies(said(GREETING, 0.0, QUIET), said(GREETING, 0.0, LOUD), said(GREETING, 0.2, -19.0))
    } == {1, 2}


def test_words_said_twice_have_every_run_there_is():
    ours, theirs = said("un deux un deux", step=0.2), said("un deux un deux", step=0.2)
    assert sorted(run.first for run in Lines((ours, theirs)).runs(0, 2)) == [0, 0, 2]
