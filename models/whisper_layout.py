"""A Whisper model whose forced text is read at once instead of token by token.

CTranslate2 reads the tokens from ``<|startoftranscript|>`` up to the first one outside the id range
[``<|startoftranscript|>``, ``<|notimestamps|>``] in one pass, and every later forced token in a decoding step of
its own. Text ids lie below that range. Exchanging ``<|startoftranscript|>`` with the token of id 0, in the
embedding matrix and in the vocabulary, puts the text inside the range: the words already committed then cost
one pass. The model computes the same function; only two names have changed places.
"""

import json
import struct
from pathlib import Path
from typing import Any

import ctranslate2

START = "<|startoftranscript|>"
_EMBEDDINGS = "decoder/embeddings/weight"


def load(folder: Path, **options: Any) -> tuple[ctranslate2.models.Whisper, int]:
    """The model of ``folder`` with ids 0 and ``<|startoftranscript|>`` exchanged, and the latter's usual id.

    ``options`` go to ``ctranslate2.models.Whisper``. Raises ``OSError``, ``ValueError``, ``RuntimeError`` as
    CTranslate2 does for a folder that holds no Whisper model.
    """
    vocabulary_file = next(path for path in (folder / "vocabulary.json", folder / "vocabulary.txt") if path.exists())
    tokens = _read_vocabulary(vocabulary_file)
    start = tokens.index(START)
    tokens[0], tokens[start] = tokens[start], tokens[0]
    weights = bytearray((folder / "model.bin").read_bytes())
    exchange_rows(weights, _EMBEDDINGS, 0, start)
    files = {
        "model.bin": bytes(weights),
        "vocabulary.json": json.dumps(tokens, ensure_ascii=False).encode(),
        "config.json": (folder / "config.json").read_bytes(),
    }
    del weights
    return ctranslate2.models.Whisper(str(folder), files=files, **options), start


def _read_vocabulary(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    tokens = json.loads(text) if path.suffix == ".json" else text.splitlines()
    return [str(token) for token in tokens]


def exchange_rows(weights: bytearray, variable: str, first: int, second: int) -> None:
    """Exchange two rows of ``variable`` (and of its quantization scale) in the bytes of a CTranslate2 ``model.bin``.

    Format: version (u32), name of the specification, revision (u32), number of variables (u32), then for each its
    name, rank (u8), shape (u32 each), type (u8), size in bytes (u32) and values; strings are a u16 length and bytes
    with a final zero (CTranslate2, ``python/ctranslate2/specs/model_spec.py``).
    """
    at = 4
    _, at = _string(weights, at)
    at += 4
    (count,) = struct.unpack_from("<I", weights, at)
    at += 4
    for _ in range(count):
        name, at = _string(weights, at)
        rank = weights[at]
        shape = struct.unpack_from(f"<{rank}I", weights, at + 1)
        (size,) = struct.unpack_from("<I", weights, at + 2 + 4 * rank)
        at += 6 + 4 * rank
        if at + size > len(weights):
            raise ValueError("model.bin is cut short")
        if name.startswith(variable) and rank:
            row = size // shape[0]
            one, other = (
                slice(at + first * row, at + (first + 1) * row),
                slice(at + second * row, at + (second + 1) * row),
            )
            weights[one], weights[other] = weights[other], weights[one]
        at += size


def _string(weights: bytearray, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<H", weights, at)
    return weights[at + 2 : at + 1 + length].decode(), at + 2 + length
