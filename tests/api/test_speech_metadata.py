"""The metadata file that comes with a recording: who spoke when, or what is wrong with it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError

from api.speech_metadata import read_speech
from media_gateway.livekit.metadata_file import RecordingMetadata
from pipeline.errors import InvalidInput
from pipeline.record.matching import ParticipantSpeech

BEGAN = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)


def event(who: str, kind: str, second: float) -> dict[str, Any]:
    return {
        "participant_id": who,
        "type": kind,
        "timestamp": datetime.fromtimestamp(BEGAN.timestamp() + second, UTC).isoformat(),
        "data": None,
    }


def read(events: list[Any], **names: Any) -> tuple[ParticipantSpeech, ...]:
    people = [{"participantId": who, "name": name} for who, name in names.items()]
    return read_speech(json.dumps({"events": events, "participants": people}).encode(), BEGAN)


def test_what_greffiers_collector_writes_is_read_with_times_of_the_recording() -> None:
    metadata, at = RecordingMetadata(), BEGAN.timestamp()
    metadata.connected("sub-1", "Zoé", at - 9.0)
    metadata.connected("sub-2", "Bob", at)
    metadata.speech_started("sub-2", at + 1.0)
    metadata.speech_started("sub-1", at + 2.5)
    metadata.wrote("sub-1", "Bonjour à tous", at + 3.0)
    metadata.speech_ended("sub-1", at + 4.0)
    assert read_speech(metadata.written(at + 6.0), BEGAN) == (
        ParticipantSpeech("Zoé", ((2.5, 4.0),)),
        ParticipantSpeech("Bob", ((1.0, 6.0),)),
    )


def test_what_was_said_before_the_recording_began_is_left_out() -> None:
    events = [event("a", kind, at) for kind, at in [("speech_start", -9.0), ("speech_end", -1.0)]]
    events += [event("a", kind, at) for kind, at in [("speech_start", -1.0), ("speech_end", 2.0)]]
    assert read(events, a="Ann") == (ParticipantSpeech("Ann", ((0.0, 2.0),)),)
    assert read(events[:2], a="Ann") == ()


def test_speech_without_an_end_lasts_as_long_as_the_recording_and_an_end_without_a_start_says_nothing() -> None:
    events = [event("a", "speech_end", 1.0), event("a", "speech_start", 3.0), event("a", "danced", 4.0)]
    (ann,) = read(events, a="Ann")
    ((start, end),) = ann.spans
    assert (start, end >= 12 * 3600.0) == (3.0, True)


@pytest.mark.parametrize("name", [None, "", " \u202e", "missing"])
def test_who_has_no_name_is_called_by_the_identity(name: str | None) -> None:
    events = [event("sub-1", "speech_start", 0.0), event("sub-1", "speech_end", 1.0)]
    people = [] if name == "missing" else [{"participantId": "sub-1", "name": name}]
    (one,) = read_speech(json.dumps({"events": events, "participants": people}).encode(), BEGAN)
    assert one.name == "sub-1"


def test_names_are_kept_on_one_line() -> None:
    events = [event("a", "speech_start", 0.0), event("b", "speech_start", 1.0)]
    assert [person.name for person in read(events, a="Ann\n\x00 Lee", b="x" * 300)] == ["Ann Lee", "x" * 100]


def test_a_file_that_an_editor_began_with_a_byte_order_mark_is_read_as_pages_do() -> None:
    content = json.dumps({"events": [], "participants": []}).encode("utf-8-sig")
    assert read_speech(bytearray(content), BEGAN) == ()


@pytest.mark.parametrize("content", [b"", b"ID3\x03", b'{"events": [', b"\xff\xfe"])
def test_what_is_no_json_says_so(content: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^metadata: Invalid JSON"):
        read_speech(content, BEGAN)


GOOD = event("a", "speech_start", 0.0)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ([], ("metadata",)),
        ({"participants": []}, ("metadata", "events")),
        ({"events": []}, ("metadata", "participants")),
        ({"events": 3, "participants": []}, ("metadata", "events")),
        ({"events": [GOOD, {}], "participants": []}, ("metadata", "events", 1, "participant_id")),
        ({"events": [GOOD | {"timestamp": "yesterday"}], "participants": []}, ("metadata", "events", 0, "timestamp")),
        (
            {"events": [GOOD | {"timestamp": "2026-03-17T15:30:33"}], "participants": []},
            ("metadata", "events", 0, "timestamp"),
        ),
        ({"events": [], "participants": [{"name": "Ann"}]}, ("metadata", "participants", 0, "participantId")),
        ({"events": [{}] * 1000, "participants": [{}] * 1000}, ("metadata", "events", 0, "participant_id")),
    ],
)
def test_what_is_wrong_is_named(content: Any, where: tuple[object, ...]) -> None:
    with pytest.raises(RequestValidationError) as caught:
        read_speech(json.dumps(content).encode(), BEGAN)
    found = caught.value.errors()
    assert found[0]["loc"] == ("body", *where)
    assert len(found) < 10, "the first that is wrong in each list is enough"
