"""Names are kept as people mean them, without what would break the page or the file they stand in."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.names import normalised


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("Anne", "Anne"),
        ("  Anne \n\t Marie ", "Anne Marie"),
        ("E\u0301ric", "Éric"),
        ("<b>Bob</b> & --> co", "<b>Bob</b> & --> co"),
        ("\u202eevil\u202c \u200fname\u2066", "evil name"),
        ("👩\u200d💻 Zoé", "👩\u200d💻 Zoé"),
        ("a\x00b\x1bc\x85d", "abc d"),
        ("line\u2028break", "line break"),
        ("half \ud800", "half"),
        ("نام‌ها", "نام‌ها"),
    ],
)
def test_a_name_is_normalised_and_never_escaped(given_name: str, kept: str) -> None:
    assert normalised(given_name, 100, "a name") == kept


@pytest.mark.parametrize("nothing", ["", "  ", "\u200b\u200d", "\u202e", "\n\x00", "\u0301"])
def test_a_name_without_anything_to_see_is_refused(nothing: str) -> None:
    with pytest.raises(ValueError, match="a name needs at least one visible character"):
        normalised(nothing, 100, "a name")


def test_a_name_that_is_too_long_is_refused_with_both_lengths() -> None:
    with pytest.raises(ValueError, match="a name has 10000 characters; 100 are the most"):
        normalised("x" * 10_000, 100, "a name")


def test_a_name_of_a_megabyte_holds_up_nobody() -> None:
    marks = "\u0315\u0300" * 100_000  # put in order, they take minutes
    began = time.perf_counter()
    with pytest.raises(ValueError, match="a name has 200000 characters; 100 are the most"):
        normalised(marks, 100, "a name")
    assert time.perf_counter() - began < 1.0


@given(st.text(max_size=60))
def test_what_is_kept_is_one_plain_line_and_stays_as_it_is(text: str) -> None:
    try:
        kept = normalised(text, 200, "a name")
    except ValueError:
        return
    assert not {"Cc", "Cs", "Zl", "Zp"} & {unicodedata.category(character) for character in kept}
    assert kept.splitlines() == [kept]
    assert normalised(kept, 200, "a name") == kept
