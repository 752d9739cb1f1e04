import pytest

from pipeline.export.characters import allowed, closes, is_breaking_space, may_break, one_line, opens


def test_control_characters_and_direction_spans_are_dropped_and_spaces_kept():
    assert allowed("a\x00b\x1b\u202ec\u2066\ufeff\td\n") == "abc\td\n"


def test_implicit_direction_marks_and_joiners_stay():
    text = "\u05d0\u200f\u05d1\u200e \U0001f469\u200d\U0001f680"
    assert allowed(text) == text


def test_a_lone_surrogate_becomes_the_replacement_character():
    assert allowed("a\ud800b") == "a\ufffdb"


def test_one_line_has_single_spaces_and_keeps_no_break_spaces():
    assert one_line(" Vraiment\u00a0?\r\n\u2028 Oui\x85") == "Vraiment\u00a0? Oui"


@pytest.mark.parametrize(("character", "breaking"), [(" ", True), ("\n", True), ("\u00a0", False), ("a", False)])
def test_a_line_may_break_at_spaces_but_not_at_no_break_spaces(character, breaking):
    assert is_breaking_space(character) is breaking


@pytest.mark.parametrize(
    ("before", "after", "possible"),
    [
        ("今", "天", True),
        ("a", "今", True),
        ("今", "。", False),
        ("「", "今", False),
        ("今", "ー", False),
        ("か", "\u3099", False),
        ("a", "b", False),
    ],
)
def test_a_line_may_break_beside_an_ideograph_unless_punctuation_holds(before, after, possible):
    assert may_break(before, after) is possible


def test_closing_and_opening_punctuation_is_told_from_text():
    assert closes("?!") and closes("»") and not closes("a?") and not closes("")
    assert opens("«") and not opens("«a") and not opens("")
