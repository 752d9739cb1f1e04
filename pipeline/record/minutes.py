"""The minutes of a meeting in figures: who was there when, and who spoke when and for how long."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.domain import MeetingId, Participant, ParticipantId, Presence, Transcript
from pipeline.record.texts import text_of, words_of
from pipeline.record.turns import turns

PAUSE_S = 1.0
"""Somebody who is silent for no longer than this between two words goes on speaking."""

Span = tuple[float, float]
"""From and until, in seconds of meeting time."""


@dataclass(frozen=True, slots=True)
class Attendee:
    """A participant, or a voice of a shared microphone: when it was there, when it spoke, in how many turns.

    ``present`` is empty where nobody noted it: of recordings, and of the voices of a microphone. Spans of one attendee
    are in order and apart; those of two overlap where both spoke.
    """

    participant: Participant
    present: tuple[Span, ...] = ()
    spoke: tuple[Span, ...] = ()
    turns: int = 0

    @property
    def attendance(self) -> float:
        """Seconds."""
        return _length(self.present)

    @property
    def speaking(self) -> float:
        """Seconds."""
        return _length(self.spoke)


@dataclass(frozen=True, slots=True)
class Minutes:
    """``start`` and ``end`` are the first and the last moment that is known of anybody, in meeting time."""

    meeting: MeetingId
    title: str
    start: float
    end: float
    attendees: tuple[Attendee, ...]

    @property
    def speaking(self) -> float:
        """Seconds of speech of all attendees; where two speak at once, both count."""
        return sum(attendee.speaking for attendee in self.attendees)

    def share(self, attendee: Attendee) -> float:
        """Of all that was spoken, in [0, 1]."""
        return attendee.speaking / self.speaking if self.speaking else 0.0


def minutes(
    transcript: Transcript,
    participants: Iterable[Participant] = (),
    presences: Iterable[Presence] = (),
    now: float = 0.0,
) -> Minutes:
    """Everybody of ``transcript``, in its order, then those of ``participants`` who were there and are not in it.

    Whoever is still there is so until ``now``, in meeting time. Segments whose text is empty say nothing.
    """
    speaking = (segment.participant for segment in transcript.segments)
    missed = (gap.participant for gap in transcript.gaps)
    people: dict[ParticipantId, Participant] = {}
    for participant in (*transcript.participants, *speaking, *missed):
        people.setdefault(participant.id, participant)
    presences = tuple(presences)
    came = {presence.participant for presence in presences}
    for participant in participants:
        if participant.id in came:
            people.setdefault(participant.id, participant)
    there: dict[ParticipantId, list[Span]] = {}
    for presence in presences:
        left = now if presence.left is None else presence.left
        there.setdefault(presence.participant, []).append((presence.joined, max(left, presence.joined)))
    said: dict[ParticipantId, list[Span]] = {}
    for segment in transcript.segments:
        if text_of(segment)[0]:
            words = [(word.start, word.end) for word in words_of(segment)]
            said.setdefault(segment.participant.id, []).extend(words)
    counts = Counter(turn.participant.id for turn in turns(transcript))
    known = [span for spans in (*there.values(), *said.values()) for span in spans]
    return Minutes(
        transcript.meeting,
        transcript.title,
        min((start for start, _ in known), default=0.0),
        max((end for _, end in known), default=0.0),
        tuple(
            Attendee(person, joined(there.get(name, ())), joined(said.get(name, ()), PAUSE_S), counts[name])
            for name, person in people.items()
        ),
    )


def joined(spans: Iterable[Span], apart: float = 0.0) -> tuple[Span, ...]:
    """``spans`` in order, those that overlap or are no more than ``apart`` seconds apart as one."""
    whole: list[Span] = []
    for start, end in sorted(spans):
        if whole and start - whole[-1][1] <= apart:
            whole[-1] = (whole[-1][0], max(whole[-1][1], end))
        else:
            whole.append((start, end))
    return tuple(whole)


def _length(spans: Iterable[Span]) -> float:
    return sum(end - start for start, end in spans)
