"""Sound sent over a WebSocket: a hello in JSON, then PCM or Opus packets; what both mean, without the socket.

The hello is ``{"token": ..., "codec": "pcm16" | "opus", "sample_rate": 48000}``. PCM is 16 bits, little endian, mono;
an Opus message is one packet. Sound has no timestamps of its own: it is as old as its arrival says.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from media_gateway.jitter import Decoder, JitterBuffer
from media_gateway.opus import OpusDecoder
from media_gateway.outlet import Outlet
from media_gateway.resample import Resampler, to_planes
from media_gateway.rtp_clock import TICKS_PER_SECOND
from pipeline.domain import SAMPLE_RATE, Samples, Track
from pipeline.errors import InvalidInput
from pipeline.ports import AudioSource

LONGEST_HELLO = 8 * 1024
LONGEST_MESSAGE = 256 * 1024
"""Bytes; 2.7 seconds of PCM at 48 kHz."""
LOWEST_RATE, HIGHEST_RATE = 8_000, 96_000
_LONGEST_PACKET = 1275 * 48
"""Of Opus, as many frames as one packet may hold (RFC 6716, section 3.4)."""
_MOST_BAD = 50
_AHEAD_SECONDS = 0.4
_TICKS_PER_SAMPLE = TICKS_PER_SECOND // SAMPLE_RATE


class Codec(Enum):
    PCM16 = "pcm16"
    OPUS = "opus"


@dataclass(frozen=True, slots=True)
class Hello:
    token: str = field(repr=False)
    codec: Codec
    sample_rate: int


def read_hello(text: str) -> Hello:
    """Raises ``InvalidInput`` that says what of it is wrong."""
    if len(text) > LONGEST_HELLO:
        raise InvalidInput(f"the hello is longer than {LONGEST_HELLO} characters")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("the hello is not JSON") from error
    if not isinstance(said, dict):
        raise InvalidInput("the hello must be a JSON object")
    token, codec, rate = said.get("token"), said.get("codec"), said.get("sample_rate", TICKS_PER_SECOND)
    if not isinstance(token, str) or not token:
        raise InvalidInput("the hello has no token")
    if codec not in [each.value for each in Codec]:
        raise InvalidInput("the hello's codec must be pcm16 or opus")
    if not isinstance(rate, int) or isinstance(rate, bool) or not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise InvalidInput(f"the hello's sample_rate must be a whole number from {LOWEST_RATE} to {HIGHEST_RATE}")
    return Hello(token, Codec(codec), rate)


class SocketTap:
    """One client's sound as a track: fed with messages; ``source`` ends with ``finish``."""

    def __init__(self, hello: Hello, track: Track, now: Callable[[], float], listening: Callable[[], bool]) -> None:
        self._codec = hello.codec
        self._now = now
        self._listening = listening
        self._opus = OpusDecoder() if hello.codec is Codec.OPUS else None
        self._resampler = Resampler(hello.sample_rate, 1)
        self._decoder: Decoder = self._opus or _Plain()
        self._buffer = JitterBuffer(track.id, self._decoder)
        self._outlet = Outlet(track, now)
        self._messages = 0
        self._ticks = 0
        self._bad = 0  # in a row

    @property
    def source(self) -> AudioSource:
        return self._outlet

    async def push(self, message: bytes) -> None:
        """Takes the next message; sound that comes faster than it is spoken is taken at the pace of speech.

        Raises ``InvalidInput`` for what is no sound of the codec.
        """
        payload = self._checked(message)
        if not self._listening():
            self._outlet.put(self._buffer.pass_over())
            return
        if payload:
            count, now = self._decoder.length(payload), self._now()
            # A client may be ahead of time, which no packet of a microphone is: that says nothing of its clock.
            at = max(now, self._buffer.until + count / SAMPLE_RATE)
            self._outlet.put(self._buffer.push(self._messages & 0xFFFF, self._ticks & 0xFFFFFFFF, payload, at))
            self._messages += 1
            self._ticks += count * _TICKS_PER_SAMPLE
            await asyncio.sleep(max(0.0, self._buffer.until - now - _AHEAD_SECONDS))

    def finish(self) -> None:
        if not self._outlet.closed:
            self._outlet.put(self._buffer.finish())
            self._outlet.close()

    def _checked(self, message: bytes) -> bytes:
        """The message as the decoder takes it."""
        if self._opus is None:
            if len(message) % 2:
                raise InvalidInput("a message of PCM has an odd number of bytes: samples have two")
            planes = to_planes(np.frombuffer(message, "<i2")[None], 1)
            return self._resampler.push(planes).tobytes() if message else b""
        if len(message) > _LONGEST_PACKET:
            raise InvalidInput("a message is longer than any Opus packet")
        self._bad = 0 if self._opus.knows(message) else self._bad + 1
        if self._bad >= _MOST_BAD:
            raise InvalidInput(f"{_MOST_BAD} messages in a row were no Opus packets")
        return message


class _Plain:
    """A ``Decoder`` of sound that is 16 kHz PCM already."""

    def decode(self, packet: bytes) -> Samples:
        return np.frombuffer(packet, np.int16)

    def conceal(self, count: int) -> Samples:
        return np.zeros(count, np.int16)

    def recover(self, following: bytes, count: int) -> Samples:
        del following
        return self.conceal(count)

    def length(self, packet: bytes) -> int:
        return len(packet) // 2
