"""Whisper on CTranslate2: windows of any tracks in, words with meeting times out, in batches.

Drives ``ctranslate2.models.Whisper`` with faster-whisper's tokenizer. A window is padded no
longer than it must be; the committed words at its beginning are forced and read in one pass (``whisper_layout``); the
words are aligned on the same encoder output.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from models import heap, whisper_layout
from models.guards import Guards, before_pile, doubted, loops, numbers_alone
from models.log_mel import Features, LogMel
from models.whisper_tokens import WhisperTokens, timed_words
from pipeline.domain import SAMPLE_RATE, Hypothesis, Samples, Window, WindowKind, Word
from pipeline.errors import ModelUnavailable, RecognitionFailed

_FRAMES_PER_SECOND = 100
_STATES_PER_SECOND = 50
_PROMPT = 224
"""Most tokens of earlier text, as Whisper was trained."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the model is run.

    compute_type: a CTranslate2 type or ``auto``; callers: threads that run batches; threads: threads of each batch;
    least_padded, padding, round_to: a window of s seconds is padded to s + ``padding``, at least ``least_padded``,
    rounded up to a multiple of ``round_to`` (seconds); forced: the forced text of rows that share a batch is cut to a
    multiple of this many tokens; most_forced: its most tokens, in any row; tokens_per_second, tokens_more: the cap on a
    window's new tokens; live_beam, final_beam, record_beam: beam size for each kind of window.
    """

    device: str = "auto"
    compute_type: str = "auto"
    callers: int = 2
    threads: int = 1
    least_padded: float = 4.0
    padding: float = 1.0
    round_to: float = 1.0
    forced: int = 8
    most_forced: int = 40
    tokens_per_second: float = 7.0
    tokens_more: int = 10
    live_beam: int = 5
    final_beam: int = 5
    record_beam: int = 5
    guards: Guards = field(default_factory=Guards)


@dataclass(slots=True)
class _Row:
    """One window on its way through a batch; ``fresh`` seconds of it come after the forced text."""

    window: Window
    audio: NDArray[np.float32]
    start: float
    language: str
    forced: list[int]
    context: list[int]
    fresh: float
    scores: tuple[tuple[str, float], ...] = ()
    tokens: list[int] = field(default_factory=list)
    words: tuple[Word, ...] = ()
    log_probability: float = 0.0
    no_speech: float = 0.0

    @property
    def duration(self) -> float:
        return len(self.audio) / SAMPLE_RATE


class WhisperEngine:
    """One model in memory; ``hear`` may be called from as many threads as there are callers."""

    def __init__(self, folder: Path, settings: EngineSettings = EngineSettings()) -> None:
        self.settings = settings
        heap.share_one_arena()
        heap.cache_no_primitives()
        try:
            self._model, start = whisper_layout.load(
                folder,
                device=settings.device,
                compute_type=settings.compute_type,
                inter_threads=settings.callers,
                intra_threads=settings.threads,
            )
            preprocessor = folder / "preprocessor_config.json"
            mels = (
                json.loads(preprocessor.read_text()).get("feature_size", 80)
                if preprocessor.exists()
                else self._model.n_mels
            )
            self._features = LogMel(mels)
            self.tokens = WhisperTokens(folder, start, self._model.is_multilingual)
            config = json.loads((folder / "config.json").read_text())
            self._suppressed = self.tokens.exchanged(config.get("suppress_ids", []))
        except (OSError, ValueError, RuntimeError, StopIteration) as error:
            raise ModelUnavailable(f"{folder} cannot be loaded as a Whisper model for CTranslate2: {error}") from error

    @property
    def description(self) -> dict[str, str | int]:
        """What runs where, for ``greffier doctor`` and benchmarks."""
        return {
            "device": self._model.device,
            "compute_type": self._model.compute_type,
            "callers": self.settings.callers,
            "threads": self.settings.threads,
        }

    def hear(self, batch: Sequence[tuple[Window, Samples]]) -> list[Hypothesis]:
        """The hypothesis of each window, in order. Raises ``RecognitionFailed``."""
        try:
            rows = [self._row(window, samples, alone=len(batch) == 1) for window, samples in batch]
            for group in self._grouped(rows):
                self._hear_group(group)
            if any(window.kind is WindowKind.RECORD for window, _ in batch):
                heap.give_back()
            return [self._hypothesis(row) for row in rows]
        except (RuntimeError, ValueError) as error:
            raise RecognitionFailed(f"the recogniser failed on {len(batch)} windows: {error}") from error

    def _row(self, window: Window, samples: Samples, alone: bool) -> _Row:
        """The window with its forced text, and its audio cut to that text.

        The text ends where the committed words do: nothing committed is heard twice. ``alone`` it begins with a word;
        rows that share a batch force equally many tokens, the first of which may lie inside a word.
        """
        language = window.language or window.languages[0]
        audio = samples.astype(np.float32) / 32768.0
        words = [(word, self.tokens.encode(word.text, language)) for word in window.prefix if window.language]
        count = sum(len(tokens) for _, tokens in words)
        quantum = 1 if alone else self.settings.forced
        forced = min(count // quantum * quantum, self.settings.most_forced)
        start = window.start
        while words and count - len(words[0][1]) >= forced > 0:
            count -= len(words.pop(0)[1])
            start = max(words[0][0].start - 0.05, window.start)
        audio = audio[round((start - window.start) * SAMPLE_RATE) :]
        tokens = [token for _, of_word in words for token in of_word][count - forced :]
        fresh = window.end - (words[-1][0].end if forced else start)
        context = self.tokens.encode(" " + ", ".join(window.glossary), language)[:_PROMPT] if window.glossary else []
        return _Row(window, audio, start, language, tokens, context, fresh)

    def _hear_group(self, rows: list[_Row]) -> None:
        """Encode, find languages, generate; ``rows`` share the length of their prompts and the beam."""
        padded = self._padded(max(row.duration for row in rows))
        features = np.stack([self._mel(row.audio, padded) for row in rows])
        encoded = self._model.encode(ctranslate2.StorageView.from_array(features))
        if any(row.window.detect_language or row.window.language is None for row in rows):
            self._detect(rows, encoded)
        self._generate(rows, encoded, padded)
        for language in {row.language for row in rows}:
            self._align(rows, language, encoded)

    def _grouped(self, rows: Sequence[_Row]) -> list[list[_Row]]:
        """Rows that one ``generate`` takes: the same lengths of prompt, the same beam."""
        groups: dict[tuple[bool, int, int, int], list[_Row]] = {}
        for row in rows:
            record = row.window.kind >= WindowKind.RECORD
            key = (record, self._beam(row.window.kind), len(row.context), len(row.forced))
            groups.setdefault(key, []).append(row)
        return list(groups.values())

    def _beam(self, kind: WindowKind) -> int:
        if kind >= WindowKind.RECORD:
            return self.settings.record_beam
        return self.settings.final_beam if kind is WindowKind.FINAL else self.settings.live_beam

    def _padded(self, duration: float) -> float:
        settings = self.settings
        seconds = max(duration + settings.padding, settings.least_padded)
        return min(float(np.ceil(seconds / settings.round_to) * settings.round_to), 30.0)

    def _mel(self, audio: NDArray[np.float32], padded: float) -> Features:
        """Log-mel features of shape (mels, 100 x padded)."""
        whole = np.zeros(round(padded * SAMPLE_RATE), dtype=np.float32)
        whole[: len(audio)] = audio[: len(whole)]
        return self._features(whole)

    def _detect(self, rows: list[_Row], encoded: ctranslate2.StorageView) -> None:
        if not self._model.is_multilingual:
            return
        states = _array(encoded)
        for index, row in enumerate(rows):
            if not row.window.detect_language and row.window.language is not None:
                continue
            heard = states[index : index + 1, _span(row, states.shape[1])]
            ranked = self._model.detect_language(ctranslate2.StorageView.from_array(np.ascontiguousarray(heard)))[0]
            scores = {token.strip("<|>"): probability for token, probability in ranked}
            declared = sum(scores.get(language, 0.0) for language in row.window.languages) or 1.0
            row.scores = tuple((language, scores.get(language, 0.0) / declared) for language in row.window.languages)
            if row.window.language is None:
                row.language = max(row.scores, key=lambda pair: pair[1])[0]

    def _generate(self, rows: list[_Row], encoded: ctranslate2.StorageView, padded: float) -> None:
        record = rows[0].window.kind >= WindowKind.RECORD
        # With timestamps Whisper skips less of a long window (docs/benchmarks.md).
        prompts = [self.tokens.prompt(row.language, row.context, row.forced, timestamps=record) for row in rows]
        length = len(prompts[0])
        extra = int(bool(rows[0].forced))
        if extra:
            # The first prompt of a batch tells CTranslate2 whether timestamps are wanted: it must end with
            # <|notimestamps|>, which a prompt with forced text does not.
            leader = self.tokens.prompt(rows[0].language, rows[0].context)[:-1]
            leader += [self.tokens.no_timestamps] * (length - len(leader))
            prompts.insert(0, leader)
            encoded = _with_empty_row(encoded)
        fresh = max(row.fresh for row in rows)
        cap = int(self.settings.tokens_per_second * fresh) + self.settings.tokens_more
        results = self._model.generate(
            encoded,
            prompts,
            beam_size=self._beam(rows[0].window.kind),
            max_length=max(2 * cap, length + cap),
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
        )[extra:]
        for row, result in zip(rows, results, strict=True):
            heard = self.tokens.exchanged(result.sequences_ids[0])
            row.tokens = [token for token in heard if token < self.tokens.end_of_text]
            row.log_probability = result.scores[0]
            row.no_speech = result.no_speech_prob

    def _align(self, rows: list[_Row], language: str, encoded: ctranslate2.StorageView) -> None:
        """Words with times for the rows in ``language``; ``align`` takes one task sequence for all of its rows."""
        chosen = [index for index, row in enumerate(rows) if row.language == language and row.tokens]
        if not chosen:
            return
        some = encoded if len(chosen) == len(rows) else _rows_of(encoded, chosen)
        texts = [self.tokens.exchanged(rows[index].forced + rows[index].tokens) for index in chosen]
        frames = [max(2, int(rows[index].duration * _FRAMES_PER_SECOND)) for index in chosen]
        aligned = self._model.align(some, self.tokens.task(language), texts, frames)
        for index, path in zip(chosen, aligned, strict=True):
            row = rows[index]
            pieces = self.tokens.pieces(row.forced + row.tokens, language)
            words = timed_words(pieces, path.alignments, path.text_token_probs, row.start, row.duration)
            row.words = tuple(words[_begun([piece.tokens for piece in pieces], len(row.forced)) :])

    def _hypothesis(self, row: _Row) -> Hypothesis:
        guards = self.settings.guards
        words = before_pile(row.words, guards.pile)
        text = "".join(word.text for word in words)
        looped = row.no_speech > guards.no_speech and loops("".join(word.text for word in row.words))
        if looped or doubted(text, row.no_speech, row.log_probability, guards, numbers_alone(words)):
            words = ()
        return Hypothesis(words, row.language, row.scores, cut=len(words) < len(row.words))


def _span(row: _Row, frames: int) -> slice:
    """The encoder frames that stand for the audio whose language is asked for: half a second at least."""
    end = min(frames, int(row.duration * _STATES_PER_SECOND) + 1)
    begin = int(max(0.0, row.window.detect_from - row.start) * _STATES_PER_SECOND)
    return slice(max(0, min(begin, end - _STATES_PER_SECOND // 2)), end)


def _begun(pieces: Sequence[tuple[int, ...]], tokens: int) -> int:
    """How many pieces begin within the first ``tokens`` tokens: what goes on from a committed word belongs to it."""
    reached = 0
    for count, piece in enumerate(pieces):
        if reached >= tokens:
            return count
        reached += len(piece)
    return len(pieces)


def _rows_of(encoded: ctranslate2.StorageView, rows: list[int]) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(_array(encoded)[rows]))


def _with_empty_row(encoded: ctranslate2.StorageView) -> ctranslate2.StorageView:
    array = _array(encoded)
    return ctranslate2.StorageView.from_array(np.concatenate((np.zeros_like(array[:1]), array)))


def _array(encoded: ctranslate2.StorageView) -> NDArray[np.float32]:
    """On a GPU in half precision; NumPy knows no bfloat16."""
    here = encoded.to_device(ctranslate2.Device.cpu) if encoded.device != "cpu" else encoded
    return np.array(here.to(ctranslate2.DataType.float32) if here.dtype == ctranslate2.DataType.bfloat16 else here)
