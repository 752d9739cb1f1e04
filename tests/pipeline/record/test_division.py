"""How an utterance is divided among the voices at its microphone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import ParticipantId, SegmentId, UtteranceId, VoiceRun
from pipeline.record.assemble import assemble
from pipeline.record.division import (
    Division,
    Piece,
    changed_runs,
    changes_by_utterance,
    divided,
    merged_voices,
    overlaid,
    place_of,
    segment_id,
    settled_voice,
)
from pipeline.record.texts import text_of
from pipeline.speakers import NOBODY, KnownVoice, SegmentChange
from tests.pipeline.record.samples import ANNE, BILAL, MEETING, TRACKS, final, record

U = UtteranceId("u")


def run(first: int, count: int, voice: int) -> VoiceRun:
    return VoiceRun(U, first, count, voice)


def test_words_are_divided_where_the_voice_changes_and_words_of_no_run_have_none() -> None:
    runs = [run(0, 2, 1), run(2, 1, 1), run(3, 2, 2), run(6, 1, 1)]
    assert divided(8, runs, {}) == [Piece(0, 3, 1), Piece(3, 5, 2), Piece(5, 6), Piece(6, 7, 1), Piece(7, 8)]


def test_an_utterance_of_no_words_or_no_runs_is_one_piece() -> None:
    assert divided(0, [], {}) == [Piece(0, 0)]
    assert divided(3, [], {}) == [Piece(0, 3)]


def test_runs_that_go_beyond_the_words_end_with_them() -> None:
    assert divided(3, [run(0, 9, 1), run(20, 4, 2)], {}) == [Piece(0, 3, 1)]


def test_a_changed_segment_keeps_its_words_whatever_is_heard_later_and_speaks_with_most_of_them() -> None:
    changes = {2: SegmentChange("text", count=3)}
    assert divided(8, [run(0, 4, 1), run(4, 4, 2)], changes) == [Piece(0, 2, 1), Piece(2, 5, 1), Piece(5, 8, 2)]
    assert divided(8, [run(4, 4, 2)], changes) == [Piece(0, 2), Piece(2, 5, 2), Piece(5, 8, 2)]
    assert divided(8, [], changes) == [Piece(0, 2), Piece(2, 5), Piece(5, 8)]


def test_a_moved_segment_speaks_with_the_voice_it_was_given_or_with_none() -> None:
    changes = {0: SegmentChange(voice=2, count=2), 2: SegmentChange(voice=NOBODY, count=1)}
    assert divided(4, [run(0, 4, 1)], changes) == [Piece(0, 2, 2), Piece(2, 3), Piece(3, 4, 1)]


def test_a_change_without_count_is_of_all_that_follows_and_one_beyond_the_words_of_nothing() -> None:
    assert divided(4, [run(0, 2, 1)], {0: SegmentChange("text"), 9: SegmentChange("text")}) == [Piece(0, 4, 1)]


@given(st.data())
def test_every_word_is_in_one_piece_in_order(data: st.DataObject) -> None:
    count, number = data.draw(st.integers(0, 12)), st.integers(0, 14)
    kept: list[VoiceRun] = []
    for _ in range(data.draw(st.integers(0, 5))):
        new = run(data.draw(number), data.draw(number), data.draw(st.integers(1, 3)))
        before = {place: each.voice for each in kept for place in range(each.first, each.first + each.count)}
        kept = overlaid(kept, new)
        after = {place: each.voice for each in kept for place in range(each.first, each.first + each.count)}
        assert after == before | dict.fromkeys(range(new.first, new.first + new.count), new.voice)
        assert sum(each.count for each in kept) == len(after)
        assert kept == sorted(kept, key=lambda each: each.first)
    change = st.builds(SegmentChange, st.just("text"), st.none() | st.integers(0, 3), st.none() | number)
    changes = data.draw(st.dictionaries(number, change, max_size=3))
    pieces = divided(count, kept, changes)
    assert [place for piece in pieces for place in range(piece.first, piece.end)] == list(range(count))
    assert pieces[0].first == 0


@pytest.mark.parametrize(
    ("segment", "place"),
    [
        ("u", (U, 0)),
        ("u/3", (U, 3)),
        ("a/1", ("a/1", 0)),
        ("a/1/2", ("a/1", 2)),
        ("v", None),
        ("u/x", None),
        ("u/²", None),
    ],
)
def test_a_segment_says_its_utterance_and_first_word(segment: str, place: tuple[str, int] | None) -> None:
    known = {U, UtteranceId("a/1")}
    assert place_of(SegmentId(segment), known) == place
    if place is not None:
        assert segment_id(UtteranceId(place[0]), place[1]) == segment


def test_changes_of_no_known_utterance_are_left_out() -> None:
    change = SegmentChange("text")
    changes = {SegmentId("u"): change, SegmentId("u/2"): change, SegmentId("v"): change}
    assert changes_by_utterance(changes, {U}) == {U: {0: change, 2: change}}


def test_runs_are_read_with_what_people_moved() -> None:
    other = VoiceRun(UtteranceId("a"), 0, 2, 1)
    changes = {U: {2: SegmentChange(voice=7, count=2), 4: SegmentChange(voice=NOBODY, count=1)}}
    assert changed_runs([run(0, 6, 1), other], changes) == [other, run(0, 2, 1), run(2, 2, 7), run(5, 1, 1)]
    assert changed_runs([], {U: {0: SegmentChange("text")}}) == []


def test_a_voice_is_followed_through_merges_and_a_circle_ends() -> None:
    voices = {
        (ANNE.id, 1): KnownVoice(ANNE.id, 1, merged_into=2),
        (ANNE.id, 2): KnownVoice(ANNE.id, 2, merged_into=3),
        (ANNE.id, 4): KnownVoice(ANNE.id, 4, merged_into=5),
        (ANNE.id, 5): KnownVoice(ANNE.id, 5, merged_into=4),
    }
    assert [settled_voice(voices, ANNE.id, voice) for voice in (1, 2, 3, 4)] == [3, 3, 3, 4]
    assert settled_voice(voices, ParticipantId("other"), 1) == 1
    assert [merged_voices(voices, ANNE.id, voice) for voice in (1, 3, 4)] == [[1, 2, 3], [3], [4, 5, 4]]


# --- in the transcript -------------------------------------------------------------------------------------------


def test_voices_are_participants_under_their_own_names_and_merged_ones_are_one() -> None:
    finals = [final("u", "on y va oui bien sûr", 0, 6), final("v", "non", 8, 9, BILAL)]
    runs = [run(0, 2, 1), run(2, 1, 2), run(3, 1, 3)]
    voices = [KnownVoice(ANNE.id, 1, "Claire"), KnownVoice(ANNE.id, 3, merged_into=1)]
    transcript = assemble(MEETING, TRACKS, finals, division=Division(runs=runs, voices=voices))
    assert [(each.id, each.participant.id, each.participant.name) for each in transcript.segments] == [
        ("u", "anne/1", "Claire"),
        ("u/2", "anne/2", "Anne (voix 2)"),
        ("u/3", "anne/1", "Claire"),
        ("u/4", "anne", "Anne"),
        ("v", "bilal", "Bilal"),
    ]
    assert [participant.id for participant in transcript.participants[-2:]] == ["anne/1", "anne/2"]
    assert [(each.start, each.end) for each in transcript.segments][:2] == [(0, 2), (2, 3)]


def test_record_text_is_divided_among_the_pieces_by_time() -> None:
    heard = final("u", "on y va oui bien sur", 0, 6)
    again = record("u", "On y va. Oui, bien sûr.", 0.1, 6.1, language="en")
    transcript = assemble(MEETING, TRACKS, [heard], [again], division=Division(runs=[run(0, 3, 1), run(3, 3, 2)]))
    assert [(text_of(each)[0], each.language) for each in transcript.segments] == [
        ("On y va.", "en"),
        ("Oui, bien sûr.", "en"),
    ]


def test_a_piece_that_the_record_text_dropped_keeps_its_caption() -> None:
    heard, again = final("u", "on y va euh", 0, 4), record("u", "On y va.", 0, 3, language="en")
    transcript = assemble(MEETING, TRACKS, [heard], [again], division=Division(runs=[run(0, 3, 1), run(3, 1, 2)]))
    assert [(text_of(each)[0], each.language) for each in transcript.segments] == [("On y va.", "en"), ("euh", "fr")]


def test_record_text_whose_words_may_have_moved_to_another_piece_is_set_aside() -> None:
    heard, again = final("u", "on y va oui", 0, 4), record("u", "On y va oui.", 0, 2)
    transcript = assemble(MEETING, TRACKS, [heard], [again], division=Division(runs=[run(0, 3, 1), run(3, 1, 2)]))
    assert [text_of(each)[0] for each in transcript.segments] == ["on y va", "oui"]


def test_a_piece_without_text_is_no_segment() -> None:
    heard = final("u", "on y va", 0, 3)
    heard = replace(heard, words=(*heard.words, replace(heard.words[-1], text=" ")))
    transcript = assemble(MEETING, TRACKS, [heard], division=Division(runs=[run(0, 3, 1)]))
    assert [each.id for each in transcript.segments] == ["u"]


def test_corrections_stand_on_their_segment_alone() -> None:
    heard = final("u", "on y va oui", 0, 4)
    changes = {SegmentId("u/3"): SegmentChange("Oui !", count=1)}
    transcript = assemble(MEETING, TRACKS, [heard], division=Division(changes, [run(0, 3, 1), run(3, 1, 2)]))
    assert [text_of(each)[0] for each in transcript.segments] == ["on y va", "Oui !"]
