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
    """Seconds kept per track: ``memory`` in memory, what is older up to ``disk`` in an unnamed temporary file.

    Frames are joined into blocks of up to ``block`` seconds, which go to disk and are forgotten as a whole.
    """

    memory: float = 60.0
    disk: float = 1800.0
    block: float = 2.0


@dataclass(slots=True)
class _Block:
    """Sound without holes; the first ``count`` samples are heard, the rest is room for more."""

    start: float
    samples: Samples
    count: int

    @property
    def end(self) -> float:
        return self.start + self.count / SAMPLE_RATE

    def takes(self, frame: AudioFrame) -> bool:
        """Whether ``frame`` goes on where this block ends, and fits."""
        follows = abs(frame.start - self.end) < 0.5 / SAMPLE_RATE
        return follows and self.count + len(frame.samples) <= len(self.samples)

    def add(self, samples: Samples) -> None:
        self.samples[self.count : self.count + len(samples)] = samples
        self.count += len(samples)

    def close(self) -> None:
        """Nothing more is added: the room is given back."""
        if self.count < len(self.samples):
            self.samples = self.samples[: self.count].copy()


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
    """Audio of one track, oldest first: blocks on disk, then blocks in memory.

    The file is a ring: blocks are written at ``written`` and again from the beginning once it is full.
    """

    held: deque[_Block] = field(default_factory=deque)
    blocks: deque[_OnDisk] = field(default_factory=deque)
    file: IO[bytes] | None = None
    written: int = 0
    kept_from: float = 0.0


class AudioSpool:
    """An ``AudioMemory``. A full disk costs the oldest audio of the lagging track, nothing else."""

    def __init__(self, settings: SpoolSettings = SpoolSettings(), folder: str | None = None) -> None:
        self._settings = settings
        self._folder = folder
        self._lanes: dict[TrackId, _Lane] = {}

    def append(self, frame: AudioFrame) -> None:
        lane = self._lanes.setdefault(frame.track, _Lane())
        if not lane.held or not lane.held[-1].takes(frame):
            self._begin_block(lane, frame)
        lane.held[-1].add(frame.samples)
        while lane.held[0].end < frame.end - self._settings.memory:
            self._to_disk(lane, lane.held.popleft())
        while lane.blocks and lane.blocks[0].end < frame.end - self._settings.disk:
            _drop_oldest(lane)

    def read(self, track: TrackId, start: float, end: float) -> Samples:
        samples = np.zeros(max(0, round((end - start) * SAMPLE_RATE)), dtype=np.int16)
        lane = self._lanes.get(track)
        if lane is None:
            return samples
        for block in lane.blocks:
            if block.end > start and block.start < end:
                _place(samples, start, block.start, self._from_disk(lane, block))
        for held in lane.held:
            if held.end > start and held.start < end:
                _place(samples, start, held.start, held.samples[: held.count])
        return samples

    def forget(self, track: TrackId, before: float) -> float:
        lane = self._lanes.get(track)
        if lane is None:
            return 0.0
        while lane.blocks and lane.blocks[0].end <= before:
            lane.blocks.popleft()
        if lane.written and not lane.blocks and lane.file is not None:
            lane.file.truncate(0)
            lane.written = 0
        while lane.held and not lane.blocks and lane.held[0].end <= before:
            lane.held.popleft()
        return lane.kept_from

    def close(self) -> None:
        for lane in self._lanes.values():
            if lane.file is not None:
                lane.file.close()
        self._lanes.clear()

    def _begin_block(self, lane: _Lane, frame: AudioFrame) -> None:
        if lane.held:
            lane.held[-1].close()
        room = max(round(self._settings.block * SAMPLE_RATE), len(frame.samples))
        lane.held.append(_Block(frame.start, np.empty(room, np.int16), 0))

    def _to_disk(self, lane: _Lane, held: _Block) -> None:
        block = _OnDisk(held.start, self._make_room(lane, held.count * _BYTES), held.count)
        try:
            if lane.file is None:
                # Unbuffered: what a full disk refused is not written later, or when the file is closed.
                lane.file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - closed with the lane
            lane.file.seek(block.offset)
            full = lane.file.write(held.samples[: held.count].tobytes()) < block.count * _BYTES
        except OSError:
            full = True
        if full:
            lane.blocks.clear()
            lane.kept_from = held.end
            return
        lane.blocks.append(block)
        lane.written = block.offset + block.count * _BYTES

    def _make_room(self, lane: _Lane, size: int) -> int:
        """Where in the file ``size`` bytes go; the blocks they overwrite, the oldest, are dropped."""
        offset = lane.written if lane.blocks else 0
        if offset and offset + size > round(self._settings.disk * SAMPLE_RATE) * _BYTES:
            while lane.blocks and lane.blocks[0].offset >= offset:
                _drop_oldest(lane)
            offset = 0
        while lane.blocks and offset <= lane.blocks[0].offset < offset + size:
            _drop_oldest(lane)
        return offset

    @staticmethod
    def _from_disk(lane: _Lane, block: _OnDisk) -> Samples:
        if lane.file is None:
            return np.zeros(0, dtype=np.int16)
        try:
            lane.file.seek(block.offset)
            read = lane.file.read(block.count * _BYTES)
        except OSError:
            return np.zeros(0, dtype=np.int16)
        return np.frombuffer(read[: len(read) // _BYTES * _BYTES], dtype=np.int16)


def _drop_oldest(lane: _Lane) -> None:
    lane.kept_from = max(lane.kept_from, lane.blocks.popleft().end)


def _place(samples: Samples, start: float, at: float, piece: Samples) -> None:
    """Copy ``piece``, which begins at ``at``, into ``samples``, which begin at ``start``."""
    offset = round((at - start) * SAMPLE_RATE)
    skipped = max(0, -offset)
    offset = max(0, offset)
    count = min(len(piece) - skipped, len(samples) - offset)
    if count > 0:
        samples[offset : offset + count] = piece[skipped : skipped + count]
