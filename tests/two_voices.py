"""The conversation that comes with pyannote.audio, half a minute of two people, and who speaks when in it."""

import importlib.util
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from media_gateway.recording import read_recording
from pipeline.domain import Samples, VoiceSpan

_FOUND = importlib.util.find_spec("pyannote.audio")
_FOLDER = Path((_FOUND.submodule_search_locations or [""])[0] if _FOUND else "") / "sample"
TWO_VOICES = _FOLDER / "sample.wav"


@cache
def two_voices() -> Samples:
    return read_recording(TWO_VOICES)


@cache
def reference() -> tuple[VoiceSpan, ...]:
    """Who speaks when in it, by hand; they overlap."""
    lines = [line.split() for line in (_FOLDER / "sample.rttm").read_text().splitlines()]
    names = sorted({fields[7] for fields in lines})
    return tuple(
        VoiceSpan(names.index(fields[7]) + 1, float(fields[3]), float(fields[3]) + float(fields[4])) for fields in lines
    )


def der(spans: Iterable[VoiceSpan]) -> float:
    """Diarization error rate by pyannote.metrics, collar 0, overlap scored."""
    from pyannote.core import Annotation, Segment
    from pyannote.database.util import load_rttm
    from pyannote.metrics.diarization import DiarizationErrorRate

    (reference,) = load_rttm(_FOLDER / "sample.rttm").values()
    heard = Annotation()
    for span in spans:
        heard[Segment(span.start, span.end), span.voice] = str(span.voice)
    with warnings.catch_warnings(action="ignore"):  # it takes the whole of both for what is scored, and says so
        rate: float = DiarizationErrorRate(collar=0.0, skip_overlap=False)(reference, heard)
    return rate
