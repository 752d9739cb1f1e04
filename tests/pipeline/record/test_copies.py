"""What is a copy: three words or more that another track says too, within a second, and louder."""

from dataclasses import replace

import pytest

from pipeline.record.copies import Lines, Run, is_copy, loudness, plain_form
from tests.pipeline.record.samples import words

LOUD, QUIET = -20.0, -32.0
GREETING = "bonjour à tous"
SPEECH = "nous allons commencer la réunion maintenant"


def said(text, start=0.0, level=None, confidence=0.5, step=0.3):
    heard = words(text, start, start + step * len(text.split()))
    return tuple(replace(word, level=level, confidence=confidence) for word in heard)


def copies(*lines):
    """The runs of the first line that are copies."""
    found = Lines(lines)
    return [run for run in found.runs(0) if found.copied(0, run)]


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
    assert is_copy(unsure, sure)
    assert not is_copy(sure, unsure)
    assert not is_copy(sure, sure)
    assert not is_copy(unsure[:5], sure[:5])


def test_loudness_known_on_one_side_alone_says_nothing():
    assert not is_copy(said(GREETING, level=QUIET), said(GREETING))
    assert loudness(said(GREETING)) is None


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
