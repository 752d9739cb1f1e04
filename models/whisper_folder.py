"""Says whether a folder is a whole Whisper model of CTranslate2, without loading it."""

import json
import struct
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ModelUnavailable

# CTranslate2 writes each variable with its own length since version 4 of its format.
_FIRST_VERSION_WITH_LENGTHS = 4
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")


def check_whisper_folder(folder: Path) -> None:
    """Raises ``ModelUnavailable`` naming what is missing or cut short."""
    missing = [name for name in ("model.bin", "config.json", "tokenizer.json") if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        missing.append(" or ".join(_VOCABULARIES))
    if missing:
        raise ModelUnavailable(f"{folder} is not a Whisper model of CTranslate2: {', '.join(missing)} missing")
    for name in ("config.json", "tokenizer.json", "vocabulary.json"):
        if (folder / name).is_file():
            _check_json(folder / name)
    with (folder / "model.bin").open("rb") as file:
        _check_variables(file, folder / "model.bin")


def _check_json(path: Path) -> None:
    try:
        json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelUnavailable(f"{path} is damaged or was not downloaded to its end: {error}") from error


def _check_variables(file: BinaryIO, path: Path) -> None:
    """Walks from variable to variable: their lengths must end where the file ends.

    The layout is that of ``Model::load`` in CTranslate2: version, name and revision of the specification, the
    variables (name, shape, type, length, bytes), then pairs of aliases.
    """
    length = path.stat().st_size
    try:
        (version,) = _numbers(file, "<I")
        if version < _FIRST_VERSION_WITH_LENGTHS:
            return
        _skip_string(file)
        _, variables = _numbers(file, "<II")
        for _ in range(variables):
            _skip_string(file)
            (rank,) = _numbers(file, "<B")
            file.seek(4 * rank + 1, 1)
            (size,) = _numbers(file, "<I")
            file.seek(size, 1)
            if file.tell() > length:
                raise EOFError
        (aliases,) = _numbers(file, "<I")
        for _ in range(2 * aliases):
            _skip_string(file)
    except EOFError:
        raise ModelUnavailable(f"{path} is no CTranslate2 model, or was not downloaded to its end") from None
    if file.tell() != length:
        raise ModelUnavailable(f"{path} is no CTranslate2 model: {length - file.tell()} bytes too many")


def _numbers(file: BinaryIO, layout: str) -> tuple[int, ...]:
    raw = file.read(struct.calcsize(layout))
    if len(raw) < struct.calcsize(layout):
        raise EOFError
    return struct.unpack(layout, raw)


def _skip_string(file: BinaryIO) -> None:
    (size,) = _numbers(file, "<H")
    if len(file.read(size)) < size:
        raise EOFError
