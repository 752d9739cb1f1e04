"""The dialect of Kyutai's moshi-server: messages in MessagePack, each a map with its ``type``. Without the socket.

::

    in     Init   Audio {pcm: [f32]}, 24 kHz mono   OggOpus {data}   Marker {id}
    out    Ready  Word {text, start_time}  EndWord {stop_time}  Step {step_idx, prs, buffered_pcm}  Marker {id}
           Error {message}

The errors of msgpack are mapped here only.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgpack
import numpy as np

from media_gateway.ogg_opus import OggOpusStream
from media_gateway.resample import Resampler, to_planes
from pipeline.domain import SAMPLE_RATE, Samples, Word
from pipeline.errors import InvalidInput

RATE = 24_000
STEP_SECONDS = 0.08
PAUSES = (0.5, 1.0, 2.0, 3.0)
"""Seconds of the pauses that ``prs`` tell of, one each."""
_SMALLEST_ID, _LARGEST_ID = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Init:
    pass


@dataclass(frozen=True, slots=True)
class Audio:
    pcm: "array[float]"


@dataclass(frozen=True, slots=True)
class OggOpus:
    content: bytes


@dataclass(frozen=True, slots=True)
class Marker:
    id: int


Message = Init | Audio | OggOpus | Marker


def read_message(packed: bytes) -> Message:
    """Raises ``InvalidInput`` that says what of it is wrong."""
    try:
        said = msgpack.unpackb(packed)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise InvalidInput("a message is no MessagePack") from error
    if not isinstance(said, dict):
        raise InvalidInput("a message must be a map with a type")
    kind = said.get("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise InvalidInput(f"the type of a message must be one of {', '.join(_READERS)}")
    return read(said)


def _audio(said: Mapping[str, Any]) -> Audio:
    pcm = said.get("pcm")
    if not isinstance(pcm, list):
        raise InvalidInput("Audio needs pcm, a list of numbers")
    try:
        return Audio(array("f", pcm))
    except (TypeError, OverflowError) as error:
        raise InvalidInput("pcm must be a list of numbers") from error


def _ogg_opus(said: Mapping[str, Any]) -> OggOpus:
    content = said.get("data")
    try:
        if not isinstance(content, bytes | list):
            raise TypeError
        return OggOpus(bytes(content))
    except (TypeError, ValueError) as error:
        raise InvalidInput("OggOpus needs data, a string of bytes") from error


def _marker(said: Mapping[str, Any]) -> Marker:
    number = said.get("id")
    if not isinstance(number, int) or isinstance(number, bool) or not _SMALLEST_ID <= number <= _LARGEST_ID:
        raise InvalidInput("Marker needs an id, a whole number of 64 bits")
    return Marker(number)


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Message]] = MappingProxyType(
    {"Init": lambda _: Init(), "Audio": _audio, "OggOpus": _ogg_opus, "Marker": _marker}
)


def ready() -> dict[str, Any]:
    return {"type": "Ready"}


def spoken(word: Word) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ``Word`` and the ``EndWord`` of one that will not change; times in seconds since the first sample."""
    start = {"type": "Word", "text": word.text.strip(), "start_time": round(word.start, 3)}
    return start, {"type": "EndWord", "stop_time": round(word.end, 3)}


def step(index: int, silence: float, buffered: int) -> dict[str, Any]:
    """After each 80 ms of sound. ``prs`` says of each pause how much of it has passed, after ``silence`` seconds."""
    return {"type": "Step", "step_idx": index, "prs": pause_shares(silence), "buffered_pcm": buffered}


def pause_shares(silence: float) -> list[float]:
    return [round(min(1.0, max(0.0, silence) / pause), 3) for pause in PAUSES]


def marker(number: int) -> dict[str, Any]:
    return {"type": "Marker", "id": number}


def failure(message: str) -> dict[str, Any]:
    return {"type": "Error", "message": message}


def packed(message: Mapping[str, Any]) -> bytes:
    content: bytes = msgpack.packb(message, use_single_float=False)
    return content


class StreamedSound:
    """The sound of one connection: what came in, as pieces of 80 ms at 16 kHz."""

    def __init__(self) -> None:
        self._resampler = Resampler(RATE, 1)
        self._ogg: OggOpusStream | None = None
        self._held: Samples = np.zeros(0, np.int16)

    @property
    def buffered(self) -> int:
        """Samples, of 24 kHz, that fill no piece yet."""
        return len(self._held) * RATE // SAMPLE_RATE

    def push(self, message: Audio | OggOpus) -> Sequence[Samples]:
        """The pieces that are full now. Raises ``InvalidInput`` for Opus that is none."""
        if isinstance(message, Audio):
            planes = to_planes(np.frombuffer(message.pcm, np.float32)[None], 1)
            fresh = self._resampler.push(planes) if planes.size else np.zeros(0, np.int16)
        else:
            self._ogg = self._ogg or OggOpusStream()
            fresh = self._ogg.push(message.content)
        sound = np.concatenate([self._held, fresh])
        count = round(STEP_SECONDS * SAMPLE_RATE)
        whole = len(sound) - len(sound) % count
        self._held = sound[whole:]
        return [sound[begin : begin + count] for begin in range(0, whole, count)]

    def rest(self) -> Samples:
        """What fills no piece yet, now taken."""
        rest, self._held = self._held, np.zeros(0, np.int16)
        return rest
