"""The client's side of moshi-server's dialect: messages in MessagePack, each a map with its ``type``.

::

    out    Audio {pcm: [f32]}, 24 kHz mono    Marker {id}
    in     Ready    Word {text, start_time}    EndWord {stop_time}    Step {step_idx, prs, buffered_pcm}
           Marker {id}    Error {message}

Source: ``asr.rs`` and ``batched_asr.rs`` of moshi-server 0.6.4. The errors of msgpack are mapped here only.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import RecognitionFailed

RATE = 24_000
FRAME = 1_920
"""Samples of one step of the model, 80 ms."""
STEP_SECONDS = FRAME / RATE
NO_FREE_CHANNELS = "no free channels"

Pcm = NDArray[np.float32]
"""Sound of shape (n,) at 24 kHz, full scale at 1."""


@dataclass(frozen=True, slots=True)
class Ready:
    pass


@dataclass(frozen=True, slots=True)
class Said:
    """``Word``: its text will not change; ``start`` is in seconds of the connection's sound, the delay taken off."""

    text: str
    start: float


@dataclass(frozen=True, slots=True)
class Step:
    """80 ms were heard. ``pauses``: how likely pauses of 0.5, 1, 2 and 3 s begin, nothing for models without it."""

    pauses: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Marker:
    id: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """``Error``."""

    reason: str


Message = Ready | Said | Step | Marker | Refusal


def audio(pcm: Pcm) -> bytes:
    """Nothing in ``pcm`` is a sign of life, that changes nothing."""
    return _packed({"type": "Audio", "pcm": pcm.tolist()})


def marker(number: int) -> bytes:
    """Comes back once what was sent before it was heard, if as much silence as the model's delay follows it."""
    return _packed({"type": "Marker", "id": number})


def read_message(packed: bytes | str) -> Message | None:
    """None for what means nothing here: ``EndWord``, which comes when the next word begins, and unknown types.

    Raises ``RecognitionFailed`` for what no moshi-server says.
    """
    try:
        said = msgpack.unpackb(packed if isinstance(packed, bytes) else b"")
        read = _READERS.get(said["type"])
        return None if read is None else read(said)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        raise RecognitionFailed("what answers does not speak as moshi-server does") from error


def _packed(message: Mapping[str, Any]) -> bytes:
    content: bytes = msgpack.packb(message, use_single_float=True)
    return content


def _said(message: Mapping[str, Any]) -> Said:
    start = float(message["start_time"])
    if not math.isfinite(start) or not isinstance(message["text"], str):
        raise ValueError(start)
    return Said(message["text"].strip(), start)


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Message]] = MappingProxyType(
    {
        "Ready": lambda _: Ready(),
        "Word": _said,
        "Step": lambda message: Step(tuple(float(share) for share in message["prs"])),
        "Marker": lambda message: Marker(int(message["id"])),
        "Error": lambda message: Refusal(str(message["message"])),
    }
)
