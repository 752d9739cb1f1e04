"""``greffier transcribe``: recordings to files."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

from api.caption import read_glossary
from api.detecting import speech_detectors
from api.diarizing import open_diarizer
from api.output import fetch_progress, progress, writing, written
from api.replay import unrepeated
from api.settings import Settings
from api.wiring import calibrated_engine, check_languages
from media_gateway.files import Recording, track_of
from media_gateway.recording import read_recording
from models.faster_whisper import WhisperEngine
from pipeline.domain import (
    MeetingId,
    Samples,
    Segment,
    SegmentId,
    Track,
    Transcript,
    VoiceSpan,
    Window,
)
from pipeline.errors import InvalidInput, UnreadableMedia
from pipeline.export.formats import FORMATS
from pipeline.offline import Piece, recognize, said, speech_of, windows_of
from pipeline.ports import SpeechDetector
from pipeline.record.attribution import by_voice, with_voice
from pipeline.store.spool import AudioSpool, SpoolSettings

_ROUND = 16
"""Windows per caller that are read before they are recognised: sorted by length, they waste no padding."""


def transcribe(arguments: argparse.Namespace, settings: Settings) -> int:
    """Writes one file per recording and format; the exit code is 0, 1 when a recording could not be decoded."""
    formats = _formats(arguments.format)
    languages: tuple[str, ...] = arguments.language or settings.languages
    glossary = read_glossary(arguments.glossary) if arguments.glossary else ()
    for path in arguments.files:
        Recording.open(path)
    places = _places(arguments.files, arguments.out)
    engine, batch = calibrated_engine(settings, fetch_progress, record_beam=arguments.beam)
    check_languages(engine, languages)
    detectors = speech_detectors()
    diarizer = open_diarizer(settings, fetch_progress) if arguments.diarize else None
    code = 0
    for path, place in zip(arguments.files, places, strict=True):
        try:
            transcript = transcript_of(path, engine, batch, detectors, languages, glossary)
            if diarizer is not None:
                found = diarizer.diarize(read_recording(path), arguments.speakers)
                transcript = with_voices(transcript, found.exclusive)
        except UnreadableMedia as error:
            print(f"greffier: {error}", file=sys.stderr)
            code = 1
            continue
        for name in formats:
            with written(Path(f"{place}.{name}")) as file:
                file.write(FORMATS[name](transcript))
            print(f"{place}.{name}", flush=True)
    return code


def _places(recordings: Sequence[Path], out: Path | None) -> list[str]:
    """Where the files of each recording go, without their extension; no two recordings write the same file."""
    if out is not None:
        with writing(out):
            out.mkdir(parents=True, exist_ok=True)
    return unrepeated([str((out or path.parent) / path.stem) for path in recordings])


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
        events = speech_of(recording.pieces(10.0), track, detectors)
        windows = windows_of(events, memory, track.id, languages, glossary)
        callers = engine.settings.callers
        with ThreadPoolExecutor(callers) as pool:
            while taken := list(islice(windows, _ROUND * callers)):
                parts = pool.map(lambda part: recognize(part, engine.hear), batches(taken, batch, callers))
                heard.extend(piece for part in parts for piece in part)
                if recording.duration:
                    progress(path.name, min(taken[-1][0].end / recording.duration, 0.99))
    finally:
        memory.close()
    progress(path.name, 1.0)
    return _transcript(track, path.name, heard)


def with_voices(transcript: Transcript, exclusive: Sequence[VoiceSpan]) -> Transcript:
    """``transcript`` of one recording with a participant for each voice, where it holds several."""
    if len({span.voice for span in exclusive}) < 2:
        return transcript
    segments: list[Segment] = []
    for segment in transcript.segments:
        for voice, words in by_voice(segment.record, exclusive):
            identity = SegmentId(f"{segment.track}#{len(segments) + 1}")
            participant = with_voice(segment.participant, voice)
            start, end = words[0].start, words[-1].end
            piece = replace(segment, id=identity, participant=participant, start=start, end=end, record=words)
            segments.append(piece)
    people = dict.fromkeys(segment.participant for segment in segments)
    return replace(transcript, segments=tuple(segments), participants=tuple(people))


def batches(
    windows: list[tuple[Window, Samples]], batch: int, callers: int
) -> Iterator[Sequence[tuple[Window, Samples]]]:
    """Windows of about one length together, longest first, as many batches for each caller: they end together."""
    ordered = sorted(windows, key=lambda item: item[0].end - item[0].start, reverse=True)
    count = min(len(ordered), callers * -(-len(ordered) // (batch * callers)))
    size, more = divmod(len(ordered), count)
    begin = 0
    for number in range(count):
        end = begin + size + (number >= count - more)  # the short ones are more
        yield ordered[begin:end]
        begin = end


def _transcript(track: Track, title: str, pieces: Sequence[Piece]) -> Transcript:
    segments = tuple(
        Segment(
            SegmentId(f"{track.id}#{number}"),
            track.id,
            track.participant,
            sentence.words[0].start,
            sentence.words[-1].end,
            sentence.language,
            record=sentence.words,
        )
        for number, sentence in enumerate(said(pieces), 1)
    )
    return Transcript(MeetingId(title), segments, title=title, participants=(track.participant,))


def _formats(given: str) -> list[str]:
    names = [name.strip() for name in given.split(",") if name.strip()]
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise InvalidInput(f"--format {given!r}: {', '.join(unknown) or 'nothing'} is not among {', '.join(FORMATS)}")
    return names
