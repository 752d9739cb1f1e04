"""One track on which several people may speak: its newest sound, who is heard in it, and what they said."""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    Caption,
    Samples,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackClosed,
    TrackEvent,
    VoiceRun,
)
from pipeline.live.voice_labels import VoiceLabels
from pipeline.live.voices import OnlineVoices

Centroids = Mapping[int, NDArray[np.float32]]

CHECKED = 10.0
"""Seconds of speech that the light check hears, and after which it is made first."""
_CHECKS = (CHECKED, 20.0, 40.0, 80.0)
"""Seconds of speech from one check to the next, the last one for ever: whoever speaks alone pays less and less."""
_LISTENED = 60.0
"""Seconds of speech in which a second voice must be heard where a check found one, or the track is one person's."""
_SECOND = 2.0
"""Seconds that a second voice has spoken before words get labels where nobody marked the room."""
KEPT = 30.0
"""Seconds of sound that are kept of a room until they are heard."""
_LEARNT = 5.0
"""Seconds between centroids that are given out, while no voice is new."""


@dataclass(slots=True)
class RecentSound:
    """The newest frames of a track; drop rule: the oldest go once there are more than ``most`` seconds."""

    most: float
    _frames: deque[AudioFrame] = field(default_factory=deque)
    _seconds: float = 0.0

    def append(self, frame: AudioFrame) -> None:
        self._frames.append(frame)
        self._seconds += len(frame.samples) / SAMPLE_RATE
        while self._seconds > self.most:
            self._drop()

    def forget(self, before: float) -> None:
        while self._frames and self._frames[0].end <= before:
            self._drop()

    def read(self, start: float, end: float) -> Samples:
        """Of shape (n,), from ``start`` to ``end``; silence where nothing is kept."""
        found = np.zeros(max(0, round((end - start) * SAMPLE_RATE)), np.int16)
        for frame in reversed(self._frames):
            if frame.end <= start:
                break
            at = round((frame.start - start) * SAMPLE_RATE)
            piece = frame.samples[max(0, -at) : max(0, len(found) - at)]
            at = max(0, at)
            found[at : at + len(piece)] = piece
        return found

    def newest(self, seconds: float) -> Samples:
        """Of shape (n,), the newest ``seconds`` of what is kept, without what lay between."""
        joined = np.concatenate([np.zeros(0, np.int16), *(frame.samples for frame in self._frames)])
        return joined[-round(seconds * SAMPLE_RATE) :]

    def stretch(self) -> tuple[float, float] | None:
        """Start and end of the newest sound without a hole."""
        start = end = None
        for frame in reversed(self._frames):
            if start is not None and start - frame.end > 0.5 / SAMPLE_RATE:
                break
            start, end = frame.start, end or frame.end
        return None if start is None or end is None else (start, end)

    def _drop(self) -> None:
        self._seconds -= len(self._frames.popleft().samples) / SAMPLE_RATE


@dataclass(slots=True, eq=False)
class SharedRoom:
    """Listened to while it has ``voices``. ``marked``: somebody said that it is shared; no second voice is waited for.

    ``hearing`` is set while a window or a check of it is with the model: there is never more than one.
    """

    track: Track
    checks: bool
    kept: float = KEPT
    marked: bool = False
    hearing: bool = False
    closed: bool = False
    voices: OnlineVoices | None = None
    sound: RecentSound = field(default_factory=lambda: RecentSound(CHECKED))
    labels: VoiceLabels = field(default_factory=VoiceLabels)
    _speaking: bool = False
    _in_midst: bool = False  # somebody spoke already when it was listened to, and nothing of that is kept
    _spoken: float = 0.0  # seconds of speech since the last check
    _checked: int = 0  # how many checks found nobody else
    _talk: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))  # seconds of each voice
    _certain: bool = False
    _learnt_at: float = float("-inf")
    _learnt: int = 0

    def take(self, event: TrackEvent) -> None:
        match event:
            case AudioFrame():
                self._hear(event)
            case SpeechStarted(at=at):
                self._speaking = True
                if self.voices is not None:
                    self.voices.speech_started(at)
            case SpeechEnded(at=at) | TrackClosed(at=at):
                self.closed, self._speaking, self._in_midst = isinstance(event, TrackClosed), False, False
                if self.voices is not None:
                    self.voices.speech_ended(at)

    def see(self, caption: Caption) -> None:
        """The newest state of an utterance of its track."""
        if self.voices is not None or self.checks:
            self.labels.words(caption.utterance, caption.words, final=caption.final)

    def listen(self, known: Centroids) -> None:
        """From the sound that is kept on; ``known`` are voices of its participant."""
        self.voices, self.sound.most = OnlineVoices(known=known), self.kept
        self._talk.clear()
        self._certain = self.marked or len(known) > 1
        stretch = self.sound.stretch()
        self._in_midst = self._speaking and stretch is None
        if self._speaking and stretch is not None:
            self.voices.speech_started(stretch[0])
            self.voices.audio_until(stretch[1])

    def rest(self) -> None:
        """Not listened to any more: words keep the name of the participant alone."""
        self.voices, self.sound.most = None, CHECKED
        self.labels.turns((), float("inf"))
        if not self._certain:
            self.labels.labelled()

    def check_due(self) -> bool:
        if self.voices is not None or not self.checks or self.closed:
            return False
        return self._spoken >= _CHECKS[min(self._checked, len(_CHECKS) - 1)]

    def checked(self) -> None:
        """A check was made, or could not be."""
        self._checked += 1
        self._spoken = 0.0

    def told(self) -> list[tuple[VoiceRun, ...]]:
        """All runs so far of each utterance with words that have got a label since the last call."""
        if self.voices is not None:
            turns = self.voices.turns()
            for turn in turns:
                self._talk[turn.voice] += turn.end - turn.start
            self.labels.turns(turns, self.voices.frontier)
            self._look_for_another()
        return self.labels.labelled() if self._certain else []

    def learnt(self) -> Centroids | None:
        """What the voices sound like, where that is worth keeping again."""
        if self.voices is None or not self._certain:
            return None
        centroids, at = self.voices.centroids(), self.voices.needed_from
        if len(centroids) == self._learnt and at - self._learnt_at < _LEARNT:
            return None
        self._learnt, self._learnt_at = len(centroids), at
        return centroids

    def _hear(self, frame: AudioFrame) -> None:
        if self.voices is not None:
            if self._in_midst:
                self._in_midst = False
                self.voices.speech_started(frame.start)
            self.sound.append(frame)
            self.sound.forget(self.voices.needed_from)
            self.voices.audio_until(frame.end)
        elif self.checks:
            self.sound.append(frame)
            self._spoken += len(frame.samples) / SAMPLE_RATE

    def _look_for_another(self) -> None:
        if self.marked:
            self._certain = True
        if self._certain:
            return
        spoken = sorted(self._talk.values(), reverse=True)
        if len(spoken) > 1 and spoken[1] >= _SECOND:
            self._certain = True
        elif sum(spoken) > _LISTENED:
            self.checked()
            self.rest()


Told = Callable[[Track, tuple[VoiceRun, ...]], None]
"""Takes all runs so far of one utterance of a track."""
