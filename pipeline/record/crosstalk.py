"""Copies in a transcript: what a second microphone of a room heard is left out, and told of as such.

It is decided anew whenever a transcript is assembled: nothing of what was kept changes. A segment that somebody
corrected stays as it is, so a correction brings back what was left out.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import inf

from pipeline.domain import Origin, Segment, TrackId, Transcript, Word
from pipeline.record.copies import (
    ABOUT_DB,
    AFAR,
    ALONE_S,
    LASTING_S,
    Lines,
    Run,
    apart,
    is_copy,
    is_far,
    loudness,
    own_level,
    plain_form,
)
from pipeline.record.texts import text_of, words_of

Place = tuple[int, int]
"""A word: the number of its segment, and its number there."""


@dataclass(frozen=True, slots=True)
class _Line:
    """The words of one track in order of their start, and where each stands."""

    words: tuple[Word, ...]
    places: tuple[Place, ...]


def fold(transcript: Transcript) -> Transcript:
    """``transcript`` without the words that are a copy of another track's, which become its ``folded``.

    Of several tracks that say the same one stays.
    """
    lines = _lines(transcript.segments)
    folded = _folded(lines, transcript.segments) if len(lines) > 1 else ()
    if not folded:
        return transcript
    of_segment: dict[int, set[int]] = {}
    for number, word in folded:
        of_segment.setdefault(number, set()).add(word)
    kept: list[Segment] = []
    left_out: list[Segment] = []
    for number, segment in enumerate(transcript.segments):
        if number not in of_segment:
            kept.append(segment)
            continue
        pieces = _pieces(words_of(segment), of_segment[number])
        left_out += (_saying(segment, words) for copy, words in pieces if copy)
        rest = tuple(word for copy, words in pieces if not copy for word in words)
        if any(plain_form(word.text) for word in rest):
            kept.append(_saying(segment, rest, segment.caption))
    return replace(transcript, segments=tuple(_in_order(kept)), folded=tuple(_in_order(left_out)))


def _lines(segments: Sequence[Segment]) -> list[_Line]:
    said: dict[TrackId, list[tuple[Word, Place]]] = {}
    for number, segment in enumerate(segments):
        for place, word in enumerate(_measured(segment)):
            if plain_form(word.text):
                said.setdefault(segment.track, []).append((word, (number, place)))
    for line in said.values():
        line.sort(key=lambda placed: placed[0].start)
    return [_Line(*zip(*line, strict=True)) for line in said.values()]


def _measured(segment: Segment) -> Iterator[Word]:
    """The words that stand for ``segment``, each as loud as the captioned word that was said when it was."""
    heard = [word for word in segment.caption if word.level is not None]
    for word in words_of(segment):
        if word.level is not None or not heard:
            yield word
            continue
        after = bisect_left(heard, word.start, key=lambda other: other.start)
        nearest = min(heard[max(after - 1, 0) : after + 1], key=lambda other: abs(other.start - word.start))
        yield replace(word, level=nearest.level)


def _folded(lines: Sequence[_Line], segments: Sequence[Segment]) -> Collection[Place]:
    """The words to leave out: of the longest copies first. What others are a copy of stays, and what was corrected."""
    said = Lines([line.words for line in lines])
    copies, own = _copies(lines, said)
    copies.sort(key=lambda copy: (-copy[0].count, copy[1], copy[0].first, copy[0].other, copy[0].original))
    staying = {place for line in lines for place in line.places if segments[place[0]].correction is not None}
    folded: set[Place] = set()
    afar: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for run, line in copies:
        quieter = apart(*said.of(line, run))
        for number in range(run.count):
            copy, original = lines[line].places[run.first + number], lines[run.other].places[run.original + number]
            if copy in staying or copy in folded:
                continue
            folded.add(copy)
            staying.update({original} - folded)
            if quieter is not None:
                afar.setdefault((line, run.other), []).append((lines[line].words[run.first + number].start, quieter))
    for (line, other), heard in afar.items():
        far = _from_afar(lines[line], lines[other], sorted(heard), own[line])
        folded.update(place for place in far if place not in staying)
    return folded


def _copies(lines: Sequence[_Line], said: Lines) -> tuple[list[tuple[Run, int]], dict[int, float | None]]:
    """The runs that are copies, each with its line, and how loud whoever sits at the microphone of such a line is."""
    quieter: list[tuple[Run, int]] = []
    common: dict[int, set[int]] = {}
    for line in range(len(lines)):
        for run in said.runs(line):
            if is_copy(*said.of(line, run), own=inf):
                quieter.append((run, line))
                common.setdefault(line, set()).update(range(run.first, run.end))
    own = {line: _own_level(lines, line, numbers) for line, numbers in common.items()}
    return [(run, line) for run, line in quieter if is_copy(*said.of(line, run), own=own[line])], own


def _own_level(lines: Sequence[_Line], line: int, common: Collection[int]) -> float | None:
    """By the words of a ``line`` that nobody else said, nor spoke louder at about the same time."""
    others = [other.words for number, other in enumerate(lines) if number != line]
    return own_level(
        [
            word.level
            for number, word in enumerate(lines[line].words)
            if word.level is not None and number not in common and not _is_outspoken(word, word.level, others)
        ]
    )


def _is_outspoken(word: Word, level: float, others: Sequence[Sequence[Word]]) -> bool:
    """Whether one of the ``others`` says something louder than ``level`` at about the time of ``word``."""
    around = (loudness(_between(words, word.start - ALONE_S, word.end + ALONE_S)) for words in others)
    return any(there is not None and there > level for there in around)


def _from_afar(line: _Line, other: _Line, copies: Sequence[tuple[float, float]], own: float | None) -> Iterator[Place]:
    """The words of ``line`` that are as much quieter than what ``other`` says meanwhile as copies about then were.

    ``copies`` are the starts of their words, each with how much quieter it was; see ``is_copy`` for ``own``.
    """
    for word, place in zip(line.words, line.places, strict=True):
        first = bisect_left(copies, word.start - LASTING_S, key=lambda copy: copy[0])
        about = copies[first : bisect_left(copies, word.start + LASTING_S, key=lambda copy: copy[0])]
        if len(about) < AFAR or word.level is None:
            continue
        usual = sum(quieter for _, quieter in about) / len(about)
        meanwhile = _meanwhile(other.words, word)
        quieter = apart([word], meanwhile)
        if quieter is not None and quieter >= usual - ABOUT_DB and is_far([word], meanwhile, own):
            yield place


def _meanwhile(words: Sequence[Word], other: Word) -> Sequence[Word]:
    """The ``words`` said while the ``other`` was, if they fill half of its time."""
    said = _between(words, other.start, other.end)
    shared = sum(min(word.end, other.end) - max(word.start, other.start) for word in said)
    return said if shared >= (other.end - other.start) / 2 else ()


def _between(words: Sequence[Word], start: float, end: float) -> Sequence[Word]:
    first = bisect_left(words, start, key=lambda word: word.end)
    return words[first : bisect_left(words, end, key=lambda word: word.start)]


def _pieces(words: Sequence[Word], folded: Collection[int]) -> list[tuple[bool, tuple[Word, ...]]]:
    """``words`` as runs that are a copy and runs that are not; punctuation stays with the word before it."""
    fates: list[bool] = []
    for number, word in enumerate(words):
        lone = fates and not plain_form(word.text)
        fates.append(fates[-1] if lone else number in folded)
    grouped = groupby(zip(fates, words, strict=True), key=lambda fated: fated[0])
    return [(copy, tuple(word for _, word in run)) for copy, run in grouped]


def _saying(segment: Segment, words: tuple[Word, ...], caption: tuple[Word, ...] = ()) -> Segment:
    """``segment`` with ``words`` as the text that stands; ``caption`` is kept beside a record text."""
    placed = replace(segment, start=words[0].start, end=words[-1].end)
    if text_of(segment)[1] is Origin.RECORD:
        recorded = replace(placed, caption=caption, record=words)
        # What is left of a record text may be less sure than what was captioned, which says the copy as well.
        return recorded if words_of(recorded) == words else replace(recorded, caption=())
    return replace(placed, caption=words, record=())


def _in_order(segments: Sequence[Segment]) -> list[Segment]:
    return sorted(segments, key=lambda segment: (segment.start, segment.end, segment.track, segment.id))
