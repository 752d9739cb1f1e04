from dataclasses import replace

import pytest

from pipeline.domain import Participant, ParticipantId, Presence
from pipeline.record.minutes import joined, minutes
from tests.pipeline.record.samples import ANNE, BILAL, gap, segment, transcript

CLAIRE = Participant(ParticipantId("claire"), "Claire")


def by_name(found):
    return {attendee.participant.name: attendee for attendee in found.attendees}


def test_nobody_in_an_empty_meeting():
    found = minutes(transcript(title="Point"))
    assert (found.title, found.start, found.end, found.attendees, found.speaking) == ("Point", 0.0, 0.0, (), 0.0)


def test_who_speaks_does_so_from_word_to_word_as_long_as_pauses_are_short():
    spoken = [segment("a", "Oui oui", 10, 12), segment("b", "non", 12.9, 14), segment("c", "bon", 20, 21)]
    (anne,) = minutes(transcript(*spoken)).attendees
    assert anne.spoke == ((10, 14), (20, 21))
    assert (anne.speaking, anne.turns) == (5.0, 2)
    assert (anne.present, anne.attendance) == ((), 0.0)


def test_where_two_speak_at_once_both_count_and_shares_are_of_all_that_was_spoken():
    found = minutes(transcript(segment("a", "Oui", 0, 6), segment("b", "Non", 3, 5, BILAL)))
    anne, bilal = found.attendees
    assert (anne.speaking, bilal.speaking, found.speaking) == (6.0, 2.0, 8.0)
    assert (found.share(anne), found.share(bilal)) == (0.75, 0.25)
    assert (anne.turns, bilal.turns) == (1, 1)


def test_shares_of_a_silent_meeting_are_none():
    found = minutes(transcript(), [ANNE], [Presence(ANNE.id, 1.0, 5.0)])
    assert found.share(found.attendees[0]) == 0.0


def test_a_correction_to_nothing_says_nothing_and_one_to_something_does():
    (anne,) = minutes(transcript(segment("a", "Hum", 0, 1, correction=""))).attendees
    assert (anne.spoke, anne.turns) == ((), 0)
    (anne,) = minutes(transcript(segment("a", "Hum", 0, 1, correction="Tout à fait"))).attendees
    assert anne.spoke == ((pytest.approx(0), pytest.approx(1)),)


def test_attendance_is_the_time_there_and_whoever_is_still_there_is_so_until_now():
    presences = [
        Presence(ANNE.id, 5.0, 65.0),
        Presence(ANNE.id, 70.0, None),
        Presence(BILAL.id, 60.0, 60.0),
        Presence(CLAIRE.id, 8.0, 3.0),
    ]
    found = minutes(transcript(segment("a", "Oui", 10, 11)), [ANNE, BILAL, CLAIRE], presences, now=100.0)
    people = by_name(found)
    assert people["Anne"].present == ((5.0, 65.0), (70.0, 100.0))
    assert people["Anne"].attendance == 90.0
    assert (people["Bilal"].present, people["Bilal"].attendance) == (((60.0, 60.0),), 0.0)
    assert people["Claire"].present == ((8.0, 8.0),)
    assert (found.start, found.end) == (5.0, 100.0)


def test_everybody_of_the_transcript_comes_first_then_those_who_only_were_there():
    spoken = transcript(segment("a", "Oui", 0, 1, BILAL), gaps=(gap(2, 3, ANNE),))
    stranger = Participant(ParticipantId("x"), "Nobody came")
    found = minutes(spoken, [ANNE, CLAIRE, stranger], [Presence(CLAIRE.id, 0.0, 4.0)])
    assert [attendee.participant.name for attendee in found.attendees] == ["Bilal", "Anne", "Claire"]
    assert found.end == 4.0


def test_participants_of_the_transcript_who_said_nothing_are_listed():
    (anne,) = minutes(replace(transcript(), participants=(ANNE,))).attendees
    assert (anne.participant, anne.spoke, anne.turns) == (ANNE, (), 0)


def test_spans_that_overlap_or_are_near_are_one():
    assert joined([(5, 6), (0, 2), (1, 1.5), (2, 3)]) == ((0, 3), (5, 6))
    assert joined([(5, 6), (0, 3)], apart=2) == ((0, 6),)
    assert joined([]) == ()
