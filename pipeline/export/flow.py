"""The pieces of one turn cut into the texts of cues: each fits two lines and seven seconds, and ends where it may.

The cuts of a turn are those of least cost over the whole turn (as lines of a paragraph in Knuth and Plass, "Breaking
Paragraphs into Lines", 1981): a cost per cue, for where it ends, for its layout, and for leaving too little time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pipeline.export.breaks import CLAUSE_END
from pipeline.export.layout import best_break, break_costs, lines_of, widths
from pipeline.export.pieces import Piece

SHORTEST_S = 5 / 6
"""How long a cue stays at least (Netflix, French; METHODS.md, section 5.1)."""

LONGEST_S = 7.0
"""How long a cue stays at most (same source)."""

SILENCE_S = 1.0
"""A cue does not run on over a longer silence: its end would be read long before it is said."""

BREATH_S = 0.3
"""After a pause of this length a cue may end as well as after a comma."""

EACH_CUE = 5.0
LEFT_TOO_SHORT = 30.0
CUE_END_WEIGHT = 3.0
MOST_PIECES = 86
"""More than two lines can hold, were every piece one character."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The text of a cue before it has its time: ``start`` and ``end`` are those of its speech, in seconds."""

    pieces: tuple[Piece, ...]
    lines: tuple[str, ...]
    named: bool

    @property
    def start(self) -> float:
        return self.pieces[0].start

    @property
    def end(self) -> float:
        return max(piece.end for piece in self.pieces)


Interrupted = Callable[[float, float], bool]
"""Whether somebody else began to speak after the first and not after the second time."""


def drafts_of(pieces: Sequence[Piece], label: str, interrupted: Interrupted) -> tuple[Draft, ...]:
    """The cue texts of one turn, in order, every piece in exactly one of them.

    The first one is ``named``, and so is each that follows an interruption. ``label`` begins the text of those
    that are named, as words of their first line; where it is empty nothing does.
    """
    drafts: list[Draft] = []
    for run in _runs(pieces):
        drafts += _Run(run, label, interrupted, drafts[-1].start if drafts else None).drafts()
    return tuple(drafts)


def _runs(pieces: Sequence[Piece]) -> Iterator[Sequence[Piece]]:
    """``pieces`` cut at every silence that no cue may span."""
    begin = 0
    for place, (before, after) in enumerate(pairwise(pieces), 1):
        if after.start - before.end > SILENCE_S:
            yield pieces[begin:place]
            begin = place
    yield pieces[begin:]


@dataclass(frozen=True, slots=True)
class _Cut:
    """A cue of the pieces ``begin`` to ``end``; ``above`` counts what its first line holds, the label included."""

    begin: int
    end: int
    above: int
    named: bool
    cost: float


@dataclass(frozen=True, slots=True)
class _Run:
    pieces: Sequence[Piece]
    label: str
    interrupted: Interrupted
    cue_before: float | None

    def drafts(self) -> list[Draft]:
        costs = break_costs(self.pieces)
        best: dict[int, tuple[float, _Cut | None]] = {0: (0.0, None)}
        for begin in range(len(self.pieces)):
            cost_before, before = best[begin]
            for cut in self._cuts(begin, self._is_named(begin, before), costs):
                cost = cost_before + cut.cost
                if cut.end not in best or cost < best[cut.end][0]:
                    best[cut.end] = cost, cut
        chosen: list[Draft] = []
        last = best[len(self.pieces)][1]
        while last is not None:
            chosen.append(self._draft(last))
            last = best[last.begin][1]
        return chosen[::-1]

    def _is_named(self, begin: int, before: _Cut | None) -> bool:
        previous = self.pieces[before.begin].start if before else self.cue_before
        return previous is None or self.interrupted(previous, self.pieces[begin].start)

    def _shown(self, begin: int, end: int, named: bool) -> list[Piece]:
        """The pieces as they are laid out: a label stands before them as one more."""
        shown = list(self.pieces[begin:end])
        if named and self.label:
            first = shown[0]
            shown = [replace(first, text=self.label, end=first.start), replace(first, spaced=True), *shown[1:]]
        return shown

    def _cuts(self, begin: int, named: bool, costs: Sequence[float]) -> Iterator[_Cut]:
        """Every cue that can begin at ``begin``; one piece always fits."""
        farthest = min(begin + MOST_PIECES, len(self.pieces))
        shown = self._shown(begin, farthest, named)
        labels = len(shown) - (farthest - begin)
        reach = widths(shown)
        inner = [CLAUSE_END] * labels + list(costs[begin:farthest])
        for end in range(begin + 1, farthest + 1):
            layout = best_break(shown, labels + end - begin, reach, inner)
            too_long = end > begin + 1 and self.pieces[end - 1].end - self.pieces[begin].start > LONGEST_S
            if layout is None or too_long:
                return
            yield _Cut(begin, end, layout[1], named, EACH_CUE + layout[0] + self._end_cost(begin, end, costs))

    def _end_cost(self, begin: int, end: int, costs: Sequence[float]) -> float:
        if end == len(self.pieces):
            return 0.0
        last, following = self.pieces[end - 1], self.pieces[end]
        cost = costs[end - 1]
        if following.start - last.end >= BREATH_S:
            cost = min(cost, CLAUSE_END)
        left_too_short = following.start - self.pieces[begin].start < SHORTEST_S
        return CUE_END_WEIGHT * cost + (LEFT_TOO_SHORT if left_too_short else 0.0)

    def _draft(self, cut: _Cut) -> Draft:
        lines = lines_of(self._shown(cut.begin, cut.end, cut.named), cut.above)
        return Draft(tuple(self.pieces[cut.begin : cut.end]), lines, cut.named)
