from dataclasses import replace

import pytest
from hypothesis import given, settings

from pipeline.domain import Turn, Word
from pipeline.export.pieces import LINE_CHARACTERS, joined, pieces_of
from pipeline.record.texts import text_of
from tests.pipeline.record.samples import ANNE, TEXT, segment


def pieces(*texts, start=0.0, end=10.0):
    return pieces_of(Turn(ANNE, tuple(segment(f"u{k}", text, start, end) for k, text in enumerate(texts))))


def test_a_piece_is_a_word_with_its_time():
    assert [(each.text, each.start, each.end, each.spaced) for each in pieces("oui non")] == [
        ("oui", 0, 5, True),
        ("non", 5, 10, True),
    ]


def test_words_without_leading_space_are_one_piece():
    spoken = replace(segment("u", "", 0, 2), caption=(Word(" aujourd", 0, 1), Word("'hui", 1, 2)))
    (piece,) = pieces_of(Turn(ANNE, (spoken,)))
    assert (piece.text, piece.start, piece.end) == ("aujourd'hui", 0, 2)


def test_lone_punctuation_is_held_to_its_word():
    assert [each.text for each in pieces("« Vraiment » ? Oui !")] == ["« Vraiment » ?", "Oui !"]


def test_punctuation_that_no_line_could_hold_stands_alone():
    assert [each.text for each in pieces(f"{'x' * 42} ?")] == ["x" * 42, "?"]


def test_a_no_break_space_holds_words_together_and_alone_is_nothing():
    spoken = replace(segment("u", "", 0, 2), caption=(Word(" \u00a0 10\u00a0000 \u00a0", 0, 2),))
    assert [each.text for each in pieces_of(Turn(ANNE, (spoken,)))] == ["10\u00a0000"]


def test_an_endless_word_is_cut_at_the_line_and_its_time_is_shared():
    cut = pieces("x" * 84)
    assert [(each.text, each.start, each.spaced) for each in cut] == [("x" * 42, 0, True), ("x" * 42, 5, False)]
    assert cut[0].end == pytest.approx(5)


def test_a_hard_cut_never_parts_a_letter_from_its_accent():
    first, second = pieces("x" * 41 + "e\u0301x")
    assert (first.text, second.text) == ("x" * 41, "e\u0301x")


def test_marks_without_end_are_cut_all_the_same():
    assert [len(each.text) for each in pieces("e" + "\u0301" * 60)] == [42, 19]


def test_ideographs_are_pieces_of_their_own_with_their_punctuation():
    assert [each.text for each in pieces("今天。「好」 a")] == ["今", "天。", "「好」", "a"]


def test_starts_never_run_backwards_where_segments_overlap():
    spoken = Turn(ANNE, (segment("a", "un deux", 0, 10), segment("b", "trois", 2, 3)))
    assert [(each.text, each.start, each.end) for each in pieces_of(spoken)] == [
        ("un", 0, 5),
        ("deux", 5, 10),
        ("trois", 5, 5),
    ]


def test_pieces_name_their_segment_and_language():
    assert [(each.segment, each.language) for each in pieces("oui", "non")] == [("u0", "fr"), ("u1", "fr")]


@settings(max_examples=60, deadline=None)
@given(TEXT)
def test_pieces_fit_a_line_and_hold_all_of_the_text(text):
    spoken = segment("u", "", 0, 5, correction=text)
    cut = pieces_of(Turn(ANNE, (spoken,)))
    assert all(1 <= len(each.text) <= LINE_CHARACTERS for each in cut)
    kept = "".join(text_of(spoken)[0].translate(dict.fromkeys([0, 0x1B, 0x202E])).split())
    assert "".join(joined(cut).split()) == kept
