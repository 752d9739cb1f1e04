"""One cue's pieces on one or two lines, balanced, broken where it hurts least."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise

from pipeline.export.breaks import break_cost
from pipeline.export.pieces import LINE_CHARACTERS, Piece, joined

TWO_LINES = 1.0
"""What a second line costs."""

FULL_IMBALANCE = 4.0
"""What it costs when one line is full and the other empty."""

TOP_HEAVY = 0.5
"""What it costs when the first line is the longer one: the shorter above hides less of the picture."""


def widths(pieces: Sequence[Piece]) -> list[int]:
    """Characters up to the end of each piece, the space before the first included."""
    return list(accumulate(len(piece.text) + piece.spaced for piece in pieces))


def best_break(
    pieces: Sequence[Piece], count: int, reach: Sequence[int], costs: Sequence[float]
) -> tuple[float, int] | None:
    """How the first ``count`` of ``pieces`` are laid out best: the cost, and how many the first line holds.

    None when two lines cannot hold them. ``reach`` is ``widths`` of the pieces; ``costs[k]`` is the cost of a
    break after piece k.
    """
    origin = reach[0] - len(pieces[0].text)
    whole = reach[count - 1] - origin
    if whole <= LINE_CHARACTERS:
        return 0.0, count
    if whole > 2 * LINE_CHARACTERS + 1:
        return None
    best: tuple[float, int] | None = None
    shortest = bisect_left(reach, origin + whole - LINE_CHARACTERS - 1, 0, count - 1)
    for first in range(shortest + 1, count):
        above = reach[first - 1] - origin
        below = whole - above - pieces[first].spaced
        if above > LINE_CHARACTERS:
            break
        if below > LINE_CHARACTERS:
            continue
        cost = TWO_LINES + costs[first - 1] + FULL_IMBALANCE * abs(above - below) / LINE_CHARACTERS
        cost += TOP_HEAVY if above > below else 0.0
        if best is None or cost < best[0]:
            best = cost, first
    return best


def break_costs(pieces: Sequence[Piece]) -> list[float]:
    """The cost of a break after each piece; after the last one it is 0."""
    inner = (break_cost(before.text, after.text, before.language) for before, after in pairwise(pieces))
    return [*inner, 0.0]


def lines_of(pieces: Sequence[Piece], first: int) -> tuple[str, ...]:
    """The lines when the first one holds ``first`` pieces."""
    return tuple(joined(line) for line in (pieces[:first], pieces[first:]) if line)
