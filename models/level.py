"""A speech detector without a model: what is loud is speech. For tests and load, where sound is made up."""

import numpy as np

from pipeline.domain import Samples


class LevelDetector:
    """A ``SpeechDetector`` that is sure of frames above ``threshold`` dBFS (RMS) and sure against all others."""

    frame_samples = 512

    def __init__(self, threshold: float = -45.0) -> None:
        self._loud = 32768.0**2 * 10.0 ** (threshold / 10.0)

    def probabilities(self, samples: Samples) -> list[float]:
        wide = samples.reshape(-1, self.frame_samples).astype(np.float32)
        powers = np.einsum("ij,ij->i", wide, wide) / self.frame_samples
        return [float(power > self._loud) for power in powers]

    def glance(self, samples: Samples) -> float:
        return max(self.probabilities(samples[self.frame_samples :]))
