import html
import re

import webvtt as library
from hypothesis import given, settings

from pipeline.domain import Participant, ParticipantId, Pause
from pipeline.export.cues import voiced_cues
from pipeline.export.webvtt import webvtt
from tests.pipeline.record.samples import gap, segment, transcript, transcripts

TIMES = re.compile(r"(\d{2,}):(\d\d):(\d\d)\.(\d{3}) --> (\d{2,}):(\d\d):(\d\d)\.(\d{3})")


def assert_valid(document):
    """The rules of WebVTT that METHODS.md, section 5.3 lists."""
    header, *blocks = document.removesuffix("\n").split("\n\n")
    assert header == "WEBVTT"
    ids, starts = [], []
    for block in (each for each in blocks if not each.startswith("NOTE ")):
        identifier, times, *lines = block.split("\n")
        found = TIMES.fullmatch(times)
        assert found and lines and all(lines)
        h1, m1, s1, t1, h2, m2, s2, t2 = map(int, found.groups())
        start, end = ((h1 * 60 + m1) * 60 + s1) * 1000 + t1, ((h2 * 60 + m2) * 60 + s2) * 1000 + t2
        assert end > start
        voice, text = re.fullmatch(r"<v ([^<>]+)>(.+)", "\n".join(lines), re.DOTALL).groups()
        assert not set("<>") & set(text)
        assert not re.search(r"&(?!amp;|lt;|gt;)", voice + text)
        ids.append(identifier)
        starts.append(start)
    assert "-->" not in "".join(ids)
    assert len(set(ids)) == len(ids)
    assert starts == sorted(starts)


def test_an_empty_transcript_is_a_valid_empty_document():
    assert webvtt(transcript()) == "WEBVTT\n"
    assert len(library.from_string(webvtt(transcript()), strict=True)) == 0


def test_cues_have_ids_hours_voices_and_escaped_text():
    someone = Participant(ParticipantId("x"), "Anne & <Bob>")
    assert webvtt(transcript(segment("u", "a<b> & c --> d", 3600, 3602, someone))) == (
        "WEBVTT\n\nu-1\n01:00:00.000 --> 01:00:02.000\n<v Anne &amp; &lt;Bob&gt;>a&lt;b&gt; &amp; c --&gt; d\n"
    )


def test_a_gap_is_a_cue_and_a_note_with_its_whole_extent():
    document = webvtt(transcript(gaps=(gap(1, 100, reason="a\n\n---> b"),)))
    assert document == (
        "WEBVTT\n\nNOTE gap from 00:00:01.000 to 00:01:40.000, a --- > b: Anne\n\n"
        "gap-1\n00:00:01.000 --> 00:00:08.000\n<v Anne>[inaudible]\n"
    )


def test_pauses_and_a_cut_are_notes_and_no_cues():
    document = webvtt(transcript(pauses=(Pause(1, 100), Pause(200)), cut=True))
    assert document == (
        "WEBVTT\n\nNOTE cut: a session ended without being asked to, speech may be missing\n\n"
        "NOTE pause from 00:00:01.000 to 00:01:40.000\n\nNOTE pause from 00:03:20.000\n"
    )


@settings(max_examples=30, deadline=None)
@given(transcripts())
def test_documents_are_valid_and_come_back_through_the_library_as_the_cues_were(meeting):
    document = webvtt(meeting)
    document.encode("utf-8")
    assert_valid(document)
    back = library.from_string(document, strict=True)
    assert [
        (each.identifier, each.start_time.in_milliseconds(), each.end_time.in_milliseconds(), html.unescape(each.text))
        for each in back
    ] == [
        (cue.id, round(cue.start * 1000), round(cue.end * 1000), "\n".join(cue.lines))
        for cue in (voiced.cue for voiced in voiced_cues(meeting))
    ]
    assert [html.unescape(each.voice) for each in back] == [voiced.voice for voiced in voiced_cues(meeting)]
