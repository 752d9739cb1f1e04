from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain import Origin, Participant, ParticipantId, SegmentId, TrackId, UtteranceId, Word
from pipeline.errors import InvalidInput
from pipeline.record.assemble import assemble
from pipeline.record.division import Division
from pipeline.record.texts import text_of
from pipeline.speakers import SegmentChange
from tests.pipeline.record.samples import ANNE, BILAL, MEETING, OTHER_ANNE, TRACKS, final, gap, record


def assembled(finals, **rest):
    return assemble(MEETING, TRACKS, finals, **rest)


def texts(transcript):
    return {segment.id: text_of(segment) for segment in transcript.segments}


def test_nothing_makes_an_empty_transcript_that_still_names_who_was_there():
    transcript = assembled([], title="Point")
    assert transcript.segments == transcript.gaps == ()
    assert transcript.participants == (ANNE, BILAL, OTHER_ANNE)
    assert (transcript.meeting, transcript.title) == (MEETING, "Point")


def test_every_final_is_a_segment_in_meeting_time_ordered_by_start():
    transcript = assembled([final("u2", "non", 5, 6, BILAL), final("u1", "oui", 2.5, 4)])
    assert [(each.id, each.participant, each.start, each.end, each.language) for each in transcript.segments] == [
        ("u1", ANNE, 2.5, 4, "fr"),
        ("u2", BILAL, 5, 6, "fr"),
    ]


def test_a_caption_that_is_not_final_is_refused_by_name():
    with pytest.raises(InvalidInput, match="u7"):
        assembled([replace(final("u7", "oui", 0, 1), final=False)])


def test_a_final_delivered_twice_is_one_segment_with_its_highest_revision():
    finals = [final("u", "deux", 0, 1, revision=2), final("u", "un", 0, 1, revision=1)]
    assert texts(assembled(finals)) == {"u": ("deux", Origin.CAPTION)}


def test_a_final_without_words_and_record_is_no_segment():
    assert assembled([final("u", "", 0, 1)]).segments == ()


def test_a_final_without_words_but_with_a_record_is_a_segment_at_the_time_of_the_record():
    (segment,) = assembled([final("u", "", 0, 1)], records=[record("u", "Oui.", 3, 4, language="en")]).segments
    assert (text_of(segment), segment.start, segment.end, segment.language) == (("Oui.", Origin.RECORD), 3, 4, "en")


def test_a_record_of_joined_utterances_is_shared_among_them_and_captions_stay_beside_it():
    finals = [final("u2", "merci", 3, 4), final("u1", "bonjour a tous", 0, 2)]
    transcript = assembled(finals, records=[record("u1 u2", "Bonjour à tous. Merci.", 0, 3.6)])
    assert texts(transcript) == {"u1": ("Bonjour à tous.", Origin.RECORD), "u2": ("Merci.", Origin.RECORD)}
    assert [word.text for word in transcript.segments[1].caption] == [" merci"]


def test_an_empty_record_leaves_the_caption():
    transcript = assembled([final("u", "oui", 0, 1)], records=[record("u", "", 0, 1)])
    assert texts(transcript) == {"u": ("oui", Origin.CAPTION)}


def test_an_utterance_the_record_dropped_keeps_its_caption():
    finals = [final("u1", "bonjour a tous", 0, 2), final("u2", "euh", 3, 4)]
    assert texts(assembled(finals, records=[record("u1 u2", "Bonjour tous.", 0, 2)])) == {
        "u1": ("Bonjour tous.", Origin.RECORD),
        "u2": ("euh", Origin.CAPTION),
    }


def test_of_records_sharing_an_utterance_only_the_last_usable_one_is_used():
    finals = [final("u1", "un", 0, 1), final("u2", "deux", 2, 3)]
    later = record("u1 u2", "Un. Deux.", 0, 3)
    assert texts(assembled(finals, records=[record("u1", "Hun.", 0, 1), later])) == {
        "u1": ("Un.", Origin.RECORD),
        "u2": ("Deux.", Origin.RECORD),
    }
    unusable = record("u1 u2", "Un deux trois", 0, 1)
    assert texts(assembled(finals, records=[record("u1", "Un !", 0, 1), unusable]))["u1"] == ("Un !", Origin.RECORD)


