from collections import defaultdict
from itertools import pairwise
from math import ceil

from hypothesis import given, settings

from pipeline.export.characters import allowed
from pipeline.export.cues import INAUDIBLE, cues, voiced_cues
from pipeline.export.names import speaker_names
from pipeline.record.texts import text_of
from pipeline.record.turns import turns
from tests.pipeline.record.samples import ANNE, BILAL, gap, segment, transcript, transcripts


def squeezed(text):
    return "".join(allowed(text).split())


def spans(*segments, gaps=()):
    return [(cue.start, cue.end, " / ".join(cue.lines)) for cue in cues(transcript(*segments, gaps=gaps))]


def test_an_empty_transcript_has_no_cues():
    assert cues(transcript()) == ()


def test_a_cue_begins_with_its_speech_and_stays_to_be_read():
    assert spans(segment("u", "Cette phrase a trente-quatre signes.", 1, 2)) == [
        (1, 1 + ceil(36 / 17 * 1000) / 1000, "Cette phrase a trente-quatre signes.")
    ]


def test_a_short_cue_stays_five_sixths_of_a_second():
    assert spans(segment("u", "Oui.", 1, 1.2)) == [(1, 1.834, "Oui.")]


def test_a_cue_of_slow_speech_ends_with_it_and_after_seven_seconds_at_most():
    assert spans(segment("u", "Oui.", 1, 5)) == [(1, 5, "Oui.")]
    assert spans(segment("u", "Oui.", 1, 50)) == [(1, 8, "Oui.")]


def test_a_cue_ends_when_the_next_one_of_its_speaker_begins():
    (first, second) = spans(segment("a", "x" * 40, 0, 0.5), segment("b", "y" * 40, 1.6, 2))
    assert (first[1], second[0]) == (1.6, 1.6)


def test_a_cue_waits_until_the_one_before_it_has_stood():
    spoken = [segment("a", "Oui.", 0, 0.2), segment("b", "Non.", 0.2, 0.4, BILAL), segment("c", "Si.", 0.4, 0.6)]
    assert spans(*spoken) == [(0, 0.834, "Oui."), (0.2, 1.034, "Non."), (0.834, 1.668, "Si.")]


def test_overlapping_talkers_keep_cues_of_their_own_ordered_by_start():
    long = segment("a", "Un mot. Un mot. Un mot. Un mot. Un mot. Un mot. Un mot. Un mot. Un mot. Un mot.", 0, 10)
    found = voiced_cues(transcript(long, segment("b", "Oui.", 2, 3, BILAL)))
    assert [voiced.voice for voiced in found] == ["Anne", "Bilal", "Anne"]
    assert [voiced.cue.speaker for voiced in found] == ["Anne", "Bilal", "Anne"]


def test_the_speaker_stands_at_each_turn_and_not_on_the_cues_that_go_on():
    found = cues(transcript(segment("a", "mot " * 60, 0, 20), segment("b", "Oui.", 30, 31, BILAL)))
    assert [cue.speaker for cue in found] == ["Anne", *[None] * (len(found) - 2), "Bilal"]
    assert len(found) > 3


def test_a_turn_of_several_segments_names_its_speaker_once():
    found = cues(transcript(segment("a", "Oui.", 0, 1), segment("b", "Non.", 3, 4), segment("c", "Si.", 6, 7)))
    assert [cue.speaker for cue in found] == ["Anne", None, None]


def test_cue_ids_are_the_segment_and_a_number_on_one_line_without_arrow():
    found = cues(transcript(segment("a\n-->1", "mot " * 30, 0, 10), segment("", "Oui.", 30, 31)))
    assert found[0].id == "a --1-1"
    assert found[-1].id == "cue-1"


