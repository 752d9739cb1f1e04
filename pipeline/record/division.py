"""How an utterance at a shared microphone is divided among those who speak in it.

A piece is consecutive words of one voice. A segment that people changed stays one piece with the words it had, and
speaks with the voice they gave it, or else with the one that said most of it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from pipeline.domain import ParticipantId, SegmentId, UtteranceId, VoiceRun
from pipeline.speakers import NOBODY, KnownVoice, SegmentChange

Changes = Mapping[int, SegmentChange]
"""What people changed in one utterance, by the first word of each segment."""


Known = Mapping[tuple[ParticipantId, int], KnownVoice]


@dataclass(frozen=True, slots=True)
class Division:
    """What is known of who spoke at shared microphones: what people ``changed``, ``runs`` that do not overlap, and
    ``voices``."""

    changed: Mapping[SegmentId, SegmentChange] = field(default_factory=dict)
    runs: Sequence[VoiceRun] = ()
    voices: Sequence[KnownVoice] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Words ``first`` to before ``end`` of an utterance, by number; ``voice`` is None where nobody knows."""

    first: int
    end: int
    voice: int | None = None


def divided(count: int, runs: Iterable[VoiceRun], changes: Changes) -> list[Piece]:
    """The pieces of an utterance of ``count`` words, whose ``runs`` do not overlap; one at least."""
    voices: list[int | None] = [None] * count
    for run in runs:
        end = min(run.first + run.count, count)
        voices[run.first : end] = [run.voice] * max(0, end - run.first)
    starts = {0} | {place + 1 for place, (before, after) in enumerate(pairwise(voices)) if before != after}
    for first, change in sorted(changes.items()):
        end = count if change.count is None else min(count, first + change.count)
        starts -= set(range(first, end))
        starts |= {first, end}
    places = sorted(start for start in starts if start < count) or [0]
    return [
        Piece(first, end, _voice_of(voices[first:end], changes.get(first))) for first, end in pairwise([*places, count])
    ]


def _voice_of(voices: Sequence[int | None], change: SegmentChange | None) -> int | None:
    if change is not None and change.voice is not None:
        return None if change.voice == NOBODY else change.voice
    heard = Counter(voice for voice in voices if voice is not None)
    return heard.most_common(1)[0][0] if heard else None


def segment_id(utterance: UtteranceId, first: int) -> SegmentId:
    """Of the piece that begins with word ``first``; the first one is called as its utterance."""
    return SegmentId(f"{utterance}/{first}" if first else utterance)


def place_of(segment: SegmentId, utterances: Collection[UtteranceId]) -> tuple[UtteranceId, int] | None:
    """Which of ``utterances`` a segment is of, and its first word; None where it is of none."""
    if UtteranceId(segment) in utterances:
        return UtteranceId(segment), 0
    utterance, _, first = segment.rpartition("/")
    if utterance in utterances and first.isascii() and first.isdecimal():
        return UtteranceId(utterance), int(first)
    return None


def changes_by_utterance(
    changes: Mapping[SegmentId, SegmentChange], utterances: Collection[UtteranceId]
) -> dict[UtteranceId, dict[int, SegmentChange]]:
    """``changes`` by utterance and first word; those of no known utterance are left out."""
    found: dict[UtteranceId, dict[int, SegmentChange]] = {}
    for segment, change in changes.items():
        place = place_of(segment, utterances)
        if place is not None:
            found.setdefault(place[0], {})[place[1]] = change
    return found


def overlaid(kept: Iterable[VoiceRun], new: VoiceRun) -> list[VoiceRun]:
    """``new`` in place of what ``kept`` says of its words; all are of one utterance. In order."""
    rest = [new] if new.count > 0 else []
    end = new.first + new.count
    for run in kept:
        run_end = run.first + run.count
        before, after = min(run_end, new.first), max(run.first, end)
        if before > run.first:
            rest.append(replace(run, count=before - run.first))
        if run_end > after:
            rest.append(replace(run, first=after, count=run_end - after))
    return sorted(rest, key=lambda run: run.first)


def changed_runs(runs: Iterable[VoiceRun], changes: Mapping[UtteranceId, Changes]) -> list[VoiceRun]:
    """``runs`` with what people changed of their utterances, by utterance and first word."""
    by_utterance: dict[UtteranceId, list[VoiceRun]] = {utterance: [] for utterance in changes}
    for run in runs:
        by_utterance.setdefault(run.utterance, []).append(run)
    return [
        run
        for utterance in sorted(by_utterance)
        for run in _changed(utterance, by_utterance[utterance], changes.get(utterance, {}))
    ]


def _changed(utterance: UtteranceId, runs: list[VoiceRun], changes: Changes) -> list[VoiceRun]:
    if not changes:
        return runs
    ends = [run.first + run.count for run in runs] + [first + (each.count or 0) for first, each in changes.items()]
    return [
        VoiceRun(utterance, piece.first, piece.end - piece.first, piece.voice)
        for piece in divided(max(ends), runs, changes)
        if piece.voice is not None and piece.end > piece.first
    ]


def settled_voice(voices: Known, participant: ParticipantId, voice: int) -> int:
    """The voice that ``voice`` turned out to be, through all merges."""
    return merged_voices(voices, participant, voice)[-1]


def merged_voices(voices: Known, participant: ParticipantId, voice: int) -> list[int]:
    """``voice``, the one it was merged into, and so on. No store makes a circle; one that was made ends."""
    path = [voice]
    known = voices.get((participant, voice))
    while known and known.merged_into is not None and path.count(path[-1]) == 1:
        path.append(known.merged_into)
        known = voices.get((participant, path[-1]))
    return path
