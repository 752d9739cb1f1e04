"""The file of a recording's metadata, field for field."""

import json

import pytest

from media_gateway.livekit import metadata_file
from media_gateway.livekit.metadata_file import (
    MOST_EVENTS,
    EventKind,
    MetadataEvent,
    RecordingMetadata,
    read_metadata,
)
from pipeline.errors import InvalidInput
from tests.livekit.naming import names

T = 1_773_761_433.25  # 2026-03-17 15:30:33.25 UTC


def told(metadata: RecordingMetadata, at: float = T + 100.0) -> list[tuple[str, str, float]]:
    """Who did what when, as the file says it."""
    written = read_metadata(metadata.written(at))
    return [(event.participant, event.kind.value, round(event.at - T, 3)) for event in written.events]


def test_the_file_has_the_fields_that_the_summary_reads_and_no_others() -> None:
    metadata = RecordingMetadata()
    metadata.connected("sub-1", "Zoé", T)
    metadata.speech_started("sub-1", T + 1.0)
    metadata.speech_ended("sub-1", T + 2.5)
    metadata.wrote("sub-1", "Bonjour à tous", T + 3.0)
    metadata.disconnected("sub-1", T + 4.0)
    assert json.loads(metadata.written(T + 5.0)) == {
        "events": [
            {
                "participant_id": "sub-1",
                "type": "participant_connected",
                "timestamp": "2026-03-17T15:30:33.250000+00:00",
                "data": None,
            },
            {
                "participant_id": "sub-1",
                "type": "speech_start",
                "timestamp": "2026-03-17T15:30:34.250000+00:00",
                "data": None,
            },
            {
                "participant_id": "sub-1",
                "type": "speech_end",
                "timestamp": "2026-03-17T15:30:35.750000+00:00",
                "data": None,
            },
            {
                "participant_id": "sub-1",
                "type": "chat_received",
                "timestamp": "2026-03-17T15:30:36.250000+00:00",
                "data": "Bonjour à tous",
            },
            {
                "participant_id": "sub-1",
                "type": "participant_disconnected",
                "timestamp": "2026-03-17T15:30:37.250000+00:00",
                "data": None,
            },
        ],
        "participants": [{"participantId": "sub-1", "name": "Zoé"}],
    }


def test_an_empty_recording_has_a_file_too() -> None:
    assert json.loads(RecordingMetadata().written(T)) == {"events": [], "participants": []}


def test_events_are_in_order_of_time_though_speech_is_noticed_late() -> None:
    metadata = RecordingMetadata()
    metadata.connected("a", "Ann", T)
    metadata.wrote("a", "hello", T + 2.0)
    metadata.speech_started("a", T + 1.5)
    assert [kind for _, kind, _ in told(metadata)] == [
        "participant_connected",
        "speech_start",
        "chat_received",
        "speech_end",
    ]


def test_speech_under_way_ends_where_the_file_is_written_and_goes_on_in_the_next() -> None:
    metadata = RecordingMetadata()
    metadata.speech_started("a", T + 1.0)
    assert told(metadata, T + 5.0) == [("a", "speech_start", 1.0), ("a", "speech_end", 5.0)]
    metadata.speech_ended("a", T + 9.0)
    assert told(metadata) == [("a", "speech_start", 1.0), ("a", "speech_end", 9.0)]


def test_whoever_leaves_while_speaking_has_stopped() -> None:
    metadata = RecordingMetadata()
    metadata.connected("a", "Ann", T)
    metadata.speech_started("a", T + 1.0)
    metadata.disconnected("a", T + 2.0)
    metadata.speech_ended("a", T + 3.0)
    assert told(metadata)[1:] == [
        ("a", "speech_start", 1.0),
        ("a", "speech_end", 2.0),
        ("a", "participant_disconnected", 2.0),
    ]


def test_what_is_told_twice_is_noted_once() -> None:
    metadata = RecordingMetadata()
    for later in (0.0, 1.0):
        metadata.connected("a", "Ann", T + later)
        metadata.speech_started("a", T + 2.0 + later)
    for later in (0.0, 1.0):
        metadata.speech_ended("a", T + 5.0 + later)
        metadata.disconnected("a", T + 7.0 + later)
    assert [(kind, at) for _, kind, at in told(metadata)] == [
        ("participant_connected", 0.0),
        ("speech_start", 2.0),
        ("speech_end", 5.0),
        ("participant_disconnected", 7.0),
    ]


