"""The sound of a meeting's tracks, kept as Ogg Opus aligned to meeting time (RFC 6716, RFC 7845)."""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import av
import numpy as np

from pipeline.domain import SAMPLE_RATE, AudioFrame, MeetingId, Samples, TrackId
from pipeline.store.disk import explained

_log = logging.getLogger("greffier.audio")

_BLOCK = SAMPLE_RATE // 50
"""Samples of one encoded packet: 20 ms."""
_TICKS = 3
"""Opus counts in 48 kHz whatever it encodes (RFC 7845, 4)."""
_PRE_SKIP = 312
_BIT_RATE = 28_000
_SILENCE = bytes([0xFB, 6]) + b"\xff\xfe" * 6
"""Six frames of 20 ms of digital silence in one packet: CELT, mono, code 3 with constant size (RFC 6716, 3.2.5)."""
_SILENT_BLOCKS = 6
_SHORT = SAMPLE_RATE // 4
"""Holes up to this many samples are encoded as silence, longer ones cost 14 bytes per 120 ms and no encoding."""
_OPTIONS = {"page_duration": "500000", "flush_packets": "1"}
_MOST_WAITING = 2_000
_explained = partial(explained, "the sound of a meeting", "GREFFIER_HOME")


def meeting_prefix(meeting: MeetingId) -> str:
    """Where the object store keeps the files of a meeting."""
    return f"meetings/{quote(meeting, safe='')}"


def audio_key(meeting: MeetingId, track: TrackId) -> str:
    """Where the object store keeps the sound of a track."""
    return f"{meeting_prefix(meeting)}/audio/{quote(track, safe='')}.ogg"


class TrackAudio:
    """Writes the frames of one track to an Ogg Opus file that begins at meeting time 0.

    Where nothing was sent there is silence, filled in when sound comes again. What was written is readable even if
    ``finish`` is never called, but for the last second. Mono, 16 kHz, 28 kb/s. Raises ``StorageFull`` and
    ``StorageFailed``; nothing more can be written then. An open file stays open.
    """

    def __init__(self, place: Path | BinaryIO) -> None:
        self._rest: Samples = np.zeros(0, np.int16)  # less than a block, not encoded yet
        self._blocks = 0
        with _explained():
            self._file = av.open(str(place) if isinstance(place, Path) else place, "w", format="ogg", options=_OPTIONS)
            self._stream = self._file.add_stream("libopus", rate=SAMPLE_RATE)
            self._stream.codec_context.layout = "mono"
            self._stream.codec_context.bit_rate = _BIT_RATE
            self._stream.codec_context.options = {"application": "voip", "compression_level": "5"}

    @property
    def end(self) -> float:
        """Seconds of meeting time written."""
        return self._written / SAMPLE_RATE

    def write(self, frame: AudioFrame) -> None:
        """What lies before ``end`` is left out: sound is written once."""
        start = round(frame.start * SAMPLE_RATE)
        with _explained():
            if start - self._written > _SHORT:
                self._be_silent(start)
            hole = max(0, start - self._written)
            fresh = frame.samples[max(0, self._written - start) :]
            self._encode(np.concatenate([np.zeros(hole, np.int16), fresh]))

    def finish(self) -> None:
        with _explained():
            self._encode(self._to_boundary())
            self._file.close()

    @property
    def _written(self) -> int:
        return self._blocks * _BLOCK + len(self._rest)

    def _to_boundary(self) -> Samples:
        """Silence that completes the block begun, and one more that brings the encoder's look-ahead out."""
        return np.zeros(-len(self._rest) % _BLOCK + _BLOCK, np.int16)

    def _be_silent(self, until: int) -> None:
        self._encode(self._to_boundary())
        while self._written + _SILENT_BLOCKS * _BLOCK <= until:
            packet = av.Packet(_SILENCE)
            packet.stream = self._stream
            self._mux(packet, _SILENT_BLOCKS)

    def _encode(self, samples: Samples) -> None:
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // _BLOCK * _BLOCK
        self._rest = samples[whole:]
        for start in range(0, whole, _BLOCK):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + _BLOCK], format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            frame.time_base = Fraction(1, SAMPLE_RATE)
            frame.pts = self._blocks * _BLOCK
            for packet in self._stream.encode(frame):  # exactly one: a block is a packet
                self._mux(packet, 1)

    def _mux(self, packet: "av.Packet[Any]", blocks: int) -> None:
        packet.time_base = Fraction(1, SAMPLE_RATE * _TICKS)
        packet.pts = packet.dts = self._blocks * _BLOCK * _TICKS - _PRE_SKIP
        packet.duration = blocks * _BLOCK * _TICKS
        self._file.mux(packet)
        self._blocks += blocks


@dataclass(slots=True)
class MeetingAudio:
    """An ``AudioKeeper``: keeps the sound of all tracks of a meeting; ``place`` says in which file each goes.

    Encoding and the disk take a thread of their own, so that captions never wait for them. At most ``_MOST_WAITING``
    frames wait; while that many do, new frames are dropped and are silence in the file. A track whose file fails is
    kept no further, and the meeting goes on.
    """

    place: Callable[[TrackId], Path | BinaryIO]
    dropped: int = 0
    _tracks: dict[TrackId, TrackAudio | None] = field(default_factory=dict)
    _queue: "queue.Queue[AudioFrame | None]" = field(default_factory=lambda: queue.Queue(_MOST_WAITING))
    _thread: threading.Thread | None = None

    def write(self, frame: AudioFrame) -> None:
        """Never waits and never raises."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="greffier-audio", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(frame)
        except queue.Full:
            self.dropped += 1

    async def close(self) -> None:
        """Returns when every file is finished; what is written afterwards is not kept."""
        if self._thread is not None:
            await asyncio.to_thread(self._queue.put, None)
            await asyncio.to_thread(self._thread.join)
        if self.dropped:
            _log.warning("audio.dropped", extra={"frames": self.dropped})

    def _run(self) -> None:
        while (frame := self._queue.get()) is not None:
            self._attempt(frame.track, partial(self._write, frame))
        for track in tuple(self._tracks):
            self._attempt(track, partial(self._finish, track))

    def _attempt(self, track: TrackId, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever becomes of the sound, the meeting goes on
            self._tracks[track] = None
            _log.warning("audio.failed", extra={"track": track, "error": type(error).__name__})

    def _write(self, frame: AudioFrame) -> None:
        if frame.track not in self._tracks:
            self._tracks[frame.track] = TrackAudio(self.place(frame.track))
        if audio := self._tracks[frame.track]:
            audio.write(frame)

    def _finish(self, track: TrackId) -> None:
        if audio := self._tracks[track]:
            audio.finish()
