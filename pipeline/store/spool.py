"""The audio of live tracks until it is recognised: the newest in memory, what lags behind on disk, all bounded."""

import tempfile
from collections import deque
from dataclasses import dataclass, field
from typing import IO

import numpy as np

from pipeline.domain import SAMPLE_RATE, AudioFrame, Samples, TrackId

_BYTES = 2


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """Seconds kept per track: ``memory`` in memory, then up to ``disk`` in an unnamed temporary file."""

    memory: float = 60.0
    disk: float = 1800.0


@dataclass(slots=True)
class _OnDisk:
    start: float
    offset: int
    count: int

    @property
    def end(self) -> float:
        return self.start + self.count / SAMPLE_RATE


@dataclass(slots=True)
class _Lane:
    """Audio of one track, oldest first: blocks on disk, then frames in memory."""

    frames: deque[AudioFrame] = field(default_factory=deque)
    blocks: deque[_OnDisk] = field(default_factory=deque)
    file: IO[bytes] | None = None
    kept_from: float = 0.0


class AudioSpool:
    """An ``AudioMemory``. A full disk costs the oldest audio of the lagging track, nothing else."""

    def __init__(self, settings: SpoolSettings = SpoolSettings(), folder: str | None = None) -> None:
        self._settings = settings
        self._folder = folder
        self._lanes: dict[TrackId, _Lane] = {}

    def append(self, frame: AudioFrame) -> None:
        lane = self._lanes.setdefault(frame.track, _Lane())
        lane.frames.append(frame)
        while lane.frames[0].end < frame.end - self._settings.memory:
            self._to_disk(lane, lane.frames.popleft())
        while lane.blocks and lane.blocks[0].end < frame.end - self._settings.disk:
            lane.kept_from = lane.blocks.popleft().end

    def read(self, track: TrackId, start: float, end: float) -> Samples:
        samples = np.zeros(max(0, round((end - start) * SAMPLE_RATE)), dtype=np.int16)
        lane = self._lanes.get(track)
        if lane is None:
            return samples
        for block in lane.blocks:
            if block.end > start and block.start < end:
                _place(samples, start, block.start, self._from_disk(lane, block))
        for frame in lane.frames:
            if frame.end > start and frame.start < end:
                _place(samples, start, frame.start, frame.samples)
        return samples

    def forget(self, track: TrackId, before: float) -> float:
        lane = self._lanes.get(track)
        if lane is None:
            return 0.0
        while lane.blocks and lane.blocks[0].end <= before:
            lane.blocks.popleft()
        if not lane.blocks and lane.file is not None:
            lane.file.truncate(0)
        while lane.frames and not lane.blocks and lane.frames[0].end <= before:
            lane.frames.popleft()
        return lane.kept_from

    def close(self) -> None:
        for lane in self._lanes.values():
            if lane.file is not None:
                lane.file.close()
        self._lanes.clear()

    def _to_disk(self, lane: _Lane, frame: AudioFrame) -> None:
        try:
            if lane.file is None:
                lane.file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed with the lane
            offset = lane.file.seek(0, 2)
            lane.file.write(frame.samples.tobytes())
            lane.file.flush()
        except OSError:
            lane.kept_from = frame.end
            return
        lane.blocks.append(_OnDisk(frame.start, offset, len(frame.samples)))

    @staticmethod
    def _from_disk(lane: _Lane, block: _OnDisk) -> Samples:
        if lane.file is None:
            return np.zeros(block.count, dtype=np.int16)
        lane.file.seek(block.offset)
        return np.frombuffer(lane.file.read(block.count * _BYTES), dtype=np.int16)


def _place(samples: Samples, start: float, at: float, piece: Samples) -> None:
    """Copy ``piece``, which begins at ``at``, into ``samples``, which begin at ``start``."""
    offset = round((at - start) * SAMPLE_RATE)
    skipped = max(0, -offset)
    offset = max(0, offset)
    count = min(len(piece) - skipped, len(samples) - offset)
    if count > 0:
        samples[offset : offset + count] = piece[skipped : skipped + count]
