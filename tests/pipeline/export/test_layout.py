import pytest

from pipeline.domain import SegmentId
from pipeline.export.layout import best_break, break_costs, lines_of, widths
from pipeline.export.pieces import Piece


def laid(text):
    pieces = [Piece(each, 0, 1, True, SegmentId("u"), "fr") for each in text.split()]
    found = best_break(pieces, len(pieces), widths(pieces), break_costs(pieces))
    return found and lines_of(pieces, found[1])


def test_a_text_that_fits_stays_on_one_line():
    assert laid("x" * 20 + " " + "y" * 21) == ("x" * 20 + " " + "y" * 21,)


def test_a_text_too_long_for_two_lines_has_no_layout():
    assert laid(" ".join(["x" * 41, "yy", "z" * 41])) is None
    assert laid(" ".join(["x" * 30] * 3)) is None


def test_two_full_lines_are_laid_out():
    assert laid("x" * 42 + " " + "y" * 42) == ("x" * 42, "y" * 42)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "nous commençons par le budget, puis nous verrons la suite",
            ("nous commençons par le budget,", "puis nous verrons la suite"),
        ),
        (
            "elle voulait vraiment rencontrer la directrice générale",
            ("elle voulait vraiment", "rencontrer la directrice générale"),
        ),
        ("x" * 20 + " la " + "y" * 24, ("x" * 20, "la " + "y" * 24)),
        (
            "xxxxxxxxx xxxxxxxxx xxxxxxxxx xxxxxxxxx xxxxxxxxx",
            ("xxxxxxxxx xxxxxxxxx", "xxxxxxxxx xxxxxxxxx xxxxxxxxx"),
        ),
    ],
)
def test_lines_break_at_punctuation_and_phrases_balanced_with_the_longer_one_below(text, lines):
    assert laid(text) == lines


def test_pieces_without_space_before_them_are_not_spaced_on_a_line():
    pieces = [Piece(each, 0, 1, spaced, SegmentId("u"), "zh") for each, spaced in (("今", True), ("天", False))]
    assert widths(pieces) == [2, 3]
    assert lines_of(pieces, 2) == ("今天",)
