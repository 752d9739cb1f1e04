"""A transcript as its page shows it: turns, and between them what was not heard."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from api.page_words import Words
from pipeline.domain import Gap, ParticipantId, Pause, Transcript, Turn
from pipeline.export.characters import one_line
from pipeline.record.texts import text_of


@dataclass(frozen=True, slots=True)
class Piece:
    """One segment of a turn, which can be corrected."""

    id: str
    language: str
    start: float
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A turn, with ``pieces`` and the number its speaker's colour and shape follow from; or an event, ``said``."""

    start: float
    speaker: str = ""
    look: int = 0
    pieces: tuple[Piece, ...] = ()
    said: str = ""


def entries_of(
    transcript: Transcript, turns: Iterable[Turn], names: Mapping[ParticipantId, str], words: Words
) -> list[Entry]:
    """Turns, gaps and pauses by their start."""
    place = {participant: number for number, participant in enumerate(names)}
    entries = [_turn(turn, names, place) for turn in turns]
    entries += [_gap(gap, names, words) for gap in transcript.gaps]
    entries += [_pause(pause, words) for pause in transcript.pauses]
    return sorted(entries, key=lambda entry: entry.start)


def _turn(turn: Turn, names: Mapping[ParticipantId, str], place: Mapping[ParticipantId, int]) -> Entry:
    pieces = (
        Piece(segment.id, segment.language, segment.start, one_line(text_of(segment)[0])) for segment in turn.segments
    )
    who = turn.participant.id
    return Entry(turn.start, names[who], place[who], tuple(piece for piece in pieces if piece.text))


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
