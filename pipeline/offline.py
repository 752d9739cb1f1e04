"""A whole recording to words: speech joined into long windows, recognised in batches, gaps in the answer asked again.

::

    sound ─► speech_of ─► windows_of ─► recognize ─► said
    pieces   the edge     at most 28 s   the engine    sentences, in order

Pure but for the engine and the detector that it is given: no clock, no task.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    Hypothesis,
    Samples,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackEvent,
    TrackId,
    TrackOpened,
    UtteranceId,
    Window,
    WindowKind,
    Word,
)
from pipeline.edge import EdgeSettings, MeetingEdge
from pipeline.live.endpointing import EndpointSettings
from pipeline.ports import AudioMemory, SpeechDetector

Hear = Callable[[Sequence[tuple[Window, Samples]]], Sequence[Hypothesis]]

_LONGEST = 28.0
_JOIN = 3.0
_LEAD = 0.2
_UNHEARD = 2.5
"""Speech without words at the end of a window, in seconds, that is asked for once more."""
_SHORTEST_HALF = 6.0
_SENTENCE_GAP = 1.5
_SHORT_PAUSE = 0.16


@dataclass(frozen=True, slots=True)
class Piece:
    """The words of one window, as recognised, and the meeting time until which the recording is done."""

    words: tuple[Word, ...]
    language: str


@dataclass(frozen=True, slots=True)
class RecordingRequest:
    """A ``RecognitionRequest`` of the lowest rank: all that is said live goes before it."""

    window: Window
    samples: Samples
    kind: WindowKind = WindowKind.RECORDING

    def cut(self) -> tuple[Window, Samples]:
        return self.window, self.samples


def speech_of(
    sound: Iterable[Samples], track: Track, new_detector: Callable[[], SpeechDetector]
) -> Iterator[TrackEvent]:
    """What the speech detector lets through; short pauses end speech, so that windows can end there."""
    edge = MeetingEdge(new_detector, EdgeSettings(gated=False, endpoint=EndpointSettings(min_silence=_SHORT_PAUSE)))
    yield from edge.feed(TrackOpened(track, 0.0))
    at = 0
    for piece in sound:
        for begin in range(0, len(piece), SAMPLE_RATE):
            samples = piece[begin : begin + SAMPLE_RATE]
            frame = AudioFrame(track.id, at / SAMPLE_RATE, samples)
            at += len(samples)
            for event in edge.feed(frame):
                if isinstance(event, AudioFrame | SpeechStarted | SpeechEnded):
                    yield event
    yield from edge.close()


def windows_of(
    events: Iterable[TrackEvent],
    memory: AudioMemory,
    track: TrackId,
    languages: tuple[str, ...],
    glossary: tuple[str, ...] = (),
) -> Iterator[tuple[Window, Samples]]:
    """Speech of one track joined into windows of at most 28 s, with their audio, as the events come."""
    start: float | None = None
    spoken: list[tuple[float, float]] = []
    fixed = languages[0] if len(languages) == 1 else None

    def cut() -> tuple[Window, Samples]:
        begin, end = max(spoken[0][0] - _LEAD, 0.0), spoken[-1][1] + _LEAD
        window = Window(
            track,
            UtteranceId(f"{track}@{begin:.2f}"),
            WindowKind.RECORD,
            begin,
            end,
            languages,
            fixed,
            fixed is None,
            glossary=glossary,
        )
        samples = memory.read(track, begin, end)
        memory.forget(track, spoken[-1][1] - _LEAD)
        spoken.clear()
        return window, samples

    for event in events:
        match event:
            case AudioFrame(end=end):
                memory.append(event)
                if start is not None and end - (spoken[0][0] if spoken else start) > _LONGEST - _LEAD:
                    if not spoken:
                        spoken.append((start, end))
                        start = end
                    yield cut()
            case SpeechStarted(at=at):
                if spoken and at - spoken[-1][1] > _JOIN:
                    yield cut()
                start = at
            case SpeechEnded(at=at) if start is not None:
                spoken.append((start, max(at, start)))
                start = None
    if spoken:
        yield cut()


def recognize(windows: Sequence[tuple[Window, Samples]], hear: Hear) -> list[Piece]:
    """The words of ``windows``, in their order; what the recogniser broke off or looped on is heard again in parts."""
    pieces: list[Piece] = []
    for (window, samples), heard in zip(windows, hear(windows), strict=True):
        pieces.append(Piece(heard.words, heard.language))
        stopped_early = bool(heard.words)  # a window ends with speech, and Whisper may leave off after a timestamp
        rest = _rest(window, samples, heard) if heard.cut or stopped_early else []
        if rest:
            pieces.extend(recognize(rest, hear))
    return pieces


def _rest(window: Window, samples: Samples, heard: Hypothesis) -> list[tuple[Window, Samples]]:
    """The part of a window that its hypothesis does not cover, halved when it covers next to nothing."""
    known = heard.words[-1].end if heard.words else window.start
    if window.end - known < _UNHEARD or len(samples) == 0:
        return []
    rate = len(samples) / (window.end - window.start)
    remaining = samples[round((known - window.start) * rate) :]
    if known > window.start + 1.0:
        return [(replace(window, start=known), remaining)]
    if window.end - window.start < 2 * _SHORTEST_HALF:
        return []
    middle = known + (window.end - known) / 2
    half = round((middle - known) * rate)
    first, second = replace(window, start=known, end=middle), replace(window, start=middle)
    return [(first, remaining[:half]), (second, remaining[half:])]


def sentences(piece: Piece) -> Iterator[tuple[Word, ...]]:
    """The words of a piece, sentence by sentence; a long pause ends one too."""
    held: list[Word] = []
    for word in piece.words:
        if held and word.start - held[-1].end > _SENTENCE_GAP:
            yield tuple(held)
            held = []
        held.append(word)
        if word.text.rstrip().endswith((".", "?", "!", "…")):
            yield tuple(held)
            held = []
    if held:
        yield tuple(held)


def said(pieces: Iterable[Piece]) -> list[Piece]:
    """The sentences of all ``pieces`` by their start, each as a piece of its own."""
    spoken = [Piece(words, piece.language) for piece in pieces for words in sentences(piece)]
    return sorted(spoken, key=lambda sentence: sentence.words[0].start)
