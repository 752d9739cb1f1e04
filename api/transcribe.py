"""``greffier transcribe``: recordings to files."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from api.caption import read_glossary
from api.output import fetch_progress, progress, written
from api.settings import Settings, parse_languages
from api.wiring import calibrated_engine, speech_detectors
from media_gateway.files import Recording, track_of
from models.faster_whisper import WhisperEngine
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    MeetingId,
    Samples,
    Segment,
    SegmentId,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackEvent,
    TrackOpened,
    Transcript,
    Window,
)
from pipeline.edge import EdgeSettings, MeetingEdge
from pipeline.errors import InvalidInput
from pipeline.export.formats import FORMATS
from pipeline.live.endpointing import EndpointSettings
from pipeline.offline import Piece, recognize, sentences, windows_of
from pipeline.ports import SpeechDetector
from pipeline.store.spool import AudioSpool, SpoolSettings

_ROUND = 16
"""Windows per caller that are read before they are recognised: sorted by length, they waste no padding."""
_SHORT_PAUSE = 0.16


def transcribe(arguments: argparse.Namespace, settings: Settings) -> int:
    """Writes one file per recording and format; the exit code is 0."""
    formats = _formats(arguments.format)
    languages = parse_languages(arguments.language) if arguments.language else settings.languages
    glossary = read_glossary(arguments.glossary) if arguments.glossary else ()
    for path in arguments.files:
        Recording.open(path)
    engine, batch = calibrated_engine(settings, fetch_progress, record_beam=arguments.beam)
    detectors = speech_detectors()
    for path in arguments.files:
        transcript = transcript_of(path, engine, batch, detectors, languages, glossary)
        folder = arguments.out or path.parent
        folder.mkdir(parents=True, exist_ok=True)
        for name in formats:
            out = folder / f"{path.stem}.{name}"
            with written(out) as file:
                file.write(FORMATS[name](transcript))
            print(out)
    return 0


def transcript_of(
    path: Path,
    engine: WhisperEngine,
    batch: int,
    detectors: Callable[[], SpeechDetector],
    languages: tuple[str, ...],
    glossary: tuple[str, ...] = (),
) -> Transcript:
    """The transcript of one recording. Raises ``UnreadableMedia``."""
    recording = Recording.open(path)
    track = track_of(path)
    memory = AudioSpool(SpoolSettings(memory=120.0))
    heard: list[Piece] = []
    progress(path.name, 0.0)
    try:
        events = _events(recording, track, detectors)
        windows = windows_of(events, memory, track.id, languages, glossary)
        callers = engine.settings.callers
        with ThreadPoolExecutor(callers) as pool:
            while taken := list(islice(windows, _ROUND * callers)):
                parts = pool.map(lambda part: recognize(part, engine.hear), _batches(taken, batch, callers))
                heard.extend(piece for part in parts for piece in part)
                if recording.duration:
                    progress(path.name, min(taken[-1][0].end / recording.duration, 0.99))
    finally:
        memory.close()
    progress(path.name, 1.0)
    return _transcript(track, path.name, heard)


def _events(recording: Recording, track: Track, detectors: Callable[[], SpeechDetector]) -> Iterator[TrackEvent]:
    """What the speech detector lets through; short pauses end speech, so that windows can end there."""
    edge = MeetingEdge(detectors, EdgeSettings(gated=False, endpoint=EndpointSettings(min_silence=_SHORT_PAUSE)))
    yield from edge.feed(TrackOpened(track, 0.0))
    at = 0
    for piece in recording.pieces(10.0):
        for begin in range(0, len(piece), SAMPLE_RATE):
            samples = piece[begin : begin + SAMPLE_RATE]
            frame = AudioFrame(track.id, at / SAMPLE_RATE, samples)
            at += len(samples)
            for event in edge.feed(frame):
                if isinstance(event, AudioFrame | SpeechStarted | SpeechEnded):
                    yield event
    yield from edge.close()


def _batches(
    windows: list[tuple[Window, Samples]], batch: int, callers: int
) -> Iterator[Sequence[tuple[Window, Samples]]]:
    """Windows of about one length together, longest first, so that callers end together."""
    ordered = sorted(windows, key=lambda item: item[0].end - item[0].start, reverse=True)
    size = max(1, min(batch, -(-len(ordered) // callers)))
    for begin in range(0, len(ordered), size):
        yield ordered[begin : begin + size]


def _transcript(track: Track, title: str, pieces: Sequence[Piece]) -> Transcript:
    spoken = sorted(
        ((words, piece.language) for piece in pieces for words in sentences(piece)), key=lambda item: item[0][0].start
    )
    segments = tuple(
        Segment(
            SegmentId(f"{track.id}#{number}"),
            track.id,
            track.participant,
            words[0].start,
            words[-1].end,
            language,
            record=words,
        )
        for number, (words, language) in enumerate(spoken, 1)
    )
    return Transcript(MeetingId(title), segments, title=title, participants=(track.participant,))


def _formats(given: str) -> list[str]:
    names = [name.strip() for name in given.split(",") if name.strip()]
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise InvalidInput(f"--format {given!r}: {', '.join(unknown) or 'nothing'} is not among {', '.join(FORMATS)}")
    return names
