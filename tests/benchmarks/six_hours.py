"""Six hours at one microphone through ``greffier diarize``: conversations of the corpus, over and over.

What it holds in memory is a target; how wrong it is stands beside it. It takes most of an hour on two cores.
"""

import wave
from collections.abc import Iterator
from pathlib import Path

from api.scored import Part, Scored, read_scored
from api.scoring import diarization_errors
from tests.benchmarks.corpus import SAMPLE_RATE, cache_folder, load_composites
from tests.benchmarks.diarizers import COMPOSITES
from tests.benchmarks.measures import Figures
from tests.benchmarks.mixing import mix, read_wav
from tests.benchmarks.replay import CommandFailed, greffier, run

HOURS = 6.0
_COLLAR = 0.25
"""Seconds: their turns are a voice detector's."""
_PATIENCE = 3 * 3600.0


def measure(hours: float = HOURS) -> tuple[str, Figures]:
    folder = cache_folder() / "runs" / "six-hours"
    folder.mkdir(parents=True, exist_ok=True)
    sound, rttm = folder / "six-hours.wav", folder / "six-hours.rttm"
    said = _write(sound, hours * 3600)
    try:
        usage = run([*greffier(), "diarize", str(sound), "--rttm", str(rttm)], timeout=_PATIENCE)
    finally:
        sound.unlink()
    if usage.returncode:
        raise CommandFailed(f"greffier diarize ended with {usage.returncode}: {usage.errors[-400:]}")
    heard = read_scored(rttm)
    whole = {sound.stem: [(0.0, hours * 3600)]}
    errors = diarization_errors(Scored(Path(), tuple(said), None), heard, _COLLAR, whole)[-1]
    return f"greffier diarize {sound.name} --rttm {rttm.name}", {
        "audio_s": hours * 3600,
        "people": len({part.speaker for part in said}),
        "voices": len({part.speaker for part in heard.parts}),
        "der": errors.der,
        "wall_s": usage.wall,
        "rtf": usage.cpu / (hours * 3600),
        "peak_memory_mb": usage.peak_memory / 1e6,
    }


def _write(path: Path, seconds: float) -> list[Part]:
    """``seconds`` of sound, piece by piece, and who speaks when in it."""
    said: list[Part] = []
    left = round(seconds * SAMPLE_RATE)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        for name, start in _rounds(seconds):
            sound = read_wav(mix(load_composites()[name]).path)[:left]
            file.writeframes(sound.astype("<i2").tobytes())
            left -= len(sound)
            said += [
                Part(path.stem, turn.speaker, start + begin, min(start + end, seconds))
                for turn in load_composites()[name].turns
                for begin, end in turn.speech
                if start + begin < seconds
            ]
    return said


def _rounds(seconds: float) -> Iterator[tuple[str, float]]:
    """Each conversation in turn, and where it begins."""
    lengths = {name: len(read_wav(mix(load_composites()[name]).path)) / SAMPLE_RATE for name in COMPOSITES}
    at = 0.0
    while True:
        for name, length in lengths.items():
            if at >= seconds:
                return
            yield name, at
            at += length