def test_a_record_of_another_track_or_of_no_known_final_is_not_used():
    finals = [final("u", "oui", 0, 1)]
    for stray in (record("u", "Non.", 0, 1, BILAL), record("lost", "Non.", 0, 1)):
        assert texts(assembled(finals, records=[stray])) == {"u": ("oui", Origin.CAPTION)}


def test_an_utterance_without_final_leaves_its_words_to_the_others_of_its_record():
    transcript = assembled([final("u1", "un", 0, 1)], records=[record("u1 u2", "Un. Deux.", 0, 3)])
    assert texts(transcript) == {"u1": ("Un. Deux.", Origin.RECORD)}


def test_utterances_of_one_id_on_two_tracks_stay_apart():
    finals = [final("u", "oui", 0, 1), final("u", "non", 2, 3, BILAL)]
    transcript = assembled(finals, records=[record("u", "Non.", 2, 3, BILAL)])
    assert [text_of(segment)[0] for segment in transcript.segments] == ["oui", "Non."]


def test_a_correction_stands_on_its_segment():
    transcript = assembled([final("u", "oui", 0, 1)], division=Division({SegmentId("u"): SegmentChange("Ouïe")}))
    assert texts(transcript) == {"u": ("Ouïe", Origin.CORRECTION)}


def test_times_inside_a_segment_never_run_backwards():
    caption = replace(final("u", "", 0, 0), words=(Word(" a", 3, 4), Word(" b", 1, 2)))
    (segment,) = assembled([caption]).segments
    assert [(word.start, word.end) for word in segment.caption] == [(3, 4), (3, 4)]
    assert (segment.start, segment.end) == (3, 4)


def test_a_track_nobody_announced_is_a_participant_named_after_it():
    stray = replace(final("u", "oui", 0, 1), track=TrackId("stray"))
    transcript = assembled([stray])
    someone = Participant(ParticipantId("stray"), "stray")
    assert transcript.segments[0].participant == someone
    assert transcript.participants == (ANNE, BILAL, OTHER_ANNE, someone)


def test_adjoining_gaps_of_one_track_and_reason_are_one():
    gaps = [gap(2.1, 3), gap(0, 2), gap(0.5, 1), gap(1, 2, BILAL), gap(9, 10), gap(3, 4, reason="lost")]
    assert assembled([], gaps=gaps).gaps == (gap(0, 3), gap(1, 2, BILAL), gap(3, 4, reason="lost"), gap(9, 10))


def test_a_gap_of_no_length_is_none_and_a_gap_names_its_participant():
    ghost = Participant(ParticipantId("ghost"), "Ghost")
    transcript = assembled([], gaps=[gap(2, 2), gap(3, 4, ghost)])
    assert transcript.gaps == (gap(3, 4, ghost),)
    assert transcript.participants[-1] == ghost


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_word_of_captions_stands_once_whatever_the_records_join(data):
    count = data.draw(st.integers(1, 6))
    finals = [final(f"u{k}", f"a{k} b{k}", 3 * k, 3 * k + data.draw(st.floats(0.5, 4))) for k in range(count)]
    records = []
    for _ in range(data.draw(st.integers(0, 3))):
        first = data.draw(st.integers(0, count - 1))
        last = data.draw(st.integers(first, count - 1))
        named = range(first, last + 1)
        said = " ".join(f"A{k} B{k}." for k in named)
        shift = data.draw(st.floats(-3, 3))
        utterances = " ".join(UtteranceId(f"u{k}") for k in named)
        records.append(record(utterances, said, 3 * first + shift, 3 * last + 2 + shift))
    transcript = assembled(data.draw(st.permutations(finals)), records=records)
    standing = " ".join(text_of(segment)[0] for segment in sorted(transcript.segments, key=lambda each: each.id))
    assert standing.lower().replace(".", "").split() == [f"{x}{k}" for k in range(count) for x in "ab"]
    starts = [segment.start for segment in transcript.segments]
    assert starts == sorted(starts)
