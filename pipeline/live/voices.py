"""Who speaks when in a track that several people share, while they speak: windows in, turns out.

Method: Coria et al. 2021 (see voice_clusters). Windows of five seconds roll over the speech; the local voices of each
become voices of the track; where several windows heard a moment, their activities are averaged, and the voice that is
most active has it. What lies ``latency`` behind the newest sound is decided, and never again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.domain import VoiceSpan
from pipeline.live.voice_clusters import ClusterSettings, Embedding, LocalVoice, VoiceClusters, unit_of
from pipeline.speakers import VoiceActivity

LEAST_LATENCY, MOST_LATENCY = 0.5, 5.0
_SPEAKING = 0.5
"""The activity from which on a voice is heard to speak (tau)."""
_PRE_ROLL = 1.0


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """Seconds. A moment is decided at most ``latency`` after it was heard, and the time that hearing takes; a window of
    ``window`` seconds is wanted every ``step``. Raises ``ValueError``."""

    latency: float = 1.0
    window: float = 5.0
    step: float = 0.5
    clusters: ClusterSettings = field(default_factory=ClusterSettings)

    def __post_init__(self) -> None:
        if not LEAST_LATENCY <= self.latency <= MOST_LATENCY:
            raise ValueError(
                f"voices are told apart {LEAST_LATENCY:g} to {MOST_LATENCY:g} s late, not {self.latency:g}"
            )
        if not 0 < self.step <= min(self.latency, self.window):
            raise ValueError(f"a step of {self.step:g} s is longer than the latency, or the window")


@dataclass(slots=True)
class _Speech:
    """A time in which somebody speaks; ``end`` is infinite while it goes on."""

    start: float
    end: float = math.inf


@dataclass(frozen=True, slots=True, eq=False)
class _Matched:
    """A window that was heard: its first frame, the seconds from one to the next, its activity (frames, local voices),
    and which voices those are."""

    first: int
    step: float
    activity: NDArray[np.float32]
    voices: tuple[int | None, ...]

    @property
    def end(self) -> int:
        return self.first + len(self.activity)

    def nobodys(self, part: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(frames, 1) of ``part`` of its activity: where somebody speaks alone, and this window cannot say who.

        What other windows say then counts alone.
        """
        unknown = [voice is None for voice in self.voices]
        alone = (part >= _SPEAKING).sum(axis=1, keepdims=True) == 1
        nobodys: NDArray[np.bool_] = alone & np.array(unknown)[part.argmax(axis=1)][:, None]
        return nobodys


