import io

import webvtt as library
from hypothesis import given, settings

from pipeline.domain import Pause
from pipeline.export.cues import voiced_cues
from pipeline.export.srt import srt
from tests.pipeline.record.samples import BILAL, OTHER_ANNE, segment, transcript, transcripts


def test_an_empty_transcript_is_an_empty_document():
    assert srt(transcript()) == ""


def test_blocks_are_numbered_with_comma_times_and_names_at_each_turn():
    spoken = [segment("a", "Oui.", 0, 1), segment("b", "Non.", 2, 3, BILAL), segment("c", "Si.", 4, 5, OTHER_ANNE)]
    assert srt(transcript(*spoken)) == (
        "1\n00:00:00,000 --> 00:00:01,000\nAnne: Oui.\n\n"
        "2\n00:00:02,000 --> 00:00:03,000\nBilal: Non.\n\n"
        "3\n00:00:04,000 --> 00:00:05,000\nAnne (2): Si.\n"
    )


def test_pauses_and_a_cut_are_not_shown():
    assert srt(transcript(pauses=(Pause(1, 100),), cut=True)) == ""


def test_an_arrow_in_the_text_is_never_read_as_times():
    assert "Anne: a --- > b" in srt(transcript(segment("a", "a ---> b", 0, 1)))


@settings(max_examples=20, deadline=None)
@given(transcripts())
def test_documents_come_back_through_the_library_with_all_cues(meeting):
    expected = [voiced.cue for voiced in voiced_cues(meeting, visible_names=True)]
    document = srt(meeting)
    if not expected:
        assert document == ""
        return
    back = library.from_buffer(io.StringIO(document, newline="\n"), format="srt")
    assert [(each.start_time.in_milliseconds(), each.end_time.in_milliseconds()) for each in back] == [
        (round(cue.start * 1000), round(cue.end * 1000)) for cue in expected
    ]
    assert [each.lines for each in back] == [[line.replace("-->", "-- >") for line in cue.lines] for cue in expected]
