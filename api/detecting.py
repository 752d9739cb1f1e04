"""What hears whether somebody speaks: all of recognition that a process needs which captions nothing itself."""

from collections.abc import Callable

from models.silero import SileroModel, bundled_model
from pipeline.ports import SpeechDetector


def speech_detectors() -> Callable[[], SpeechDetector]:
    """Makes the speech detector of one more track."""
    return SileroModel(bundled_model()).detector
