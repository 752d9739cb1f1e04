"""Cues of a transcript by French subtitling practice (METHODS.md, section 5.1).

42 characters a line, two lines, 5/6 s to 7 s, 17 characters a second wherever the next cue of the same speaker leaves
the time: speech faster than that is kept whole, never summed up. Cues of one speaker never overlap; those of several
speakers may. A gap is a cue of its own, ``[inaudible]``, at its beginning.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import zip_longest
from math import ceil

from pipeline.domain import Gap, ParticipantId, SegmentId, Transcript
from pipeline.export.characters import one_line
from pipeline.export.clock import milliseconds
from pipeline.export.cue import Cue
from pipeline.export.flow import LONGEST_S, Draft, drafts_of
from pipeline.export.layout import lines_of
from pipeline.export.names import speaker_names
from pipeline.export.pieces import LINE_CHARACTERS, Piece, joined, pieces_of
from pipeline.record.turns import turns

CHARACTERS_PER_SECOND = 17
INAUDIBLE = "[inaudible]"
LONGEST_NAME = 30
"""A visible name is cut to this many characters, so that it always fits one line with its number and colon."""

SHORTEST_MS = ceil(Fraction(5, 6) * 1000)
LONGEST_MS = round(LONGEST_S * 1000)


@dataclass(frozen=True, slots=True)
class VoicedCue:
    """A cue and whose it is; ``voice`` is set on every cue, ``cue.speaker`` where the reader must be told."""

    voice: str
    cue: Cue


@dataclass(frozen=True, slots=True)
class _Placed:
    participant: ParticipantId
    draft: Draft
    start_ms: int
    end_ms: int


def cues(transcript: Transcript) -> tuple[Cue, ...]:
    """The cues of ``transcript``, ordered by start; see ``voiced_cues``."""
    return tuple(voiced.cue for voiced in voiced_cues(transcript))


def voiced_cues(transcript: Transcript, *, visible_names: bool = False) -> tuple[VoicedCue, ...]:
    """The cues of ``transcript`` with their voices, ordered by start; times are whole milliseconds, in seconds.

    ``speaker`` is set where a turn begins and where it goes on after somebody else has begun to speak; with
    ``visible_names`` the first line of these begins with the name. The lines of a participant's cues, joined, are
    the texts of the participant's turns: nothing lost, nothing twice. A cue's id is that of the segment it begins
    in and a number, unique in the document.
    """
    names = speaker_names(transcript)
    labels = speaker_names(transcript, LONGEST_NAME) if visible_names else {}
    placed = [
        timed for participant, drafts in _drafts(transcript, labels).items() for timed in _timed(participant, drafts)
    ]
    placed.sort(key=lambda each: (each.start_ms, each.end_ms))
    numbers: Counter[str] = Counter()
    return tuple(VoicedCue(names[each.participant], _cue(each, names[each.participant], numbers)) for each in placed)


def _drafts(transcript: Transcript, labels: dict[ParticipantId, str]) -> dict[ParticipantId, list[Draft]]:
    """The cue texts of each participant, in order of their start; a turn's keep the order of its text."""
    spoken = turns(transcript)
    onsets = [_Onset(segment.start, turn.participant.id) for turn in spoken for segment in turn.segments]
    onsets += (_Onset(gap.start, gap.participant.id) for gap in transcript.gaps)
    onsets.sort(key=_at)
    drafts: defaultdict[ParticipantId, list[Draft]] = defaultdict(list)
    for turn in spoken:
        me = turn.participant.id
        drafts[me] += drafts_of(pieces_of(turn), _label(labels, me), partial(_is_interrupted, onsets, me))
    for me, own in drafts.items():
        drafts[me] = list(_forward(own))
    for gap in transcript.gaps:
        drafts[gap.participant.id].append(_gap_draft(gap, _label(labels, gap.participant.id)))
    for own in drafts.values():
        own.sort(key=lambda draft: draft.start)
    return drafts


def _label(labels: dict[ParticipantId, str], participant: ParticipantId) -> str:
    return f"{labels[participant]}:" if labels else ""


@dataclass(frozen=True, slots=True)
class _Onset:
    """Somebody's speech, or a gap in it, begins."""

    at: float
    whose: ParticipantId


def _is_interrupted(onsets: list[_Onset], participant: ParticipantId, after: float, until: float) -> bool:
    within = onsets[bisect_right(onsets, after, key=_at) : bisect_right(onsets, until, key=_at)]
    return any(onset.whose != participant for onset in within)


def _at(onset: _Onset) -> float:
    return onset.at


def _forward(drafts: Iterable[Draft]) -> Iterator[Draft]:
    """``drafts`` with starts that never run backwards, where two tracks of one participant overlap."""
    reached = float("-inf")
    for draft in drafts:
        reached = max(reached, draft.start)
        first = replace(draft.pieces[0], start=reached)
        yield replace(draft, pieces=(first, *draft.pieces[1:]))


def _gap_draft(gap: Gap, label: str) -> Draft:
    piece = Piece(INAUDIBLE, gap.start, gap.end, spaced=True, segment=SegmentId("gap"), language="")
    shown = (replace(piece, text=label), piece) if label else (piece,)
    above = len(shown) if len(joined(shown)) <= LINE_CHARACTERS else 1
    return Draft((piece,), lines_of(shown, above), named=True)


def _timed(participant: ParticipantId, drafts: list[Draft]) -> Iterator[_Placed]:
    """One participant's ``drafts`` with the time each is shown, in milliseconds.

    A cue begins with its speech, later only while the one before has not stood its 5/6 s; it ends with its speech
    or when it can be read, at the latest when the next one begins.
    """
    end = 0
    for draft, following in zip_longest(drafts, drafts[1:]):
        start, end = shown_ms(draft, end, following.start if following else None)
        yield _Placed(participant, draft, start, end)


def shown_ms(draft: Draft, not_before: int, following: float | None) -> tuple[int, int]:
    """When ``draft`` is shown, in milliseconds; ``following``, in seconds, is when its speaker goes on."""
    start = max(milliseconds(draft.start), not_before)
    read = ceil(Fraction(sum(map(len, draft.lines)), CHARACTERS_PER_SECOND) * 1000)
    end = min(max(milliseconds(draft.end), start + max(read, SHORTEST_MS)), start + LONGEST_MS)
    if following is not None:
        end = min(end, max(milliseconds(following), start + SHORTEST_MS))
    return start, end


def _cue(placed: _Placed, name: str, numbers: Counter[str]) -> Cue:
    # A WebVTT cue identifier is one line without "-->" (WebVTT, section 4.1).
    segment = one_line(placed.draft.pieces[0].segment).replace(">", "") or "cue"
    numbers[segment] += 1
    return Cue(
        id=f"{segment}-{numbers[segment]}",
        start=placed.start_ms / 1000,
        end=placed.end_ms / 1000,
        lines=placed.draft.lines,
        speaker=name if placed.draft.named else None,
    )
