"""Opus decoded straight to 16 kHz mono by libopus, with its concealment and in-band error correction.

libopus decodes to any of its rates by itself, which spares the resampler, and to mono, which spares the downmix. It
comes with PyAV's wheel; else the system's is used. A packet takes some 20 us, so the GIL is kept meanwhile (``PyDLL``):
to win it back from a busy thread takes up to 5 ms.
"""

import ctypes
import ctypes.util
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.domain import SAMPLE_RATE, Samples
from pipeline.errors import GreffierError

LONGEST_SAMPLES = SAMPLE_RATE * 120 // 1000
"""The longest sound of one packet, 120 ms (RFC 6716, section 2.1.4)."""
_GRAIN_SAMPLES = SAMPLE_RATE // 400
"""libopus conceals in steps of 2.5 ms."""
_USUAL_SAMPLES = SAMPLE_RATE // 50
_OK = 0


class OpusDecoder:
    """The state of one stream. Packets that cannot be decoded are concealed; nothing here raises on what came in."""

    def __init__(self) -> None:
        self._library = _libopus()
        error = ctypes.c_int(_OK)
        self._state = self._library.opus_decoder_create(SAMPLE_RATE, 1, ctypes.byref(error))
        if not self._state or error.value != _OK:
            raise GreffierError(f"libopus made no decoder (error {error.value})")
        self._sound: Samples = np.zeros(LONGEST_SAMPLES, np.int16)
        self._address = self._sound.ctypes.data
        self._usual = _USUAL_SAMPLES
        self.concealed_packets = 0
        """How many packets were given that could not be decoded."""

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_decoder_destroy(self._state)
            self._state = None

    def decode(self, packet: bytes) -> Samples:
        """The sound of the next packet, shape (n,); as long as the last one, and made up, when it is none."""
        count = self._decoded(packet, LONGEST_SAMPLES, recover=False) if packet else 0
        if count <= 0:
            self.concealed_packets += 1
            return self.conceal(self._usual)
        self._usual = count
        return self._sound[:count].copy()

    def conceal(self, count: int) -> Samples:
        """``count`` samples made up from what came before, fading as it lasts."""
        pieces = [self._made_up(min(LONGEST_SAMPLES, count - done)) for done in range(0, count, LONGEST_SAMPLES)]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)

    def recover(self, following: bytes, count: int) -> Samples:
        """The ``count`` samples before the packet ``following`` from its in-band copy (RFC 6716, section 2.1.7).

        Where it has none, and for what the copy does not reach, they are made up.
        """
        whole = count - count % _GRAIN_SAMPLES
        if not following or not whole or whole > LONGEST_SAMPLES:
            return self.conceal(count)
        got = self._decoded(following, whole, recover=True)
        if got != whole:
            return self.conceal(count)
        return np.concatenate([self._sound[:whole], np.zeros(count - whole, np.int16)])

    def length(self, packet: bytes) -> int:
        """How many samples the sound of a packet has; as many as the last one's when it is no Opus packet."""
        count = self._counted(packet)
        return count if count > 0 else self._usual

    def knows(self, packet: bytes) -> bool:
        """Whether a packet looks like one."""
        return self._counted(packet) > 0

    def _counted(self, packet: bytes) -> int:
        return int(self._library.opus_packet_get_nb_samples(packet, len(packet), SAMPLE_RATE)) if packet else 0

    def _made_up(self, count: int) -> Samples:
        whole = -(-count // _GRAIN_SAMPLES) * _GRAIN_SAMPLES
        got = self._library.opus_decode(self._state, None, 0, self._address, whole, 0)
        if got < count:
            self._sound[:count] = 0
        return self._sound[:count].copy()

    def _decoded(self, packet: bytes, room: int, *, recover: bool) -> int:
        return int(self._library.opus_decode(self._state, packet, len(packet), self._address, room, int(recover)))


@cache
def _libopus() -> ctypes.PyDLL:
    """Loaded once. Raises ``GreffierError`` when there is none."""
    for path in _candidates():
        try:
            return _declared(ctypes.PyDLL(path))
        except OSError:
            continue
    raise GreffierError("libopus was not found: install PyAV from its wheel, or libopus (Debian: libopus0)")


def _candidates() -> list[str]:
    """PyAV's own copy first: it is the one that the tests know."""
    found = importlib.util.find_spec("av")
    beside = Path(found.origin).parent.parent / "av.libs" if found and found.origin else None
    wheel = sorted(str(path) for path in beside.glob("libopus*.so*")) if beside else []
    system = ctypes.util.find_library("opus")
    return [*wheel, *([system] if system else []), "libopus.so.0"]


def _declared(library: ctypes.PyDLL) -> ctypes.PyDLL:
    library.opus_decoder_create.restype = ctypes.c_void_p
    library.opus_decoder_create.argtypes = [ctypes.c_int32, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]
    library.opus_decoder_destroy.restype = None
    library.opus_decoder_destroy.argtypes = [ctypes.c_void_p]
    library.opus_decode.restype = ctypes.c_int
    library.opus_decode.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_int,
    ]
    library.opus_packet_get_nb_samples.restype = ctypes.c_int
    library.opus_packet_get_nb_samples.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]
    return library
