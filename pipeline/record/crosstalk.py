"""Copies in a transcript: what a second microphone of a room heard is left out, and told of as such.

It is decided anew whenever a transcript is assembled: nothing of what was kept changes. A segment that somebody
corrected stays as it is, so a correction brings back what was left out.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pipeline.domain import Segment, TrackId, Transcript, Word
from pipeline.record.copies import FARTHER_DB, Lines, loudness, plain_form
from pipeline.record.shares import has_text
from pipeline.record.texts import words_of

MISHEARD = 2
"""So many words in a row between copies may be other ones: what is heard from afar is misheard."""

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
    copies = [(run, line) for line in range(len(lines)) for run in said.runs(line) if said.copied(line, run)]
    copies.sort(key=lambda copy: (-copy[0].count, copy[1], copy[0].first, copy[0].other, copy[0].original))
    folded: dict[Place, int] = {}
    staying: set[Place] = set()
    for run, line in copies:
        ours = lines[line].places[run.first : run.end]
        theirs = lines[run.other].places[run.original : run.original + run.count]
        for copy, original in zip(ours, theirs, strict=True):
            if copy not in staying and segments[copy[0]].correction is None:
                folded[copy] = run.other
                staying.update({original} - folded.keys())
    misheard = {place for line in lines for place in _misheard(line, lines, folded)}
    return folded.keys() | misheard - staying


def _misheard(line: _Line, lines: Sequence[_Line], folded: Mapping[Place, int]) -> Iterator[Place]:
    """The few words between copies, or between copies and an end of their segment, that the other line says louder."""
    for _, places in groupby(range(len(line.places)), lambda at: line.places[at][0]):
        stretches = [
            (other, tuple(stretch)) for other, stretch in groupby(places, lambda at: folded.get(line.places[at]))
        ]
        around = [None, *(other for other, _ in stretches), None]
        for (other, stretch), before, after in zip(stretches, around, around[2:], strict=False):
            beside = {each for each in (before, after) if each is not None}
            if other is not None or len(beside) != 1 or len(stretch) > MISHEARD:
                continue
            ours = [line.words[at] for at in stretch]
            theirs = _meanwhile(lines[beside.pop()].words, ours)
            here, there = loudness(ours), loudness(theirs)
            if here is not None and there is not None and there - here >= FARTHER_DB:
                yield from (line.places[at] for at in stretch)


def _meanwhile(words: Sequence[Word], others: Sequence[Word]) -> Sequence[Word]:
    """The ``words`` said while ``others`` were, if they fill half of that time."""
    start, end = others[0].start, others[-1].end
    first = bisect_left(words, start, key=lambda word: word.end)
    said = words[first : bisect_left(words, end, key=lambda word: word.start)]
    shared = sum(min(word.end, end) - max(word.start, start) for word in said)
    return said if shared >= (end - start) / 2 else ()


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
    if has_text(segment.record):
        return replace(placed, caption=caption, record=words)
    return replace(placed, caption=words)


def _in_order(segments: Sequence[Segment]) -> list[Segment]:
    return sorted(segments, key=lambda segment: (segment.start, segment.end, segment.track, segment.id))
