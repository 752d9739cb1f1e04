from hypothesis import given, settings

from pipeline.domain import Pause
from pipeline.export.passages import passages
from pipeline.export.text import text
from tests.pipeline.record.samples import BILAL, gap, segment, transcript, transcripts


def test_an_empty_transcript_is_an_empty_document():
    assert text(transcript()) == ""


def test_a_title_alone_is_a_line():
    assert text(transcript(title="Point")) == "Point\n"


def test_a_line_for_the_title_and_for_every_turn_and_gap():
    spoken = [segment("a", "Oui.", 0, 1), segment("b", "Non.", 3661, 3662, BILAL)]
    assert text(transcript(*spoken, gaps=(gap(5, 65),), title="Point\n1")) == (
        "Point 1\n\n[00:00] Anne: Oui.\n[00:05] Anne: [inaudible] 00:05–01:05 (overload)\n[1:01:01] Bilal: Non.\n"
    )


def test_a_pause_is_a_line_without_a_name_and_a_cut_transcript_says_so_first():
    spoken = [segment("a", "Oui.", 0, 1), segment("b", "Non.", 3, 4)]
    assert text(transcript(*spoken, title="Point", pauses=(Pause(2, 3),), cut=True)) == (
        "Point\n\n[interruption]\n\n[00:00] Anne: Oui.\n[00:02] [pause] 00:02–00:03\n[00:03] Anne: Non.\n"
    )
    assert text(transcript(cut=True)) == "[interruption]\n"


@settings(max_examples=30, deadline=None)
@given(transcripts())
def test_there_is_one_line_for_each_passage_whatever_was_said(meeting):
    lines = text(transcript(*meeting.segments, gaps=meeting.gaps, pauses=meeting.pauses)).splitlines()
    assert len(lines) == len(passages(meeting))
    assert all(line.startswith("[") for line in lines)
