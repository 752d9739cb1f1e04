"""What a scripted Kyutai server hears: each script reads the sound of one channel, 80 ms at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from pipeline.domain import SAMPLE_RATE, Samples, Word

RATE = 24_000
FRAME = 1_920
STEP_SECONDS = FRAME / RATE
Pcm = NDArray[np.float32]
"""Samples of shape (n,) at 24 kHz, full scale at 1."""


class Script(Protocol):
    """Made anew for each connection, and by an ``Init`` within one."""

    def hear(self, frame: Pcm) -> Sequence[Word]:
        """Takes the next 80 ms; the words that ended in them, in seconds since the first sample."""


NewScript = Callable[[], Script]


@dataclass(slots=True)
class Timed:
    """These words, whatever is heard: each once its end in the sound of the connection has come."""

    words: Sequence[Word]
    _heard: int = 0
    _told: int = 0

    def hear(self, frame: Pcm) -> Sequence[Word]:
        self._heard += len(frame)
        first = self._told
        while self._told < len(self.words) and self.words[self._told].end * RATE <= self._heard:
            self._told += 1
        return self.words[first : self._told]


@dataclass(slots=True)
class Babble:
    """A word, w1 w2 w3, for each ``every`` seconds of sound that is louder than ``dbfs``; nothing in silence."""

    every: float = 0.4
    dbfs: float = -50.0
    _heard: int = 0
    _loud: int = 0
    _told: int = 0

    def hear(self, frame: Pcm) -> Sequence[Word]:
        self._heard += len(frame)
        if level_of(frame) < self.dbfs:
            return ()
        self._loud += len(frame)
        if self._loud < (self._told + 1) * self.every * RATE:
            return ()
        self._told += 1
        end = self._heard / RATE
        return (Word(f" w{self._told}", end - 0.9 * self.every, end),)


class Recited:
    """The words of a known recording wherever parts of it are heard: from its middle, again, or with cuts.

    So what a client sends twice is said twice, and what it leaves out is not said. A word of which the first half was
    not heard is left out. Sound that is not of the recording says nothing.
    """

    def __init__(self, recording: "Recording") -> None:
        self._recording = recording
        self._at: int | None = None  # place in the recording where the next frame is awaited
        self._began = 0  # place from which it has been heard without a cut
        self._heard = 0

    def hear(self, frame: Pcm) -> Sequence[Word]:
        self._heard += len(frame)
        if self._at is None or not self._recording.goes_on(frame, self._at):
            self._at = self._began_at(self._recording.find(frame) if level_of(frame) > _FAINT else None)
        if self._at is None:
            return ()
        begin, self._at = self._at, self._at + len(frame)
        offset = self._heard - self._at
        return [
            Word(word.text, (start + offset) / RATE, (end + offset) / RATE)
            for word, start, end in self._recording.words
            if begin < end <= self._at and self._began <= (start + end) / 2
        ]

    def _began_at(self, place: int | None) -> int | None:
        if place is not None:
            self._began = place
        return place


_FAINT = -55.0
"""dBFS below which sound is no word, and could be anywhere."""
_SAME = 0.9
"""Correlation from which on two frames are the same sound, resampled twice."""
_COARSE = 3
"""Samples that are one when a place is looked for: 8 kHz are enough."""


@dataclass(slots=True)
class Recording:
    """Sound of shape (n,) at 16 kHz and its words in seconds; ``words`` has the places where they start and end."""

    sound: Samples
    said: Sequence[Word]
    words: Sequence[tuple[Word, int, int]] = field(init=False)
    _pcm: Pcm = field(init=False)
    _coarse: Pcm = field(init=False)
    _spectrum: NDArray[np.complexfloating] = field(init=False)
    _energy: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self._pcm = soxr.resample(self.sound.astype(np.float32) / 32768, SAMPLE_RATE, RATE)
        self.words = [(word, round(word.start * RATE), round(word.end * RATE)) for word in self.said]
        self._coarse = _coarser(self._pcm)
        self._spectrum = np.fft.rfft(self._coarse, _padded(len(self._coarse)))
        self._energy = np.concatenate([[0.0], np.cumsum(self._coarse.astype(np.float64) ** 2)])

    def goes_on(self, frame: Pcm, place: int) -> bool:
        """Whether ``frame`` is the sound at a place, or as faint as what is there."""
        there = self._pcm[place : place + len(frame)]
        if len(there) != len(frame):
            return False
        return _alike(frame, there) > _SAME or max(level_of(frame), level_of(there)) < _FAINT

    def find(self, frame: Pcm) -> int | None:
        """Where ``frame`` is in the recording; None where it is not."""
        wanted = _coarser(frame)
        size, count = _padded(len(self._coarse)), len(self._coarse) - len(wanted) + 1
        if count < 1:
            return None
        products = np.fft.irfft(self._spectrum * np.conj(np.fft.rfft(wanted, size)), size)[:count]
        energy = self._energy[len(wanted) :] - self._energy[:count]
        best = int(np.argmax(products / np.sqrt(energy + 1e-6)))
        near = range(max(0, (best - 1) * _COARSE), (best + 2) * _COARSE)
        place = max(near, key=lambda start: _alike(frame, self._pcm[start : start + len(frame)]))
        return place if self.goes_on(frame, place) else None


def level_of(frame: Pcm) -> float:
    """dBFS, by RMS."""
    return float(10 * np.log10(np.mean(np.square(frame, dtype=np.float64)) + 1e-12))


def _alike(one: Pcm, other: Pcm) -> float:
    if len(one) != len(other):
        return 0.0
    return float(one @ other / np.sqrt((one @ one) * (other @ other) + 1e-12))


def _coarser(pcm: Pcm) -> Pcm:
    whole = len(pcm) - len(pcm) % _COARSE
    coarse: Pcm = pcm[:whole].reshape(-1, _COARSE).mean(axis=1)
    return coarse


def _padded(count: int) -> int:
    return 1 << (count + FRAME).bit_length()
