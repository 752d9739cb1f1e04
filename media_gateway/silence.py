"""Silent sound for players that show subtitles only beside media: AAC in fragmented MP4 on the subtitles' clock."""

from collections.abc import Iterator
from functools import cache
from io import BytesIO

import av
import numpy as np

from pipeline.export.hls import AUDIO_FRAME, AUDIO_RATE, audio_frames_before

_WARM_UP = 8
"""Frames until the encoder gives the same packet for every frame of silence."""


def init_segment() -> bytes:
    """What a player needs before any segment (``EXT-X-MAP``)."""
    file = _file(1)
    return b"".join(file[begin:end] for name, begin, end in _boxes(file) if name in {b"ftyp", b"moov"})


def media_segment(number: int) -> bytes:
    """The sound of segment ``number``: a fragment kept as a template, with its number and its time written in."""
    first = audio_frames_before(number)
    segment, sequence_at, time_at = _template(audio_frames_before(number + 1) - first)
    written = bytearray(segment)
    written[sequence_at : sequence_at + 4] = (number + 1).to_bytes(4, "big")
    written[time_at : time_at + 8] = (first * AUDIO_FRAME).to_bytes(8, "big")
    return bytes(written)


@cache
def _template(frames: int) -> tuple[bytes, int, int]:
    """A fragment, and where its sequence number and its 64-bit decode time stand (ISO 14496-12, 8.8.5 and 8.8.12)."""
    file = _file(frames)
    segment = b"".join(file[begin:end] for name, begin, end in _boxes(file) if name in {b"moof", b"mdat"})
    return segment, segment.index(b"mfhd") + 8, segment.index(b"tfdt\x01") + 8


@cache
def _file(frames: int) -> bytes:
    """A file of one fragment with so many frames of silence."""
    written = BytesIO()
    options = {"movflags": "empty_moov+default_base_moof+frag_custom", "use_editlist": "0"}
    with av.open(written, "w", format="mp4", options=options) as container:
        stream = container.add_stream("aac", rate=AUDIO_RATE, layout="mono")
        silent = av.AudioFrame.from_ndarray(np.zeros((1, AUDIO_FRAME), np.float32), format="fltp", layout="mono")
        silent.rate = AUDIO_RATE
        packets = [packet for _ in range(frames + _WARM_UP) for packet in stream.encode(silent)]
        for place, packet in enumerate(packets[-frames:]):
            packet.pts = packet.dts = place * AUDIO_FRAME
            container.mux(packet)
    return written.getvalue()


def _boxes(file: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, beginning and end of each outer box (ISO 14496-12, 4.2)."""
    begin = 0
    while begin < len(file):
        end = begin + int.from_bytes(file[begin : begin + 4], "big")
        yield file[begin + 4 : begin + 8], begin, end
        begin = end
