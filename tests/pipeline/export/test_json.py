import json as standard
from dataclasses import replace

import pytest
from hypothesis import given, settings

from pipeline.domain import Pause
from pipeline.export import json as module
from pipeline.export.json import SCHEMA, VERSION, json
from pipeline.record.texts import text_of
from tests.pipeline.record.samples import ANNE, OTHER_ANNE, gap, segment, transcript, transcripts, words


def test_an_empty_transcript_is_a_valid_document():
    assert standard.loads(json(transcript(title="Point"))) == {
        "schema": SCHEMA,
        "version": VERSION,
        "meeting": "meeting",
        "title": "Point",
        "participants": [],
        "segments": [],
        "gaps": [],
        "pauses": [],
        "cut": False,
        "folded": [],
    }


def test_a_segment_holds_every_text_with_its_origin_the_best_first():
    spoken = segment("u", "oui", 1.00049, 2, record=words("Oui.", 1, 2), correction="Ouïe")
    (found,) = standard.loads(json(transcript(spoken)))["segments"]
    assert found == {
        "id": "u",
        "track": "track-anne",
        "participant": "anne",
        "start": 1.0,
        "end": 2.0,
        "language": "fr",
        "origin": "correction",
        "text": "Ouïe",
        "texts": [
            {
                "origin": "correction",
                "text": "Ouïe",
                "words": [{"text": " Ouïe", "start": 1.0, "end": 2.0, "confidence": 1.0}],
            },
            {
                "origin": "record",
                "text": "Oui.",
                "words": [{"text": " Oui.", "start": 1.0, "end": 2.0, "confidence": 0.5}],
            },
            {
                "origin": "caption",
                "text": "oui",
                "words": [{"text": " oui", "start": 1.0, "end": 2.0, "confidence": 0.5}],
            },
        ],
    }


def test_what_was_left_out_as_a_copy_says_whose_segment_it_was_and_when():
    said = replace(transcript(segment("u", "oui", 0, 1)), folded=(segment("v", "bonjour à tous", 2, 3, OTHER_ANNE),))
    assert standard.loads(json(said))["folded"] == [
        {
            "segment": "v",
            "track": "track-anne-2",
            "participant": "anne-2",
            "start": 2.0,
            "end": 3.0,
            "text": "bonjour à tous",
        }
    ]


def test_participants_of_one_name_have_labels_of_their_own_and_gaps_their_reason():
    document = standard.loads(json(transcript(segment("u", "oui", 0, 1), gaps=(gap(2, 3, OTHER_ANNE),))))
    assert document["participants"] == [
        {"id": "anne", "name": "Anne", "label": "Anne"},
        {"id": "anne-2", "name": "Anne", "label": "Anne (2)"},
    ]
    assert document["gaps"] == [
        {"track": "track-anne-2", "participant": "anne-2", "start": 2.0, "end": 3.0, "reason": "overload"}
    ]


def test_pauses_have_no_end_while_they_last_and_a_cut_transcript_says_so():
    document = standard.loads(json(transcript(pauses=(Pause(1, 2.00049), Pause(3)), cut=True)))
    assert document["pauses"] == [{"start": 1.0, "end": 2.0}, {"start": 3.0, "end": None}]
    assert document["cut"] is True


def test_a_lone_surrogate_is_escaped_so_that_the_document_is_utf_8():
    document = json(transcript(segment("u", "a\ud83db", 0, 1)))
    assert standard.loads(document.encode("utf-8"))["segments"][0]["text"] == "a\ud83db"


def test_a_time_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        json(transcript(gaps=(gap(float("nan"), 1, ANNE),)))


def test_every_key_is_in_the_documented_schema():
    spoken = transcript(segment("u", "oui", 0, 1, correction="Oui"), gaps=(gap(2, 3),), pauses=(Pause(4),))

    def keys(value):
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    assert all(f'"{key}":' in module.__doc__ for key in keys(standard.loads(json(spoken))))


@settings(max_examples=30, deadline=None)
@given(transcripts())
def test_documents_hold_the_text_of_every_segment(meeting):
    document = standard.loads(json(meeting))
    assert [(each["text"], each["origin"]) for each in document["segments"]] == [
        (text_of(segment)[0], text_of(segment)[1].value) for segment in meeting.segments
    ]
    for each in document["segments"]:
        assert {text["origin"] for text in each["texts"]} >= {"caption"}
        assert each["texts"][0]["text"] == each["text"]
    assert len(document["gaps"]) == len(meeting.gaps)
    assert len(document["pauses"]) == len(meeting.pauses)