def test_whoever_comes_back_does_so_after_they_left_though_that_is_told_late() -> None:
    metadata = RecordingMetadata()
    metadata.connected("a", "Ann", T)
    metadata.disconnected("a", T + 5.0)
    metadata.connected("a", "Ann", T + 4.0)
    assert [(kind, at) for _, kind, at in told(metadata)] == [
        ("participant_connected", 0.0),
        ("participant_disconnected", 5.0),
        ("participant_connected", 5.0),
    ]


def test_the_last_name_of_a_participant_counts_and_those_who_left_keep_theirs() -> None:
    metadata = RecordingMetadata()
    metadata.connected("a", "Ann", T)
    metadata.connected("b", "Bob", T)
    metadata.renamed("a", "Ann Smith")
    metadata.renamed("stranger", "Nobody")
    metadata.disconnected("b", T + 1.0)
    assert json.loads(metadata.written(T + 2.0))["participants"] == [
        {"participantId": "a", "name": "Ann Smith"},
        {"participantId": "b", "name": "Bob"},
    ]


def test_a_file_that_was_read_goes_on() -> None:
    metadata = RecordingMetadata()
    metadata.connected("a", "Ann", T)
    metadata.connected("b", "Bob", T)
    metadata.disconnected("b", T + 1.0)
    metadata.speech_started("a", T + 2.0)
    again = read_metadata(metadata.written(T + 4.0))
    assert again.present == {"a"}
    assert again.speaking == frozenset()
    assert again.names == {"a": "Ann", "b": "Bob"}
    assert again.newest == pytest.approx(T + 4.0, abs=1e-3)
    again.connected("a", "Ann", T + 10.0)
    again.speech_started("a", T + 11.0)
    again.speech_ended("a", T + 12.0)
    assert [kind for _, kind, _ in told(again)] == [
        "participant_connected",
        "participant_connected",
        "participant_disconnected",
        *["speech_start", "speech_end"] * 2,
    ]


def test_what_was_noted_before_an_earlier_file_could_be_read_follows_it() -> None:
    earlier = RecordingMetadata()
    for who, name in (("a", "Ann"), ("b", "Bob"), ("c", "Cid")):
        earlier.connected(who, name, T)
    earlier.disconnected("c", T + 1.0)
    earlier.speech_started("b", T + 1.0)
    earlier = read_metadata(earlier.written(T + 2.0))
    metadata = RecordingMetadata()
    metadata.connected("a", "Ann Smith", T + 10.0)
    metadata.connected("c", "Cid", T + 10.0)
    metadata.connected("d", "Dee", T + 10.0)
    metadata.speech_started("a", T + 11.0)
    metadata.wrote("d", "hello", T + 12.0)
    metadata.speech_started("d", T + 12.0)
    metadata.disconnected("d", T + 13.0)
    metadata.follow(earlier)
    assert told(metadata, T + 20.0) == [
        ("a", "participant_connected", 0.0),
        ("b", "participant_connected", 0.0),
        ("c", "participant_connected", 0.0),
        ("c", "participant_disconnected", 1.0),
        ("b", "speech_start", 1.0),
        ("b", "speech_end", 2.0),
        ("b", "participant_disconnected", 2.0),
        ("c", "participant_connected", 10.0),
        ("d", "participant_connected", 10.0),
        ("a", "speech_start", 11.0),
        ("d", "chat_received", 12.0),
        ("d", "speech_start", 12.0),
        ("d", "speech_end", 13.0),
        ("d", "participant_disconnected", 13.0),
        ("a", "speech_end", 20.0),
    ]
    assert metadata.names == {"a": "Ann Smith", "b": "Bob", "c": "Cid", "d": "Dee"}
    assert (metadata.present, metadata.speaking) == ({"a", "c"}, {"a"})


