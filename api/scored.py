"""What ``greffier score`` compares: who spoke when (RTTM), or who said what and when (STM, SegLST, our own JSON).

A file says itself what it is. Every error names the file and the line, in JSON the entry, that is wrong.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InvalidInput
from pipeline.export.json import SCHEMA

RTTM_TYPES = frozenset(
    "SEGMENT NOSCORE NO_RT_METADATA LEXEME NON-LEX NON-SPEECH FILLER EDIT IP SU CB A/P SPEAKER SPKR-INFO".split()
)
"""The types of a line (NIST, Rich Transcription 2009, appendix A); ``SPEAKER`` alone says who spoke when."""
_COMMENT = ";"
_EITHER = "neither RTTM, STM nor SegLST"


@dataclass(frozen=True, slots=True)
class Part:
    """One speaker, from ``start`` to ``end`` in seconds of ``recording``; ``words`` where the file has words."""

    recording: str
    speaker: str
    start: float
    end: float
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """A file of parts; ``with_words`` is None where it is empty, which both kinds may be."""

    path: Path
    parts: tuple[Part, ...]
    with_words: bool | None

    @property
    def recordings(self) -> tuple[str, ...]:
        """In order of appearance."""
        return tuple(dict.fromkeys(part.recording for part in self.parts))


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands, as errors name it."""

    path: Path
    what: str

    def wrong(self, sentence: str) -> InvalidInput:
        return InvalidInput(f"{self.path}, {self.what}: {sentence}")


def read_scored(path: Path) -> Scored:
    """Raises ``InvalidInput``."""
    text = _text(path)
    first = text.lstrip()[:1]
    if first in {"[", "{"}:
        return Scored(path, tuple(_json_parts(path, text)), with_words=True)
    lines = list(_lines(path, text))
    if not lines:
        return Scored(path, (), None)
    if lines[0][1][0] in RTTM_TYPES:
        spans = (_rttm_part(place, fields) for place, fields in lines)
        return Scored(path, tuple(part for part in spans if part is not None), with_words=False)
    return Scored(path, tuple(_stm_part(place, fields) for place, fields in lines), with_words=True)


def read_uem(path: Path) -> dict[str, list[tuple[float, float]]]:
    """What is to be scored of each recording: lines of recording, channel, start and end. Raises ``InvalidInput``."""
    found: dict[str, list[tuple[float, float]]] = {}
    for place, fields in _lines(path, _text(path)):
        if len(fields) != 4:
            raise place.wrong(
                f"a line of a UEM has four fields (recording, channel, start, end), this one {len(fields)}"
            )
        found.setdefault(fields[0], []).append(_span(place, fields[2], fields[3]))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise Place(path, f"line {line}").wrong(f"no text, so {_EITHER}") from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error


def _lines(path: Path, text: str) -> Iterator[tuple[Place, list[str]]]:
    """The fields of each line that is no comment."""
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if fields and not fields[0].startswith(_COMMENT):
            yield Place(path, f"line {number}"), fields


def _rttm_part(place: Place, fields: list[str]) -> Part | None:
    if fields[0] not in RTTM_TYPES:
        raise place.wrong(f"a line of RTTM begins with its type, such as SPEAKER, not {fields[0]!r}")
    if fields[0] != "SPEAKER":
        return None
    if len(fields) < 8:
        raise place.wrong(f"a SPEAKER line of RTTM has eight fields or more, this one {len(fields)}")
    start, length = _seconds(place, fields[3]), _seconds(place, fields[4])
    return Part(fields[1], fields[7], start, start + length)


def _stm_part(place: Place, fields: list[str]) -> Part:
    """``recording channel speaker start end [<label>] words``."""
    if len(fields) < 5 or not (_is_number(fields[3]) and _is_number(fields[4])):
        raise place.wrong(f"{_EITHER}: an STM line has a recording, a channel, a speaker, two times and words")
    start, end = _span(place, fields[3], fields[4])
    words = fields[5:]
    if words and words[0].startswith("<") and words[0].endswith(">"):
        words = words[1:]
    return Part(fields[0], fields[2], start, end, " ".join(words))


def _json_parts(path: Path, text: str) -> Iterator[Part]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise Place(path, f"line {error.lineno}").wrong(f"no JSON: {error.msg}") from error
    if isinstance(found, dict) and found.get("schema") == SCHEMA:
        yield from _own_parts(path, found)
        return
    if not isinstance(found, list):
        raise Place(path, "line 1").wrong("SegLST is a list of segments; this is an object")
    for number, entry in enumerate(found, 1):
        place = Place(path, f"entry {number}")
        if not isinstance(entry, dict):
            raise place.wrong("a segment of SegLST is an object")
        missing = [key for key in ("session_id", "speaker", "start_time", "end_time", "words") if key not in entry]
        if missing:
            raise place.wrong(f"a segment of SegLST needs {', '.join(missing)}")
        start, end = _span(place, entry["start_time"], entry["end_time"])
        yield Part(str(entry["session_id"]), str(entry["speaker"]), start, end, " ".join(str(entry["words"]).split()))


def _own_parts(path: Path, document: dict[str, Any]) -> Iterator[Part]:
    """Greffier's transcript; its recording is called as the file is."""
    for segment in document["segments"]:
        yield Part(path.stem, segment["participant"], segment["start"], segment["end"], segment["text"])


def _span(place: Place, start: object, end: object) -> tuple[float, float]:
    begin, until = _seconds(place, start), _seconds(place, end)
    if until < begin:
        raise place.wrong(f"it ends at {until:g} s, before it begins at {begin:g} s")
    return begin, until


def _seconds(place: Place, given: object) -> float:
    if not _is_number(given) or float(str(given)) < 0:
        raise place.wrong(f"a time is a number of seconds from 0, not {given!r}")
    return float(str(given))


def _is_number(given: object) -> bool:
    try:
        return math.isfinite(float(str(given)))
    except ValueError:
        return False
