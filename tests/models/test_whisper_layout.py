"""The exchanged model is the same model: two rows and two names have changed places, nothing else."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from models.whisper_layout import exchange_rows, load
from models.whisper_tokens import WhisperTokens
from tests.recordings import heard

TABLE = "decoder/embeddings/weight"
FORCED = " And so my fellow Americans, ask"


def _string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def _variable(name: str, values: np.ndarray) -> bytes:
    head = _string(name) + struct.pack("<B", values.ndim) + struct.pack(f"<{values.ndim}I", *values.shape)
    return head + struct.pack("<BI", 0, values.nbytes) + values.tobytes()


def _model(*variables: bytes) -> bytearray:
    head = struct.pack("<I", 6) + _string("WhisperSpec") + struct.pack("<II", 3, len(variables))
    return bytearray(head + b"".join(variables) + struct.pack("<I", 0))


# --- the bytes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.int8, np.float16, np.float32])
def test_two_rows_of_the_table_change_places_and_nothing_else_moves(kind: type[np.generic]) -> None:
    table = np.arange(12).reshape(4, 3).astype(kind)
    other = np.arange(8).astype(np.float32)
    weights = _model(_variable("encoder/weight", other), _variable(TABLE, table), _variable("decoder/bias", other))
    exchange_rows(weights, TABLE, 0, 2)
    exchanged = _variable(TABLE, np.ascontiguousarray(table[[2, 1, 0, 3]]))
    assert weights == _model(_variable("encoder/weight", other), exchanged, _variable("decoder/bias", other))


def test_the_scale_of_a_quantized_table_changes_with_its_rows() -> None:
    table, scale = np.arange(12, dtype=np.int8).reshape(4, 3), np.arange(4, dtype=np.float32)
    weights = _model(_variable(TABLE, table), _variable(f"{TABLE}_scale", scale))
    exchange_rows(weights, TABLE, 0, 3)
    order = [3, 1, 2, 0]
    tables = _variable(TABLE, np.ascontiguousarray(table[order])), _variable(f"{TABLE}_scale", scale[order])
    assert weights == _model(*tables)


def test_a_scale_for_the_whole_table_stays() -> None:
    table, scale = np.arange(12, dtype=np.int16).reshape(4, 3), np.array(0.5, dtype=np.float32)
    weights = _model(_variable(TABLE, table), _variable(f"{TABLE}_scale", scale))
    exchange_rows(weights, TABLE, 1, 2)
    assert weights.endswith(_variable(f"{TABLE}_scale", scale) + struct.pack("<I", 0))


def test_exchanging_twice_changes_nothing() -> None:
    whole = _model(_variable(TABLE, np.arange(12, dtype=np.float32).reshape(4, 3)))
    weights = bytearray(whole)
    exchange_rows(weights, TABLE, 0, 3)
    assert weights != whole
    exchange_rows(weights, TABLE, 0, 3)
    assert weights == whole


def test_a_model_that_is_cut_short_is_refused() -> None:
    weights = _model(_variable(TABLE, np.arange(12, dtype=np.float32).reshape(4, 3)))
    with pytest.raises(ValueError, match="cut short"):
        exchange_rows(weights[:-20], TABLE, 0, 3)


# --- the real model ----------------------------------------------------------------------------------------


class Heard:
    """One clip through a model, in that model's own numbering or the usual one."""

    def __init__(self, model: ctranslate2.models.Whisper, features: ctranslate2.StorageView) -> None:
        self.model = model
        self.encoded = model.encode(features)

    def tokens(self, prompt: list[int], beam: int = 1) -> list[int]:
        result = self.model.generate(self.encoded, [prompt], beam_size=beam, max_length=60 + len(prompt))
        return list(result[0].sequences_ids[0])

    def after_another(self, first: list[int], prompt: list[int]) -> list[int]:
        """The tokens after ``prompt``, which stands second in a batch, as ``models.faster_whisper`` has it."""
        leader = first[:-1] + first[-1:] * (len(prompt) - len(first) + 1)
        both = ctranslate2.StorageView.from_array(np.concatenate([np.array(self.encoded)] * 2))
        result = self.model.generate(both, [leader, prompt], beam_size=1, max_length=60 + len(prompt))
        return list(result[1].sequences_ids[0])


@pytest.fixture(scope="module")
def features() -> ctranslate2.StorageView:
    sound = heard("en_jfk.flac").astype(np.float32) / 32768
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(FeatureExtractor()(sound)[None], dtype=np.float32))


@pytest.fixture(scope="module")
def plain(whisper_base: Path, features: ctranslate2.StorageView) -> Heard:
    return Heard(ctranslate2.models.Whisper(str(whisper_base), compute_type="int8", intra_threads=2), features)


@pytest.fixture(scope="module")
def loaded(whisper_base: Path) -> Iterator[tuple[ctranslate2.models.Whisper, int]]:
    yield load(whisper_base, compute_type="int8", intra_threads=2)


@pytest.fixture(scope="module")
def exchanged(loaded: tuple[ctranslate2.models.Whisper, int], features: ctranslate2.StorageView) -> Heard:
    return Heard(loaded[0], features)


@pytest.fixture(scope="module")
def tokens(whisper_base: Path, loaded: tuple[ctranslate2.models.Whisper, int]) -> WhisperTokens:
    return WhisperTokens(whisper_base, loaded[1], True)


@pytest.mark.parametrize("beam", [1, 5])
def test_the_exchanged_model_says_exactly_what_the_plain_one_says(
    plain: Heard, exchanged: Heard, tokens: WhisperTokens, beam: int
) -> None:
    prompt = tokens.prompt("en", [], [])
    said = plain.tokens(tokens.exchanged(prompt), beam)
    assert len(said) > 20
    assert tokens.exchanged(exchanged.tokens(prompt, beam)) == said


def test_forced_text_is_continued_as_the_plain_model_continues_it(
    plain: Heard, exchanged: Heard, tokens: WhisperTokens
) -> None:
    forced = tokens.encode(FORCED, "en")
    prompt = tokens.prompt("en", [], forced)
    said = plain.tokens(tokens.exchanged(prompt))
    assert said[: len(forced)] == forced  # read in steps of their own, they are given back with what follows
    continued = tokens.exchanged(exchanged.after_another(tokens.prompt("en", [], []), prompt))
    rest = said[len(forced) :]  # ends earlier where the limit counts what was given back
    assert len(rest) > 15
    assert continued[: len(rest)] == rest


def test_the_usual_number_of_the_start_token_is_told(loaded: tuple[ctranslate2.models.Whisper, int]) -> None:
    assert loaded[1] == 50258


def test_a_vocabulary_of_one_token_a_line_is_read_too(
    whisper_base: Path, tmp_path: Path, exchanged: Heard, features: ctranslate2.StorageView, tokens: WhisperTokens
) -> None:
    for name in ("model.bin", "config.json"):
        (tmp_path / name).symlink_to(whisper_base / name)
    words = json.loads((whisper_base / "vocabulary.json").read_text(encoding="utf-8"))
    (tmp_path / "vocabulary.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    model, start = load(tmp_path, compute_type="int8", intra_threads=2)
    assert start == 50258
    prompt = tokens.prompt("en", [], [])
    assert Heard(model, features).tokens(prompt) == exchanged.tokens(prompt)
