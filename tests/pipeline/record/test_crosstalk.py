"""Copies in a transcript are left out, told of as such, and come back by a correction."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import SegmentId, Word
from pipeline.record.assemble import assemble
from pipeline.record.copies import measured
from pipeline.record.crosstalk import fold
from pipeline.record.division import Division
from pipeline.record.texts import text_of, words_of
from pipeline.speakers import SegmentChange
from tests.pipeline.record.samples import (
    ANNE,
    BILAL,
    MEETING,
    OTHER_ANNE,
    TRACKS,
    final,
    record,
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


OWN = "voilà ce que je pense de tout cela moi aussi"


def together(*segments):
    """What becomes of ``segments`` in a meeting in which Bilal and the other Anne have their say as well, as loud."""
    own = [bilal(OWN, 200, 204, "own-b", LOUD), loud(segment("own-c", OWN, 220, 224, OTHER_ANNE), LOUD)]
    folded = fold(transcript(*segments, *own))
    return replace(folded, segments=tuple(each for each in folded.segments if not each.id.startswith("own")))


def shown(folded):
    return {each.id: text_of(each)[0] for each in folded.segments}


def left_out(folded):
    return [(each.id, text_of(each)[0]) for each in folded.folded]


def test_a_segment_that_is_a_copy_as_a_whole_is_left_out_and_told_of():
    folded = together(anne("Bonjour à tous."), bilal("bonjour a tous"))
    assert shown(folded) == {"a": "Bonjour à tous."}
    assert left_out(folded) == [("b", "bonjour a tous")]
    assert [(each.start, each.end, each.participant) for each in folded.folded] == [(0.05, 2.05, BILAL)]


def test_of_a_segment_that_says_more_the_copied_words_alone_are_left_out():
    folded = together(anne("bonjour à tous", 0, 1.5), bilal("bonjour à tous. Oui, bonjour Anne.", 0, 3))
    assert shown(folded) == {"a": "bonjour à tous", "b": "Oui, bonjour Anne."}
    assert (folded.segments[1].start, folded.segments[1].end) == (1.5, 3.0)
    assert left_out(folded) == [("b", "bonjour à tous.")]


def test_what_is_said_before_and_after_a_copy_stays():
    heard = bilal("alors voilà c'est parti bonjour à tous merci et à bientôt", 0, 5.5)
    folded = together(anne("bonjour à tous", 2.0, 3.5), heard)
    assert shown(folded)["b"] == "alors voilà c'est parti merci et à bientôt"


def test_segments_stay_in_order_when_one_loses_its_beginning():
    middle = segment("c", "Pardon.", 1.0, 1.2, OTHER_ANNE)
    folded = together(anne("bonjour à tous", 0, 1.5), bilal("bonjour à tous. Oui, bonjour Anne.", 0, 3), middle)
    assert [each.id for each in folded.segments] == ["a", "c", "b"]


def test_two_people_who_say_the_same_at_once_are_both_kept():
    for text in ("oui oui oui", "d'accord merci beaucoup", "bonjour à tous"):
        said = anne(text), bilal(text, level=-23.0)
        assert together(*said) == transcript(*said)


def test_two_people_at_headsets_of_their_own_are_both_kept_though_one_of_them_is_quieter():
    for text in ("bonjour à tous", "d'accord merci beaucoup", SPEECH):
        greetings = [anne(text, 0, 2), bilal(text, 0.1, 2.1, level=-30.0)]
        greetings += [anne(text, 10, 12, "c"), bilal(text, 10, 12, "d", level=-30.0)]
        said = transcript(*greetings, bilal(OWN, 100, 104, "e", -30.0), anne("tout de suite", 110, 112, "f"))
        assert fold(said) == said


def test_a_short_copy_stays_while_nobody_knows_how_loud_whoever_sits_at_its_microphone_is():
    said = transcript(anne("bonjour à tous"), bilal("bonjour à tous"))
    assert fold(said) == said
    assert shown(fold(transcript(anne(SPEECH), bilal(SPEECH)))) == {"a": SPEECH}


def test_words_said_while_another_is_louder_do_not_tell_how_loud_whoever_sits_there_is():
    misheard = bilal("mais si dettes venues à toutes ces belles fêtes", 10.0, 14.0, "c")
    said = anne("et merci d'être venus à tous et à toutes ici", 10.0, 14.0, "d")
    assert "b" not in shown(fold(transcript(anne(SPEECH), bilal(SPEECH), said, misheard)))


def test_a_correction_is_neither_a_copy_nor_changed():
    said = anne("Bonjour à tous."), bilal("bonjour à tous", correction="Bonjour à tous !")
    assert together(*said) == transcript(*said)


def test_what_copies_a_corrected_segment_is_left_out():
    folded = together(anne("bonjour à tousse", correction="Bonjour à tous !"), bilal("bonjour à tous"))
    assert shown(folded) == {"a": "Bonjour à tous !"}


def test_a_record_text_is_as_loud_as_the_words_that_were_captioned_then():
    heard = bilal("bonjou à tous oui", 0.0, 2.0, record=words("Bonjour à tous.", 0.0, 1.5))
    folded = together(anne("bonjour à tous", 0.0, 1.5), heard)
    assert shown(folded) == {"a": "bonjour à tous"}
    assert left_out(folded) == [("b", "Bonjour à tous.")]


def test_beside_a_record_text_that_is_folded_in_part_the_captioned_words_are_kept():
    heard = bilal("bonjour à tous oui", 0.0, 2.0, record=words("Bonjour à tous. Oui.", 0.0, 2.0))
    folded = together(anne("bonjour à tous", 0.0, 1.5), heard)
    assert shown(folded)["b"] == "Oui."
    assert len(folded.segments[1].caption) == 4


def test_what_is_left_of_a_record_text_stands_though_its_words_are_less_sure_than_the_captioned_ones():
    sure = words("Bonjour à tous.", 0.0, 1.5)
    unsure = tuple(replace(word, confidence=0.1) for word in words("Ouais.", 1.5, 2.0))
    heard = bilal("bonjour à tous oui", 0.0, 2.0, record=(*sure, *unsure))
    folded = together(anne("bonjour à tous", 0.0, 1.5), heard)
    assert shown(folded)["b"] == "Ouais."


def test_of_three_tracks_that_say_the_same_the_loudest_stays():
    third = loud(segment("c", "bonjour à tous", 0.1, 2.1, OTHER_ANNE), -40.0)
    folded = together(anne("bonjour à tous"), bilal("bonjour à tous"), third)
    assert shown(folded) == {"a": "bonjour à tous"}


def test_without_loudness_long_copies_go_by_confidence():
    sure = replace(
        anne(SPEECH, level=None), caption=tuple(replace(word, confidence=0.9) for word in words(SPEECH, 0, 2))
    )
    folded = fold(transcript(sure, bilal(SPEECH, level=None)))
    assert shown(folded) == {"a": SPEECH}


ALL = "bonjour à toutes et à tous ici et bienvenue à cette réunion de rentrée"


def test_what_was_misheard_as_quietly_as_copies_were_is_left_out_with_them():
    folded = together(
        anne(ALL, 0, 7),
        bilal("bonjours à toutes et à tout six bienvenue à cette réunion de rentrées", 0.05, 7.05),
        anne("et merci d'être venus", 20, 22, "c"),
        bilal("mais si dettes venues", 20, 22, "d"),
    )
    assert list(shown(folded)) == ["a", "c"]
    assert [text for _, text in left_out(folded)] == [
        "bonjours à toutes et à tout six bienvenue à cette réunion de rentrées",
        "mais si dettes venues",
    ]


def test_what_is_said_at_the_second_microphone_is_louder_than_what_it_hears_from_afar_and_stays():
    heard = bilal(f"{ALL} oui", 0.0, 7.5)
    own = replace(heard, caption=(*heard.caption[:-1], replace(heard.caption[-1], level=-25.0)))
    folded = together(anne(f"{ALL} là", 0.0, 7.5), own, bilal("merci Anne", 9, 10, "c"))
    assert shown(folded) == {"a": f"{ALL} là", "b": "oui", "c": "merci Anne"}


def test_a_minute_later_nobody_knows_any_more_how_quiet_the_other_is():
    said = [anne(ALL, 0, 7), bilal(ALL, 0, 7), anne("et merci d'être venus", 80, 82, "c")]
    folded = together(*said, bilal("mais si dettes venues", 80, 82, "d"))
    assert shown(folded)["d"] == "mais si dettes venues"


def test_words_whose_loudness_nobody_knows_stay_unless_they_are_a_copy_themselves():
    said = [anne(ALL, 0, 7), bilal(ALL, 0, 7), anne("merci", 9, 10, "c", level=None)]
    folded = together(*said, bilal("si", 9, 10, "d"), bilal("euh", 12, 13, "e", level=None))
    assert list(shown(folded)) == ["a", "c", "d", "e"]


def test_punctuation_goes_with_the_word_before_it():
    folded = together(anne("bonjour à tous ! Bien", 0, 2), bilal("« bonjour à tous ! » Merci", 0, 2.4))
    assert shown(folded)["b"] == "« Merci"
    folded = together(anne("bonjour à tous", 0, 1.5), bilal("« bonjour à tous »", 0, 2.5))
    assert shown(folded) == {"a": "bonjour à tous"}


def test_words_of_one_track_are_no_copies_of_each_other():
    said = transcript(anne("bonjour à tous", 0, 1), anne("bonjour à tous", 1, 2, "c", level=QUIET))
    assert fold(said) == said


def heard_at(caption, *levels):
    """``caption`` with how loud its track was, for each second from its first word on."""
    start = caption.words[0].start
    pieces = [(start + second + part / 4, level) for second, level in enumerate(levels) for part in range(4)]
    return replace(caption, levels=tuple(pieces))


def test_a_transcript_is_assembled_without_copies_and_a_correction_brings_one_back():
    finals = [
        heard_at(final("a", "bonjour à tous", 0, 2, ANNE), LOUD, LOUD),
        heard_at(final("b", "bonjour à tous", 0.05, 2.05, BILAL), QUIET, QUIET),
        heard_at(final("own", OWN, 20, 24, BILAL), *[LOUD] * 5),
    ]
    records = [record("b", "Bonjour à tous.", 0.05, 2.05, BILAL)]
    assembled = assemble(MEETING, TRACKS, finals, records)
    assert shown(assembled) == {"a": "bonjour à tous", "own": OWN}
    assert BILAL in assembled.participants
    assert left_out(assembled) == [("b", "Bonjour à tous.")]
    correction = Division({SegmentId("b"): SegmentChange("Bonjour à tous !")})
    corrected = assemble(MEETING, TRACKS, finals, records, division=correction)
    assert shown(corrected) == {"a": "bonjour à tous", "b": "Bonjour à tous !", "own": OWN}


def test_what_was_withheld_live_and_is_in_the_record_text_is_left_out_by_the_loudness_of_its_time():
    said = heard_at(final("a", ALL, 0, 7, ANNE), *[LOUD] * 7)
    answered = replace(final("b", "oui Anne", 7, 8, BILAL), levels=heard_at(said, *[QUIET] * 7, LOUD, LOUD).levels)
    heard_again = record("b", f"{ALL} Oui Anne.", 0.05, 8, BILAL)
    assert shown(assemble(MEETING, TRACKS, [said, answered], [heard_again])) == {"a": ALL, "b": "Oui Anne."}


def test_a_word_of_no_length_is_as_loud_as_its_moment_and_one_outside_of_what_is_known_is_not():
    levels = ((1.0, LOUD), (1.25, QUIET))
    at_once, long, outside = measured((Word(" a", 1.1, 1.1), Word(" b", 1.0, 1.4), Word(" c", 5.0, 5.5)), levels)
    assert at_once.level == pytest.approx(LOUD)
    assert long.level == pytest.approx(-22.7, abs=0.1)
    assert outside.level is None


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
