"""What the pipeline needs from outside, each as a protocol of one to three methods."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from pipeline.domain import AudioFrame, Caption, Gap, Hypothesis, RecordText, Samples, TrackEvent, TrackId, Window, WindowKind

CutWindow = Callable[[], tuple[Window, Samples] | None]
"""Gives the window as it stands now with its samples, or None when it is no longer wanted."""


class Recognizer(Protocol):
    """Turns windows into words; windows of all tracks and meetings share its batches."""

    async def recognize(self, kind: WindowKind, cut: CutWindow) -> Hypothesis | None:
        """The hypothesis for the window that ``cut`` gives just before its batch starts.

        None when ``cut`` gave None. Raises ``RecognitionFailed``.
        """


class SpeechDetector(Protocol):
    """How likely one track holds speech, ``frame_samples`` at a time; keeps state between calls."""

    frame_samples: int

    def probability(self, samples: Samples) -> float:
        """The speech probability in [0, 1] of the next ``samples`` of shape (frame_samples,)."""


class AudioSource(Protocol):
    """A tap on an SFU or a recording: tracks that open, send frames and close."""

    def events(self) -> AsyncIterator[TrackEvent]: ...


class AudioBus(Protocol):
    """Carries track events of one meeting from a tap to its session; bounded, oldest speech kept."""

    async def send(self, event: TrackEvent) -> None: ...

    def receive(self) -> AsyncIterator[TrackEvent]: ...


class CaptionSink(Protocol):
    """Shows captions to readers."""

    async def send(self, caption: Caption) -> None: ...


class TranscriptStore(Protocol):
    """Keeps finals, record texts and gaps of one meeting."""

    async def keep_final(self, caption: Caption) -> None: ...

    async def keep_record(self, record: RecordText) -> None: ...

    async def keep_gap(self, gap: Gap) -> None: ...


__all__ = [
    "AudioBus",
    "AudioFrame",
    "AudioSource",
    "CaptionSink",
    "CutWindow",
    "Recognizer",
    "SpeechDetector",
    "TrackId",
    "TranscriptStore",
]