class OnlineVoices:
    """One for each shared track. ``known`` are centroids by voice number, of a session that this one goes on from."""

    def __init__(
        self, settings: VoiceSettings | None = None, known: Mapping[int, NDArray[np.float32]] | None = None
    ) -> None:
        self._settings = settings or VoiceSettings()
        self._clusters = VoiceClusters(self._settings.clusters, known or {})
        self._speech: list[_Speech] = []
        self._audio = 0.0
        self._heard = 0.0
        self._decided = 0.0
        self._asked: tuple[float, float] | None = None
        self._windows: list[_Matched] = []
        self._turns: list[VoiceSpan] = []

    @property
    def frontier(self) -> float:
        """Who spoke before it is decided; infinite while all that was spoken is."""
        return self._decided if self._speech else math.inf

    @property
    def needed_from(self) -> float:
        """Sound before this is needed by no window."""
        if self._asked:
            return self._asked[0]
        newest = max(self._heard, self._speech[0].start) if self._speech else self._audio - _PRE_ROLL
        return max(0.0, newest - self._settings.window)

    def audio_until(self, at: float) -> None:
        """Sound is there until ``at``."""
        self._audio = max(self._audio, at)

    def speech_started(self, at: float) -> None:
        if self._speech and self._speech[-1].end == math.inf:
            return
        if not self._speech:
            self._decided = max(self._decided, at)
        self._speech.append(_Speech(at))

    def speech_ended(self, at: float) -> None:
        if self._speech:
            self._speech[-1].end = min(self._speech[-1].end, at)
            self._drop_heard()

    def window_to_hear(self) -> tuple[float, float] | None:
        """Start and end of the window that is wanted now; one at a time, until it was ``heard`` or has ``failed``.

        Where hearing is slower than speech, windows come further apart, up to their length.
        """
        if self._asked or not self._speech:
            return None
        speech = self._speech[0]
        begin = max(self._heard, speech.start)
        until = self._audio if speech.end == math.inf else speech.end
        if until - begin < self._settings.step and speech.end == math.inf:
            return None
        end = min(until, begin + self._settings.window)
        self._asked = (max(0.0, end - self._settings.window), end)
        return self._asked

    def heard(self, activity: VoiceActivity) -> None:
        """The window that was asked for."""
        first, step = round(activity.start / activity.step), activity.step
        self._windows.append(_Matched(first, step, activity.activity, self._match(activity)))
        self._advance()

    def failed(self) -> None:
        """Nobody knows who spoke in the window that was asked for, where no other window says so."""
        self._advance()

    def turns(self) -> list[VoiceSpan]:
        """Who spoke, one voice at a time, in order: what was decided since the last call."""
        turns, self._turns = self._turns, []
        return turns

    def centroids(self) -> dict[int, Embedding]:
        """What each voice sounds like so far, of unit length, by its number."""
        return self._clusters.centroids()

    def _match(self, activity: VoiceActivity) -> tuple[int | None, ...]:
        speaking = activity.activity >= _SPEAKING
        alone = (speaking & (speaking.sum(axis=1, keepdims=True) == 1)).sum(axis=0) * activity.step
        places = [int(place) for place in np.flatnonzero(speaking.any(axis=0))]
        first = round(activity.start / activity.step)
        local = [
            LocalVoice(
                unit_of(activity.embeddings[place]), float(alone[place]), self._before(first, speaking[:, place])
            )
            for place in places
        ]
        found = dict(zip(places, self._clusters.match(local), strict=True))
        return tuple(found.get(place) for place in range(speaking.shape[1]))

    def _before(self, first: int, speaking: NDArray[np.bool_]) -> dict[int, float]:
        """Which part of what a local voice says each voice said in the window before, where both windows heard it."""
        if not self._windows:
            return {}
        window = self._windows[-1]
        begin, end = max(first, window.first), min(first + len(speaking), window.end)
        ours = speaking[begin - first : end - first] if end > begin else speaking[:0]
        if not ours.any():
            return {}
        theirs = window.activity[begin - window.first : end - window.first] >= _SPEAKING
        return {
            voice: float((theirs[:, place] & ours).sum() / ours.sum())
            for place, voice in enumerate(window.voices)
            if voice is not None
        }

    def _advance(self) -> None:
        if self._asked is None:
            raise ValueError("no window was asked for")
        self._heard, self._asked = self._asked[1], None
        self._decide_until(self._heard - self._settings.latency + self._settings.step)
        self._drop_heard()

    def _drop_heard(self) -> None:
        """Speech that was heard to its end is decided to its end, and of the past: after the window on its way."""
        while not self._asked and self._speech and self._speech[0].end <= self._heard:
            self._decide_until(self._speech.pop(0).end)

    def _decide_until(self, until: float) -> None:
        begin, self._decided = self._decided, max(self._decided, until)
        if self._windows and begin < self._decided:
            step = self._windows[-1].step
            self._decide(round(begin / step), round(self._decided / step), step)

    def _decide(self, begin: int, end: int, step: float) -> None:
        """Each frame from ``begin`` to ``end`` goes to the voice that is most active in the mean of its windows."""
        *before, newest = self._windows
        self._windows = [*(window for window in before if window.end > begin), newest]
        voices = sorted({voice for window in self._windows for voice in window.voices if voice is not None})
        total = np.zeros((end - begin, len(voices)), np.float32)
        count = np.zeros((end - begin, 1), np.float32)
        for window in self._windows:
            first, last = max(begin, window.first), min(end, window.end)
            part = window.activity[first - window.first : max(last, first) - window.first]
            count[first - begin : first - begin + len(part)] += 1 - window.nobodys(part)
            for place, voice in enumerate(window.voices):
                if voice is not None:
                    total[first - begin : first - begin + len(part), voices.index(voice)] += part[:, place]
        mean: NDArray[np.float32] = (total / np.maximum(count, 1)).astype(np.float32)
        self._turns += _spans(mean, voices, begin, step)


def _spans(activity: NDArray[np.float32], voices: Sequence[int], begin: int, step: float) -> list[VoiceSpan]:
    if not voices:
        return []
    best = np.where(activity.max(axis=1) >= _SPEAKING, activity.argmax(axis=1), -1)
    edges = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), len(best)]
    return [
        VoiceSpan(voices[best[first]], (begin + first) * step, (begin + last) * step)
        for first, last in pairwise(edges)
        if last > first and best[first] >= 0
    ]
