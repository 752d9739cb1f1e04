"""Text to tokens, tokens to words, and when each word was said."""

from pathlib import Path

import pytest

from models.whisper_tokens import Piece, WhisperTokens, timed_words
from pipeline.domain import Word
from tests.models.whisper_file import write_whisper_folder

START, ENGLISH, FRENCH, TRANSCRIBE, PREVIOUS, NO_TIMESTAMPS = 50258, 50259, 50265, 50359, 50361, 50363


@pytest.fixture(scope="module")
def tokens(whisper_base: Path) -> WhisperTokens:
    return WhisperTokens(whisper_base, START, True)


def words_of(tokens: WhisperTokens, text: str, language: str = "fr") -> list[str]:
    return [piece.text for piece in tokens.pieces(tokens.encode(text, language), language)]


# --- prompts -----------------------------------------------------------------------------------------------


def test_a_task_names_the_start_the_language_and_the_task(tokens: WhisperTokens) -> None:
    assert tokens.task("fr") == [0, FRENCH, TRANSCRIBE]
    assert tokens.task("en") == [0, ENGLISH, TRANSCRIBE]


def test_a_prompt_without_text_ends_where_text_begins(tokens: WhisperTokens) -> None:
    assert tokens.prompt("fr", [], []) == [0, FRENCH, TRANSCRIBE, NO_TIMESTAMPS]


def test_earlier_text_comes_before_the_task_and_forced_text_after_it(tokens: WhisperTokens) -> None:
    before, forced = tokens.encode(" Visio", "fr"), tokens.encode(" Bonjour", "fr")
    assert tokens.prompt("fr", before, forced) == [
        *(PREVIOUS, *before),
        *(0, FRENCH, TRANSCRIBE, NO_TIMESTAMPS),
        *forced,
    ]


def test_an_exclamation_mark_in_forced_text_is_not_taken_for_the_start(tokens: WhisperTokens) -> None:
    assert tokens.encode("!", "fr") == [0]
    assert tokens.prompt("fr", [], [0])[-1] == START


def test_exchanging_twice_changes_nothing(tokens: WhisperTokens) -> None:
    some = [5, 0, START, NO_TIMESTAMPS]
    assert tokens.exchanged(some) == [5, START, 0, NO_TIMESTAMPS]
    assert tokens.exchanged(tokens.exchanged(some)) == some


def test_a_model_of_english_alone_is_told_no_language(whisper_base: Path) -> None:
    english = WhisperTokens(whisper_base, START, False)
    assert english.task("en") == [0]
    assert english.languages() == ("en",)


def test_the_languages_are_those_the_vocabulary_holds(tokens: WhisperTokens) -> None:
    known = tokens.languages()
    assert len(known) == 99
    assert {"fr", "en", "de"} <= set(known)
    assert "yue" not in known


@pytest.mark.parametrize("content", ["{}", '{"version": "1.0"}', "not json"])
def test_a_tokenizer_that_is_none_is_refused_by_name(tmp_path: Path, content: str) -> None:
    folder = write_whisper_folder(tmp_path / "model")
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        WhisperTokens(folder, START, True)


# --- words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        (" Le vent se lève.", "fr", [" Le", " vent", " se", " lève."]),
        (" J'ai dit l’eau, aujourd'hui !", "fr", [" J'ai", " dit", " l’eau,", " aujourd'hui !"]),
        (" Est-ce vrai ? Oui.", "fr", [" Est-ce", " vrai ?", " Oui."]),
        (" don't ask", "en", [" don't", " ask"]),
        (" œuvre à Nîmes", "fr", [" œuvre", " à", " Nîmes"]),
    ],
)
def test_punctuation_and_what_follows_an_apostrophe_stay_with_their_word(
    tokens: WhisperTokens, text: str, language: str, words: list[str]
) -> None:
    assert words_of(tokens, text, language) == words


@pytest.mark.parametrize(("text", "language"), [(" Élève, où ça ?", "fr"), (" it's 5.2 %", "en"), ("你好吗", "zh")])
def test_pieces_together_are_the_text(tokens: WhisperTokens, text: str, language: str) -> None:
    assert "".join(words_of(tokens, text, language)) == text


def test_pieces_together_are_the_tokens(tokens: WhisperTokens) -> None:
    some = tokens.encode(" L'été, à Saint-Étienne, il neige.", "fr")
    assert [token for piece in tokens.pieces(some, "fr") for token in piece.tokens] == some


def test_no_tokens_are_no_words(tokens: WhisperTokens) -> None:
    assert tokens.pieces([], "fr") == []


# --- times -------------------------------------------------------------------------------------------------

TWO = [Piece(" le", (1,)), Piece(" vent", (2, 3))]


def test_a_word_begins_where_the_path_first_reaches_its_token() -> None:
    path = [(0, 5), (0, 6), (1, 10), (1, 14), (2, 20), (3, 30)]
    assert timed_words(TWO, path, [0.5, 0.9, 0.7], 100.0, 2.0) == [
        Word(" le", 100.1, 100.2, 0.5),
        Word(" vent", 100.2, 100.6, 0.8),
    ]


def test_no_word_lasts_longer_than_its_window() -> None:
    words = timed_words(TWO, [(0, 5), (1, 80), (2, 90), (3, 95)], [1.0, 1.0, 1.0], 10.0, 1.0)
    assert [(word.start, word.end) for word in words] == [(10.1, 11.0), (11.0, 11.0)]


def test_words_beyond_the_path_end_with_the_window_and_are_not_trusted() -> None:
    assert timed_words(TWO, [(0, 5)], [0.5], 0.0, 2.0) == [Word(" le", 0.1, 2.0, 0.5), Word(" vent", 2.0, 2.0, 0.0)]


def test_without_a_path_there_are_still_words() -> None:
    assert [word.text for word in timed_words(TWO, [], [], 0.0, 2.0)] == [" le", " vent"]
