"""What tells voices apart, as the settings choose it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from api.settings import DiarizeRecordings, Settings
from api.variables import DIARIZATION
from models.downloads import Progress, silent
from models.voice_onnx import FRAMES, are_made, voice_folder
from models.weights import locate
from pipeline.errors import ModelUnavailable
from pipeline.mixed import VoiceSearch

if TYPE_CHECKING:
    from models.pyannote import PyannoteDiarizer

PACKAGED = ("pyannote-segmentation-3.0", "campplus")


def open_diarizer(settings: Settings, progress: Progress, threads: int | None = None) -> PyannoteDiarizer:
    """Raises ``ModelUnavailable``. ``threads`` of torch, for the calling thread; None takes every core."""
    try:
        from models.pyannote import PyannoteDiarizer, use_threads  # torch: a second, and half a gigabyte
    except ImportError as error:
        raise ModelUnavailable("telling voices apart takes the extra greffier[diarization]: install it") from error
    if threads is not None:
        use_threads(threads)
    device = "cuda" if settings.device.value == "cuda" else "cpu"
    if settings.diarization == DIARIZATION.default:
        segmentation, embedding = (locate(name, settings.cache, progress=progress) for name in PACKAGED)
        made = voice_folder(settings.cache)
        frames = made / FRAMES if device == "cpu" and are_made(made) else None
        return PyannoteDiarizer.of_parts(segmentation, embedding, device, frames, threads or 0)
    folder = locate(settings.diarization, settings.cache, progress=progress, check=_anything)
    return PyannoteDiarizer.of_folder(folder, device)


def voice_search(settings: Settings, threads: int | None = None) -> VoiceSearch | None:
    """What tells voices apart in whole recordings, where it is installed; torch is loaded at the first of them.

    ``threads``: of torch, where captions are made in the same process.
    """
    if importlib.util.find_spec("torch") is None:
        return None
    return VoiceSearch(lambda: open_diarizer(settings, silent, threads))


def of_recordings(settings: Settings, voices: VoiceSearch | None) -> VoiceSearch | None:
    """``voices`` for uploaded recordings: None where theirs are not to be told apart."""
    return None if settings.diarize_recordings is DiarizeRecordings.NEVER else voices


def _anything(_: Path) -> None:
    """pyannote.audio itself says what a folder lacks."""
