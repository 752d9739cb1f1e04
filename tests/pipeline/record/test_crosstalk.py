"""Copies in a transcript are left out, told of as such, and come back by a correction."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.record.crosstalk import fold
from pipeline.record.texts import text_of, words_of
from tests.pipeline.record.samples import (
    ANNE,
    BILAL,
    OTHER_ANNE,
    segment,
    transcript,
    words,
)

LOUD, QUIET = -20.0, -32.0
SPEECH = "nous allons commencer la réunion maintenant"


def loud(segment, level):
    return replace(segment, caption=tuple(replace(word, level=level) for word in segment.caption))


def anne(text, start=0.0, end=2.0, identity="a", level=LOUD, **rest):
    return loud(segment(identity, text, start, end, ANNE, **rest), level)


def bilal(text, start=0.05, end=2.05, identity="b", level=QUIET, **rest):
    return loud(segment(identity, text, start, end, BILAL, **rest), level)


def shown(folded):
    return {each.id: text_of(each)[0] for each in folded.segments}


def left_out(folded):
    return [(each.id, text_of(each)[0]) for each in folded.folded]


def test_a_segment_that_is_a_copy_as_a_whole_is_left_out_and_told_of():
    folded = fold(transcript(anne("Bonjour à tous."), bilal("bonjour a tous")))
    assert shown(folded) == {"a": "Bonjour à tous."}
    assert left_out(folded) == [("b", "bonjour a tous")]
    assert [(each.start, each.end, each.participant) for each in folded.folded] == [(0.05, 2.05, BILAL)]


def test_of_a_segment_that_says_more_the_copied_words_alone_are_left_out():
    folded = fold(transcript(anne("bonjour à tous", 0, 1.5), bilal("bonjour à tous. Oui, bonjour Anne.", 0, 3)))
    assert shown(folded) == {"a": "bonjour à tous", "b": "Oui, bonjour Anne."}
    assert (folded.segments[1].start, folded.segments[1].end) == (1.5, 3.0)
    assert left_out(folded) == [("b", "bonjour à tous.")]


def test_what_is_said_before_and_after_a_copy_stays():
    heard = bilal("alors voilà c'est parti bonjour à tous merci et à bientôt", 0, 5.5)
    folded = fold(transcript(anne("bonjour à tous", 2.0, 3.5), heard))
    assert shown(folded)["b"] == "alors voilà c'est parti merci et à bientôt"


def test_segments_stay_in_order_when_one_loses_its_beginning():
    middle = segment("c", "Pardon.", 1.0, 1.2, OTHER_ANNE)
    folded = fold(transcript(anne("bonjour à tous", 0, 1.5), bilal("bonjour à tous. Oui, bonjour Anne.", 0, 3), middle))
    assert [each.id for each in folded.segments] == ["a", "c", "b"]


def test_two_people_who_say_the_same_at_once_are_both_kept():
    for text in ("oui oui oui", "d'accord merci beaucoup", "bonjour à tous"):
        said = transcript(anne(text), bilal(text, level=-23.0))
        assert fold(said) == said


def test_a_correction_is_neither_a_copy_nor_changed():
    said = transcript(anne("Bonjour à tous."), bilal("bonjour à tous", correction="Bonjour à tous !"))
    assert fold(said) == said


def test_what_copies_a_corrected_segment_is_left_out():
    folded = fold(transcript(anne("bonjour a tousse", correction="Bonjour à tous !"), bilal("bonjour à tous")))
    assert shown(folded) == {"a": "Bonjour à tous !"}


def test_a_record_text_is_as_loud_as_the_words_that_were_captioned_then():
    heard = bilal("bonjou à tous oui", 0.0, 2.0, record=words("Bonjour à tous.", 0.0, 1.5))
    folded = fold(transcript(anne("bonjour à tous", 0.0, 1.5), heard))
    assert shown(folded) == {"a": "bonjour à tous"}
    assert left_out(folded) == [("b", "Bonjour à tous.")]


def test_beside_a_record_text_that_is_folded_in_part_the_captioned_words_are_kept():
    heard = bilal("bonjour à tous oui", 0.0, 2.0, record=words("Bonjour à tous. Oui.", 0.0, 2.0))
    folded = fold(transcript(anne("bonjour à tous", 0.0, 1.5), heard))
    assert shown(folded)["b"] == "Oui."
    assert len(folded.segments[1].caption) == 4


def test_of_three_tracks_that_say_the_same_the_loudest_stays():
    third = loud(segment("c", "bonjour à tous", 0.1, 2.1, OTHER_ANNE), -40.0)
    folded = fold(transcript(anne("bonjour à tous"), bilal("bonjour à tous"), third))
    assert shown(folded) == {"a": "bonjour à tous"}


def test_without_loudness_long_copies_go_by_confidence():
    sure = replace(
        anne(SPEECH, level=None), caption=tuple(replace(word, confidence=0.9) for word in words(SPEECH, 0, 2))
    )
    folded = fold(transcript(sure, bilal(SPEECH, level=None)))
    assert shown(folded) == {"a": SPEECH}


def test_a_word_misheard_between_copies_or_beside_one_is_left_out_with_them():
    folded = fold(
        transcript(
            anne("bonjour à toutes et à tous ici et bienvenue à cette réunion", 0, 5),
            bilal("bonjours à toutes et à tout ici et bienvenue à cette union", 0.05, 5.05),
        )
    )
    assert list(shown(folded)) == ["a"]
    assert left_out(folded) == [("b", "bonjours à toutes et à tout ici et bienvenue à cette union")]


def test_a_word_of_ones_own_between_copies_is_louder_and_stays():
    heard = bilal("bonjour à tous oui ici et bienvenue", 0.0, 3.5)
    own = replace(heard, caption=(*heard.caption[:3], replace(heard.caption[3], level=-22.0), *heard.caption[4:]))
    folded = fold(transcript(anne("bonjour à tous là ici et bienvenue", 0.0, 3.5), own))
    assert shown(folded)["b"] == "oui"
    assert left_out(folded) == [("b", "bonjour à tous"), ("b", "ici et bienvenue")]


def test_a_word_between_copies_stays_where_the_other_track_is_silent_or_its_loudness_unknown():
    pause = transcript(
        anne("bonjour à tous", 0.0, 1.5),
        anne("et bienvenue ici", 2.0, 3.5, "c"),
        bilal("bonjour à tous bon et bienvenue ici", 0.0, 3.5),
    )
    assert shown(fold(pause))["b"] == "bon"
    unknown = replace(pause.segments[-1], caption=())
    assert fold(replace(pause, segments=(*pause.segments[:-1], unknown))).segments


def test_punctuation_goes_with_the_word_before_it():
    folded = fold(transcript(anne("bonjour à tous ! Bien", 0, 2), bilal("« bonjour à tous ! » Merci", 0, 2.4)))
    assert shown(folded)["b"] == "« Merci"
    assert shown(fold(transcript(anne("bonjour à tous", 0, 1.5), bilal("« bonjour à tous »", 0, 2.5)))) == {
        "a": "bonjour à tous"
    }


def test_words_of_one_track_are_no_copies_of_each_other():
    said = transcript(anne("bonjour à tous", 0, 1), anne("bonjour à tous", 1, 2, "c", level=QUIET))
    assert fold(said) == said


WORDS = st.sampled_from("oui non merci bonjour à tous et bienvenue".split())
PHRASES = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)


@st.composite
def meetings(draw):
    """What three people say at about the same time, from few words, each as loud as may be, corrected or not."""
    segments = []
    for number in range(draw(st.integers(0, 6))):
        said, start = draw(PHRASES), draw(st.sampled_from([0.0, 0.1, 0.7, 1.5, 3.0]))
        who, correction = draw(st.sampled_from([ANNE, BILAL, OTHER_ANNE])), draw(st.sampled_from([None, None, said]))
        heard = segment(f"u{number}", said, start, start + 0.3 * len(said.split()), who, correction=correction)
        segments.append(loud(heard, draw(st.sampled_from([None, -40.0, -30.0, -20.0]))))
    return transcript(*segments)


def every_word(segments):
    return sorted(word.text for each in segments for word in words_of(each))


@given(meetings())
def test_every_word_either_stands_or_is_told_of_and_something_always_stands(said):
    folded = fold(said)
    assert every_word(said.segments) == every_word((*folded.segments, *folded.folded))
    assert bool(folded.segments) == bool(said.segments)
    assert {each.id for each in folded.folded} <= {each.id for each in said.segments if each.correction is None}
    assert [each.start for each in folded.segments] == sorted(each.start for each in folded.segments)


@given(meetings())
def test_where_something_is_left_out_another_track_says_something(said):
    folded = fold(said)
    standing = [(each.track, word.start) for each in folded.segments for word in words_of(each)]
    for piece in folded.folded:
        for word in piece.caption:
            assert any(track != piece.track and abs(start - word.start) <= 2.0 for track, start in standing)
