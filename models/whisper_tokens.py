"""Whisper's tokens: task sequences, forced text, words and their times."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import tokenizers
from faster_whisper.tokenizer import Tokenizer

from pipeline.domain import Word

_SECONDS_PER_FRAME = 0.02


@dataclass(frozen=True, slots=True)
class Piece:
    """The tokens of one word, its text with its leading space."""

    text: str
    tokens: tuple[int, ...]


class WhisperTokens:
    """Text to tokens and back, with the ids of the layout of ``whisper_layout``. Raises ``ValueError`` where the
    folder's tokenizer is not Whisper's."""

    def __init__(self, folder: Path, start: int, multilingual: bool) -> None:
        self._tokenizer = _read(folder / "tokenizer.json")
        self._start = start
        self._multilingual = multilingual
        self._of = lru_cache(maxsize=None)(self._for_language)
        english = self._of("en")
        self.end_of_text: int = english.eot
        self.no_timestamps: int = english.no_timestamps
        self._previous: int = english.sot_prev

    def languages(self) -> tuple[str, ...]:
        """The languages this model knows, as ISO 639 codes."""
        from faster_whisper.tokenizer import _LANGUAGE_CODES

        if not self._multilingual:
            return ("en",)
        return tuple(code for code in _LANGUAGE_CODES if self._tokenizer.token_to_id(f"<|{code}|>") is not None)

    def encode(self, text: str, language: str) -> list[int]:
        return list(self._of(language).encode(text))

    def task(self, language: str) -> list[int]:
        """``<|startoftranscript|>``, the language and the task, as the exchanged model numbers them."""
        tokenizer = self._of(language)
        return self.exchanged(
            [tokenizer.sot, tokenizer.language, tokenizer.transcribe] if self._multilingual else [tokenizer.sot]
        )

    def prompt(
        self, language: str, before: Sequence[int], forced: Sequence[int] = (), timestamps: bool = False
    ) -> list[int]:
        """All that the decoder is given: earlier text, the task, the forced text; or that timestamps are wanted."""
        context = [self._previous, *before] if before else []
        task = self.task(language) if timestamps else [*self.task(language), self.no_timestamps]
        return self.exchanged(context) + task + self.exchanged(forced)

    def exchanged(self, tokens: Sequence[int]) -> list[int]:
        """``tokens`` with ids 0 and ``<|startoftranscript|>`` exchanged; its own inverse."""
        return [self._start if token == 0 else 0 if token == self._start else token for token in tokens]

    def pieces(self, tokens: Sequence[int], language: str) -> list[Piece]:
        """Text tokens grouped into words; punctuation and what follows an apostrophe stay with their word."""
        texts, groups = self._of(language).split_to_word_tokens(list(tokens))
        pieces: list[Piece] = []
        spaced = language not in {"zh", "ja", "th", "lo", "my", "yue"}
        for text, group in zip(texts, groups, strict=True):
            joins = (spaced and not text.startswith(" ")) or not any(character.isalnum() for character in text)
            if pieces and joins:
                last = pieces.pop()
                pieces.append(Piece(last.text + text, last.tokens + tuple(group)))
            else:
                pieces.append(Piece(text, tuple(group)))
        return pieces

    def _for_language(self, language: str) -> Tokenizer:
        return Tokenizer(self._tokenizer, self._multilingual, task="transcribe", language=language)


def _read(path: Path) -> tokenizers.Tokenizer:
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more precise
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    if tokenizer.token_to_id("<|startoftranscript|>") is None:
        raise ValueError(f"{path.name} is not the tokenizer of a Whisper model")
    return tokenizer


def timed_words(
    pieces: Sequence[Piece],
    alignment: Sequence[tuple[int, int]],
    probabilities: Sequence[float],
    offset: float,
    duration: float,
) -> list[Word]:
    """Words with times in seconds from the token and frame pairs of ``align()``.

    A token begins at the frame where the path first reaches it (Whisper, ``timing.py``). ``offset`` is the meeting
    time of the window, ``duration`` its length in seconds.
    """
    tokens = np.fromiter((token for token, _ in alignment), dtype=np.int64)
    frames = np.fromiter((frame for _, frame in alignment), dtype=np.int64)
    first = np.concatenate(([True], np.diff(tokens) > 0)) if len(tokens) else np.zeros(0, dtype=bool)
    begins = frames[first] * _SECONDS_PER_FRAME
    words: list[Word] = []
    at = 0
    for piece in pieces:
        until = at + len(piece.tokens)
        start = float(begins[at]) if at < len(begins) else duration
        end = float(begins[until]) if until < len(begins) else duration
        sure = float(np.mean(probabilities[at:until])) if at < len(probabilities) else 0.0
        words.append(Word(piece.text, offset + min(start, duration), offset + min(end, duration), round(sure, 3)))
        at = until
    return words