def test_an_earlier_file_alone_goes_on_as_it_was() -> None:
    earlier = RecordingMetadata()
    earlier.connected("a", "Ann", T)
    metadata = RecordingMetadata()
    metadata.follow(read_metadata(earlier.written(T)))
    assert metadata.present == {"a"}, "whether she is still there is seen in the room"
    assert metadata.written(T) == earlier.written(T)


def event(**changed: object) -> bytes:
    """A file of one event, with something wrong in it."""
    right = {"participant_id": "a", "type": "speech_start", "timestamp": "2026-03-17T15:30:33+00:00", "data": None}
    return json.dumps({"events": [right | changed], "participants": []}).encode()


def test_a_copy_stays_as_it_was() -> None:
    metadata = RecordingMetadata()
    metadata.connected("a", "Ann", T)
    metadata.speech_started("a", T + 1.0)
    copy, written = metadata.copy(), metadata.written(T + 9.0)
    metadata.speech_ended("a", T + 2.0)
    metadata.disconnected("a", T + 2.0)
    metadata.connected("b", "Bob", T + 2.0)
    assert copy.written(T + 9.0) == written
    assert (copy.present, copy.speaking) == ({"a"}, {"a"})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"events": []}',
        b'{"events": [{}], "participants": []}',
        b'{"events": 3, "participants": [{"participantId": "a"}]}',
        event(type="danced"),
        event(timestamp="2026-03-17T15:30:33"),
        event(timestamp="yesterday"),
    ],
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="no metadata of a recording"):
        read_metadata(content)


def test_it_is_bounded_and_what_has_begun_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata_file, "MOST_EVENTS", 2)
    metadata = RecordingMetadata()
    metadata.connected("a", "Ann", T)
    metadata.speech_started("a", T + 1.0)
    metadata.wrote("a", "too much", T + 2.0)
    metadata.connected("b", "Bob", T + 2.0)
    metadata.disconnected("a", T + 3.0)
    assert metadata.names == {"a": "Ann"}
    assert [kind for _, kind, _ in told(metadata)] == [
        "participant_connected",
        "speech_start",
        "speech_end",
        "participant_disconnected",
    ]


def test_chat_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata_file, "MOST_TEXT", 8)
    metadata = RecordingMetadata()
    for text in ("12345", "12345", "123"):
        metadata.wrote("a", text, T)
    assert [event.text for event in metadata.events] == ["12345", "123"]
    again = read_metadata(metadata.written(T))
    again.wrote("a", "1", T)
    assert len(again.events) == 2


def test_speakers_are_named_by_it_as_the_summary_names_them() -> None:
    metadata = RecordingMetadata(
        [
            MetadataEvent("a", EventKind.SPEECH_START, T - 1.0),
            MetadataEvent("a", EventKind.SPEECH_END, T + 5.0),
            MetadataEvent("b", EventKind.SPEECH_START, T + 4.0),
            MetadataEvent("b", EventKind.SPEECH_END, T + 9.0),
        ],
        {"a": "Ann", "b": "Bob"},
    )
    turns = {"SPEAKER_00": [(0.0, 4.8)], "SPEAKER_01": [(4.9, 9.0)], "SPEAKER_02": [(8.6, 12.0)]}
    found = names(json.loads(metadata.written(T + 20.0)), turns, T, T + 20.0)
    assert found == {"SPEAKER_00": "Ann", "SPEAKER_01": "Bob", "SPEAKER_02": None}


def test_whoever_writes_without_end_leaves_room_for_what_others_write_and_say() -> None:
    metadata = RecordingMetadata()
    for number in range(MOST_EVENTS):
        metadata.wrote("mallory", f"spam {number}", T)
    metadata.wrote("anne", "hello", T + 1.0)
    metadata.speech_started("anne", T + 2.0)
    assert [event.kind for event in metadata.events if event.participant == "anne"] == [
        EventKind.CHAT,
        EventKind.SPEECH_START,
    ]
    assert len(metadata.events) < MOST_EVENTS / 10
    again = read_metadata(metadata.written(T + 3.0))
    again.wrote("mallory", "more spam", T + 4.0)
    assert len(again.events) == len(metadata.events) + 1, "the end of what was being said, and no spam"
