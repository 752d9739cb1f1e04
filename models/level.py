"""A speech detector without a model: what is loud is speech. For tests and load, where sound is made up."""

import numpy as np

from pipeline.domain import Samples


class LevelDetector:
    """A ``SpeechDetector`` that is sure of frames above ``threshold`` dBFS (RMS) and sure against all others."""

    frame_samples = 512

    def __init__(self, threshold: float = -45.0) -> None:
        self._loud = 32768.0**2 * 10.0 ** (threshold / 10.0)

    def probability(self, samples: Samples) -> float:
        wide = samples.astype(np.float32)
        return 1.0 if float(np.dot(wide, wide)) / len(wide) > self._loud else 0.0
