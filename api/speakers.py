"""Who speaks in a transcript, as API and page tell of them: participants and voices, with pieces to know each by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from pipeline.domain import Meeting, Participant, ParticipantId, Segment, Transcript
from pipeline.export.characters import one_line
from pipeline.record.attribution import at_microphone_of
from pipeline.record.division import settled_voice
from pipeline.record.texts import text_of
from pipeline.speakers import KnownVoice

EXCERPTS = 3
LONGEST_EXCERPT = 160


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What somebody said from ``start`` to ``end``; ``sound`` is where it can be heard, None where none was kept."""

    segment: str
    language: str
    text: str
    start: float
    end: float
    sound: str | None


@dataclass(frozen=True, slots=True)
class Speaker:
    """``speaking`` is how a transcript names them, ``seconds`` how long they speak in it.

    ``name`` is what people call the voice, None where it goes by a number.
    """

    owner: ParticipantId
    voice: int
    speaking: Participant
    name: str | None
    merged_into: int | None
    seconds: float
    excerpts: tuple[Excerpt, ...]


def voices_in(
    meeting: Meeting, transcript: Transcript, people: Iterable[Participant], voices: Sequence[KnownVoice]
) -> list[Speaker]:
    """The voices of ``people`` that say something, were named or merged, as ``voices`` has them.

    What a merged voice said is told of the voice that it was merged into.
    """
    said: dict[ParticipantId, list[Segment]] = {}
    for segment in transcript.segments:
        said.setdefault(segment.participant.id, []).append(segment)
    owners = {participant.id: participant for participant in people}
    known = {(voice.participant, voice.voice): voice for voice in voices}
    found = []
    for voice in voices:
        owner = owners.get(voice.participant) or Participant(voice.participant, voice.participant)
        settled = settled_voice(known, owner.id, voice.voice)
        speaking = at_microphone_of(owner, voice.voice, voice.name)
        segments = said.get(speaking.id, []) if settled == voice.voice else []
        if segments or voice.name or voice.merged_into is not None:
            found.append(
                Speaker(
                    owner.id,
                    voice.voice,
                    speaking,
                    voice.name,
                    None if settled == voice.voice else settled,
                    sum(segment.end - segment.start for segment in segments),
                    excerpts_of(meeting, segments),
                )
            )
    return found


def excerpts_of(meeting: Meeting, segments: Iterable[Segment]) -> tuple[Excerpt, ...]:
    """The longest pieces of what somebody said, in the order in which they were said."""
    texts = ((segment, one_line(text_of(segment)[0])) for segment in segments)
    longest = sorted((each for each in texts if each[1]), key=lambda each: -len(each[1]))[:EXCERPTS]
    return tuple(
        Excerpt(
            segment.id,
            segment.language,
            text if len(text) <= LONGEST_EXCERPT else text[: LONGEST_EXCERPT - 1].rstrip() + "…",
            segment.start,
            segment.end,
            _sound(meeting, segment),
        )
        for segment, text in sorted(longest, key=lambda each: each[0].start)
    )


def _sound(meeting: Meeting, segment: Segment) -> str | None:
    """Where it is heard, with the time (Media Fragments URI 1.0, section 4.2.1)."""
    if not meeting.keep_audio:
        return None
    track = quote(segment.track, safe="")
    return f"/api/v1/meetings/{meeting.id}/audio/{track}#t={segment.start:.2f},{segment.end:.2f}"
