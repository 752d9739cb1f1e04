"""One cue's pieces on one or two lines, balanced, broken where it hurts least."""

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


def best_break(pieces: Sequence[Piece], reach: Sequence[int], costs: Sequence[float]) -> tuple[float, int] | None:
    """The cost of the best layout and how many pieces its first line holds; None when two lines cannot hold all.

    ``reach`` is ``widths`` of the pieces, from any origin; ``costs[k]`` is the cost of a break after piece k.
    """
    origin = reach[0] - len(pieces[0].text)
    whole = reach[len(pieces) - 1] - origin
    if whole <= LINE_CHARACTERS:
        return 0.0, len(pieces)
    if whole > 2 * LINE_CHARACTERS + 1:
        return None
    best: tuple[float, int] | None = None
    for first in range(1, len(pieces)):
        above = reach[first - 1] - origin
        if above > LINE_CHARACTERS:
            break
        below = whole - above - pieces[first].spaced
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