def test_a_gap_is_a_cue_of_its_own_and_the_speaker_is_named_again_after_it():
    found = cues(transcript(segment("a", "Oui.", 0, 1), segment("b", "Non.", 30, 31), gaps=(gap(2, 20),)))
    assert [(cue.start, cue.end, cue.lines, cue.speaker) for cue in found] == [
        (0, 1, ("Oui.",), "Anne"),
        (2, 9, (INAUDIBLE,), "Anne"),
        (30, 31, ("Non.",), "Anne"),
    ]


def test_visible_names_begin_the_lines_of_named_cues():
    found = voiced_cues(transcript(segment("a", "Oui.", 0, 1), gaps=(gap(2, 3, BILAL),)), visible_names=True)
    assert [voiced.cue.lines for voiced in found] == [("Anne: Oui.",), ("Bilal: [inaudible]",)]


def test_a_gap_under_a_long_visible_name_has_the_name_on_a_line_of_its_own():
    someone = type(ANNE)(ANNE.id, "N" * 50)
    (voiced,) = voiced_cues(transcript(gaps=(gap(2, 3, someone),)), visible_names=True)
    assert voiced.cue.lines == ("N" * 29 + "…:", INAUDIBLE)


def test_times_before_the_meeting_are_its_beginning():
    assert spans(segment("u", "Oui.", -3, -2)) == [(0, 0.834, "Oui.")]


def test_two_overlapping_tracks_of_one_participant_make_no_overlapping_cues():
    spoken = [segment("a", "un. " * 40, 0, 30), segment("b", "deux.", 1, 2, BILAL), segment("c", "trois.", 2, 3)]
    own = [each for each in spans(*spoken) if "deux" not in each[2]]
    assert all(before[1] <= after[0] for before, after in pairwise(own))
    assert own[-1][2] == "trois."


def assert_practice(found):
    by_voice = defaultdict(list)
    for voiced in found:
        cue = voiced.cue
        by_voice[voiced.voice].append(cue)
        assert 1 <= len(cue.lines) <= 2
        assert all(0 < len(line) <= 42 and line == line.strip() for line in cue.lines)
        assert 833 < round((cue.end - cue.start) * 1000) <= 7000
        assert cue.speaker in (None, voiced.voice)
    for own in by_voice.values():
        assert all(before.end <= after.start for before, after in pairwise(own))
        for before, after in pairwise(own):
            readable = before.end - before.start >= min(sum(map(len, before.lines)) / 17, 7) - 1e-9
            assert readable or before.end == after.start or before.end - before.start == 0.834
    starts = [voiced.cue.start for voiced in found]
    assert starts == sorted(starts)
    assert len({voiced.cue.id for voiced in found}) == len(found)


def shown_by_voice(found, prefix):
    shown = defaultdict(str)
    for voiced in found:
        text = "".join(voiced.cue.lines)
        label = f"{voiced.voice}:" if prefix and voiced.cue.speaker else ""
        assert text.startswith(label)
        shown[voiced.voice] += "".join(text[len(label) :].split())
    return shown


def said_by_voice(meeting):
    names, said = speaker_names(meeting), defaultdict(str)
    for turn in turns(meeting):
        said[names[turn.participant.id]] += "".join(squeezed(text_of(each)[0]) for each in turn.segments)
    return said


@settings(max_examples=40, deadline=None)
@given(transcripts())
def test_cues_keep_to_the_practice_and_hold_every_text_once(meeting):
    without_gaps = type(meeting)(meeting.meeting, meeting.segments)
    for named in (False, True):
        assert_practice(voiced_cues(meeting, visible_names=named))
        found = voiced_cues(without_gaps, visible_names=named)
        assert_practice(found)
        assert {k: v for k, v in shown_by_voice(found, named).items() if v} == {
            k: v for k, v in said_by_voice(without_gaps).items() if v
        }


@settings(max_examples=30, deadline=None)
@given(transcripts())
def test_every_gap_is_marked_in_the_cues(meeting):
    marked = [cue for cue in cues(meeting) if cue.lines == (INAUDIBLE,)]
    assert len(marked) == len(meeting.gaps)
