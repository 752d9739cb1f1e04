"""An Ogg stream of Opus (RFC 3533, RFC 7845) as it arrives in pieces of any size, decoded to 16 kHz mono.

Checksums are not verified: what brings the pieces (TCP) has done that. Streams chained one after the other are heard
as one.
"""

import numpy as np

from media_gateway.opus import OpusDecoder
from pipeline.domain import SAMPLE_RATE, Samples
from pipeline.errors import InvalidInput

_CAPTURE = b"OggS"
_HEAD = 27
"""Bytes of a page before its lacing values."""
_CONTINUED = 0x01
_BEGINS = 0x02
_LONGEST_PACKET = 1275 * 48
_TICKS = 48_000


class OggOpusStream:
    """Holds one page and one packet at most, besides what was pushed last."""

    def __init__(self) -> None:
        self._decoder = OpusDecoder()
        self._held = bytearray()
        self._packet = bytearray()  # that goes on in the next page
        self._heads = 2  # packets of the stream that are still to come before its sound
        self._skip = 0  # samples at its beginning that are not to be heard

    def push(self, piece: bytes) -> Samples:
        """The sound of the packets that ``piece`` completes, of shape (n,); raises ``InvalidInput``."""
        self._held += piece
        sounds: list[Samples] = []
        while (page := self._next_page()) is not None:
            sounds += [self._heard(packet) for packet in self._packets(*page)]
        return np.concatenate(sounds) if sounds else np.zeros(0, np.int16)

    def _next_page(self) -> tuple[int, bytes, bytes] | None:
        """Its type, its lacing values and its body; None while it has not come whole."""
        held = self._held
        if not _CAPTURE.startswith(held[:4]):
            raise InvalidInput("this is no Ogg stream: a page must begin with OggS")
        if len(held) < _HEAD or len(held) < _HEAD + held[26]:
            return None
        body = _HEAD + held[26]
        lacing = bytes(held[_HEAD:body])
        end = body + sum(lacing)
        if len(held) < end:
            return None
        page = held[5], lacing, bytes(held[body:end])
        del held[:end]
        return page

    def _packets(self, kind: int, lacing: bytes, body: bytes) -> list[bytes]:
        """The packets that end in a page. A lacing value of less than 255 ends one."""
        if kind & _BEGINS:
            self._heads = 2
        if not kind & _CONTINUED:
            self._packet.clear()
        packets = []
        at = 0
        for length in lacing:
            self._packet += body[at : at + length]
            at += length
            if length < 255:
                packets.append(bytes(self._packet))
                self._packet.clear()
            elif len(self._packet) > _LONGEST_PACKET and not self._heads:
                raise InvalidInput("a packet of the Ogg stream is longer than any Opus packet")
        return packets

    def _heard(self, packet: bytes) -> Samples:
        if self._heads == 2:
            if not packet.startswith(b"OpusHead") or len(packet) < 19:
                raise InvalidInput("this Ogg stream holds no Opus")
            if packet[18]:
                raise InvalidInput("this Opus stream has more than two channels: send one")
            self._skip = int.from_bytes(packet[10:12], "little") * SAMPLE_RATE // _TICKS
        self._heads -= self._heads > 0
        if self._heads or packet.startswith(b"OpusTags"):
            return np.zeros(0, np.int16)
        sound = self._decoder.decode(packet)
        skipped = min(self._skip, len(sound))
        self._skip -= skipped
        return sound[skipped:]
