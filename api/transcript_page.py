"""A transcript as its page shows it: turns, and between them what was not heard."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from api.page_words import Words
from api.speakers import Excerpt, Speaker, excerpts_of
from pipeline.domain import Gap, Meeting, Participant, ParticipantId, Pause, Segment, SegmentId, Transcript, Turn
from pipeline.export.characters import one_line
from pipeline.record.left_out import LeftOut
from pipeline.record.texts import text_of


@dataclass(frozen=True, slots=True)
class Aside:
    """What was left out of a segment, heard at the microphone of ``speaker`` and said by ``other``, if that is known.

    A correction of the segment to ``whole`` brings it back.
    """

    id: str
    language: str
    start: float
    text: str
    whole: str
    count: int | None
    speaker: str
    other: str | None


@dataclass(frozen=True, slots=True)
class Piece:
    """One segment of a turn, which can be corrected; ``count`` caption words. ``asides`` were heard while it was."""

    id: str
    language: str
    start: float
    text: str
    count: int | None = None
    asides: tuple[Aside, ...] = ()


Voice = tuple[str, int]
"""A participant and the number of a voice at its microphone, 0 for the participant alone."""
NO_VOICES: Mapping[ParticipantId, Voice] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Entry:
    """A turn, with ``pieces`` and the number its speaker's colour and shape follow from; or an event, ``said``."""

    start: float
    speaker: str = ""
    look: int = 0
    pieces: tuple[Piece, ...] = ()
    said: str = ""
    voice: Voice = ("", 0)


@dataclass(frozen=True, slots=True)
class Row:
    """Somebody who spoke: ``name`` is what people call them, ``others`` whose voice it may be, by number.

    ``merged_into`` is how the transcript names the voice that it turned out to be.
    """

    speaker: str
    look: int
    voice: Voice
    name: str
    others: tuple[tuple[int, str], ...] = ()
    merged_into: str | None = None
    excerpts: tuple[Excerpt, ...] = ()


def voices_of(speakers: Iterable[Speaker]) -> dict[ParticipantId, Voice]:
    """Which voice each participant of a transcript is, of those that are one."""
    return {each.speaking.id: (each.owner, each.voice) for each in speakers}


def rows_of(
    meeting: Meeting,
    transcript: Transcript,
    people: Iterable[Participant],
    speakers: Sequence[Speaker],
    names: Mapping[ParticipantId, str],
) -> list[Row]:
    """Everybody who spoke, as ``names`` has them, then the voices that turned out to be others."""
    voices = {each.speaking.id: each for each in speakers}
    owners = {each.id: each for each in people}
    rows = []
    for look, (who, label) in enumerate(names.items()):
        if (speaker := voices.get(who)) is not None:
            others = tuple(
                (each.voice, names.get(each.speaking.id, each.speaking.name))
                for each in speakers
                if each.owner == speaker.owner and each.merged_into is None and each is not speaker
            )
            voice = (speaker.owner, speaker.voice)
            rows.append(Row(label, look, voice, speaker.name or "", others, None, speaker.excerpts))
        elif (owner := owners.get(who)) is not None:
            said = [segment for segment in transcript.segments if segment.participant.id == who]
            if said:
                rows.append(Row(label, look, (who, 0), owner.name, excerpts=excerpts_of(meeting, said)))
    by_voice = {(each.owner, each.voice): each.speaking for each in speakers}
    for each in speakers:
        other = None if each.merged_into is None else by_voice.get((each.owner, each.merged_into))
        if other is not None:  # else neither says anything
            merged_into = names.get(other.id, other.name)
            rows.append(Row(each.speaking.name, 0, (each.owner, each.voice), each.name or "", (), merged_into))
    return rows


def choices_of(
    people: Iterable[Participant], speakers: Iterable[Speaker], names: Mapping[ParticipantId, str]
) -> dict[str, dict[str, object]]:
    """Whose words a piece may be, by the participant at whose microphone several may speak, for the script."""
    found: dict[ParticipantId, list[tuple[int, str]]] = {each.id: [] for each in people if each.shared_room}
    for each in speakers:
        if each.merged_into is None:
            label = names.get(each.speaking.id, each.speaking.name)
            found.setdefault(each.owner, []).append((each.voice, label))
    owners = {each.id: each.name for each in people}
    return {owner: {"name": owners.get(owner, owner), "voices": voices} for owner, voices in found.items()}


def entries_of(
    transcript: Transcript,
    turns: Iterable[Turn],
    names: Mapping[ParticipantId, str],
    words: Words,
    voices: Mapping[ParticipantId, Voice] = NO_VOICES,
    left_out: Iterable[LeftOut] = (),
) -> list[Entry]:
    """Turns, gaps and pauses by their start."""
    turns = tuple(turns)
    place = {participant: number for number, participant in enumerate(names)}
    asides = _asides(left_out, [segment for turn in turns for segment in turn.segments], names)
    entries = [_turn(turn, names, place, voices, asides) for turn in turns]
    entries += [_gap(gap, names, words) for gap in transcript.gaps]
    entries += [_pause(pause, words) for pause in transcript.pauses]
    return sorted(entries, key=lambda entry: entry.start)


def _turn(
    turn: Turn,
    names: Mapping[ParticipantId, str],
    place: Mapping[ParticipantId, int],
    voices: Mapping[ParticipantId, Voice],
    asides: Mapping[SegmentId, Sequence[Aside]],
) -> Entry:
    pieces = (
        Piece(
            segment.id,
            segment.language,
            segment.start,
            one_line(text_of(segment)[0]),
            segment.count,
            tuple(asides.get(segment.id, ())),
        )
        for segment in turn.segments
    )
    who = turn.participant.id
    shown = tuple(piece for piece in pieces if piece.text)
    return Entry(turn.start, names[who], place[who], shown, voice=voices.get(who, (who, 0)))


def _asides(
    left_out: Iterable[LeftOut], shown: Sequence[Segment], names: Mapping[ParticipantId, str]
) -> dict[SegmentId, list[Aside]]:
    """By the segment after which each is shown: of the ``shown`` ones, in order, the last that had begun by then."""
    found: dict[SegmentId, list[Aside]] = {}
    for each in left_out:
        began = bisect_right(shown, each.segment.start, key=lambda segment: segment.start)
        for segment in shown[max(0, began - 1) : max(1, began)]:
            found.setdefault(segment.id, []).append(_aside(each, names))
    return found


def _aside(left_out: LeftOut, names: Mapping[ParticipantId, str]) -> Aside:
    segment, by = left_out.segment, left_out.by
    return Aside(
        segment.id,
        segment.language,
        segment.start,
        one_line(left_out.text),
        one_line(left_out.whole),
        segment.count,
        names[segment.participant.id],
        None if by is None else names[by.id],
    )


def _gap(gap: Gap, names: Mapping[ParticipantId, str], words: Words) -> Entry:
    said = words.say("transcript.gap", speaker=names[gap.participant.id], until=clock(gap.end))
    return Entry(gap.start, said=said)


def _pause(pause: Pause, words: Words) -> Entry:
    if pause.end is None:
        return Entry(pause.start, said=words.say("transcript.pause.open"))
    return Entry(pause.start, said=words.say("transcript.pause", until=clock(pause.end)))


def initials(name: str) -> str:
    """The first signs of the first two words of ``name``."""
    return "".join(word[0] for word in name.split()[:2]).upper() or "?"


def clock(seconds: float) -> str:
    """Meeting time as ``1:02:03`` or ``2:03``."""
    whole = max(0, int(seconds))
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def iso(at: float) -> str:
    """A moment in UTC; the page writes it as the reader's calendar and clock say it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
