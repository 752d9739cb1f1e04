"""What the page of a transcript shows, and in which order."""

import pytest

from api.page_words import Words
from api.speakers import voices_in
from api.transcript_page import Aside, choices_of, clock, entries_of, initials, iso, rows_of, voices_of
from pipeline.domain import (
    Gap,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Pause,
    Segment,
    SegmentId,
    TrackId,
    Transcript,
    Word,
)
from pipeline.export.names import speaker_names
from pipeline.record.attribution import at_microphone_of
from pipeline.record.left_out import LeftOut
from pipeline.record.turns import turns
from pipeline.speakers import KnownVoice

ANNE = Participant(ParticipantId("a"), "Anne <b>")
BOB = Participant(ParticipantId("b"), "Bob")


def segment(who: Participant, start: float, text: str, language: str = "fr") -> Segment:
    words = (Word(text, start, start + 1.0),)
    return Segment(SegmentId(f"{who.id}{start}"), TrackId(f"{who.id}.1"), who, start, start + 1.0, language, words)


def test_turns_gaps_and_pauses_stand_in_the_order_in_which_they_began() -> None:
    transcript = Transcript(
        MeetingId("m"),
        (segment(ANNE, 1.0, " Oui."), segment(ANNE, 2.5, " Well.", "en"), segment(BOB, 70.0, " Non.")),
        (Gap(TrackId("b.1"), BOB, 10.0, 12.0, "late"),),
        pauses=(Pause(20.0, 65.0), Pause(80.0)),
    )
    names = speaker_names(transcript)
    entries = entries_of(transcript, turns(transcript), names, Words("en"))
    assert [entry.start for entry in entries] == [1.0, 10.0, 20.0, 70.0, 80.0]
    first = entries[0]
    assert (first.speaker, first.look) == ("Anne <b>", 0)
    assert [(piece.id, piece.language, piece.text) for piece in first.pieces] == [
        ("a1.0", "fr", "Oui."),
        ("a2.5", "en", "Well."),
    ]
    assert entries[3].look == 1
    assert [entries[place].said for place in (1, 2, 4)] == [
        "Bob: sound until 0:12 was not recognised",
        "Captions paused until 1:05",
        "Captions paused",
    ]


def test_what_was_left_out_stands_after_the_last_piece_that_had_begun() -> None:
    said = (segment(ANNE, 1.0, " Oui."), segment(ANNE, 2.5, " Non."), segment(BOB, 70.0, " Si."))
    early, late = segment(BOB, 0.5, " oui\x00 "), segment(BOB, 2.5, " non")
    out = [LeftOut(early, "oui\x00", "oui\n non", None), LeftOut(late, "non", "non", ANNE)]
    transcript = Transcript(MeetingId("m"), said)
    names = speaker_names(transcript)
    entries = entries_of(transcript, turns(transcript), names, Words("en"), left_out=out)
    asides = [piece.asides for entry in entries for piece in entry.pieces]
    assert asides == [
        (Aside("b0.5", "fr", 0.5, "oui", "oui non", None, "Bob", None),),
        (Aside("b2.5", "fr", 2.5, "non", "non", None, "Bob", "Anne <b>"),),
        (),
    ]


ROOM = Participant(ParticipantId("r"), "Room", shared_room=True)
VOICES = [KnownVoice(ROOM.id, 1, "Zoé"), KnownVoice(ROOM.id, 2), KnownVoice(ROOM.id, 3, merged_into=2)]


def test_whoever_spoke_has_a_row_and_so_has_a_voice_that_turned_out_to_be_another() -> None:
    meeting = Meeting(MeetingId("m"), "", 0.0)
    zoe, second = at_microphone_of(ROOM, 1, "Zoé"), at_microphone_of(ROOM, 2)
    said = (segment(ANNE, 0.0, " Oui."), segment(zoe, 1.0, " Non."), segment(second, 2.0, " Si."))
    transcript = Transcript(meeting.id, said, participants=(ROOM, ANNE, zoe, second))
    names = speaker_names(transcript)
    speakers = voices_in(meeting, transcript, [ROOM, ANNE], VOICES)
    rows = rows_of(meeting, transcript, [ROOM, ANNE], speakers, names)
    assert [(row.speaker, row.voice, row.name, row.others, row.merged_into) for row in rows] == [
        ("Anne <b>", ("a", 0), "Anne <b>", (), None),
        ("Zoé", ("r", 1), "Zoé", ((2, "Room (voix 2)"),), None),
        ("Room (voix 2)", ("r", 2), "", ((1, "Zoé"),), None),
        ("Room (voix 3)", ("r", 3), "", (), "Room (voix 2)"),
    ]
    assert [[excerpt.text for excerpt in row.excerpts] for row in rows] == [["Oui."], ["Non."], ["Si."], []]
    silent = [*VOICES, KnownVoice(ROOM.id, 4), KnownVoice(ROOM.id, 5, merged_into=4)]
    assert len(rows_of(meeting, transcript, [ROOM], voices_in(meeting, transcript, [ROOM], silent), names)) == 3
    entries = entries_of(transcript, turns(transcript), names, Words("en"), voices_of(speakers))
    assert [entry.voice for entry in entries] == [("a", 0), ("r", 1), ("r", 2)]


def test_words_may_be_given_to_voices_of_a_shared_microphone_alone() -> None:
    meeting = Meeting(MeetingId("m"), "", 0.0)
    transcript = Transcript(meeting.id, (segment(ANNE, 0.0, " Oui."),))
    names = speaker_names(transcript)
    speakers = voices_in(meeting, transcript, [ROOM, ANNE], VOICES)
    assert choices_of([ROOM, ANNE], speakers, names) == {"r": {"name": "Room", "voices": [(1, "Zoé")]}}
    assert choices_of([ANNE], [], names) == {}


@pytest.mark.parametrize(
    ("name", "signs"),
    [("Éric Dubois", "ÉD"), ("anne", "A"), ("a b c", "AB"), ("", "?"), ("  ", "?"), ("🐙 Zoé", "🐙Z")],
)
def test_initials_are_the_first_signs_of_two_words(name: str, signs: str) -> None:
    assert initials(name) == signs


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0:00"), (-1.0, "0:00"), (59.9, "0:59"), (3599.9, "59:59"), (3661.0, "1:01:01")]
)
def test_meeting_time_is_written_as_people_do(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_moments_are_in_utc() -> None:
    assert iso(0.9) == "1970-01-01T00:00:00+00:00"
