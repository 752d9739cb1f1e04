"""What tells voices apart, as the settings choose it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from api.settings import Settings
from api.variables import DIARIZATION
from models.downloads import Progress
from models.weights import locate
from pipeline.errors import ModelUnavailable

if TYPE_CHECKING:
    from models.pyannote import PyannoteDiarizer

PACKAGED = ("pyannote-segmentation-3.0", "campplus")


def open_diarizer(settings: Settings, progress: Progress) -> PyannoteDiarizer:
    """Raises ``ModelUnavailable``."""
    try:
        from models.pyannote import PyannoteDiarizer  # torch: a second, and half a gigabyte
    except ImportError as error:
        raise ModelUnavailable("telling voices apart takes the extra greffier[diarization]: install it") from error
    device = "cuda" if settings.device.value == "cuda" else "cpu"
    if settings.diarization == DIARIZATION.default:
        segmentation, embedding = (locate(name, settings.cache, progress=progress) for name in PACKAGED)
        return PyannoteDiarizer.of_parts(segmentation, embedding, device)
    folder = locate(settings.diarization, settings.cache, progress=progress, check=_anything)
    return PyannoteDiarizer.of_folder(folder, device)


def _anything(_: Path) -> None:
    """pyannote.audio itself says what a folder lacks."""
