"""Sound of the pipeline, 16 kHz, as the frames that moshi-server steps by: 24 kHz, 80 ms each.

By FFmpeg's resampler, which holds back one millisecond; soxr's holds back 37. Sound is sent so much later than it was,
lest its frames be full only with what comes after them.
"""

from collections.abc import Sequence

import av
import numpy as np

from models.kyutai.messages import FRAME, RATE, Pcm
from pipeline.domain import SAMPLE_RATE, Samples

LATER = 26
"""Samples: the resampler never holds back more."""
SILENT_FRAME: Pcm = np.zeros(FRAME, np.float32)
"""80 ms; not to be written to."""


class Frames:
    def __init__(self) -> None:
        self._resampler = _new_resampler()
        self._held: Pcm = SILENT_FRAME[:LATER]

    def push(self, samples: Samples) -> list[Pcm]:
        """The frames that are full now."""
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        return self._take(self._resampler.resample(frame))

    def finish(self) -> list[Pcm]:
        """The end of the sound, filled up with silence to a whole frame; sound pushed after it begins anew."""
        frames = self._take(self._resampler.resample(None))
        self._resampler = _new_resampler()
        if len(self._held):
            frames.append(np.concatenate([self._held, SILENT_FRAME[len(self._held) :]]))
        self._held = SILENT_FRAME[:LATER]
        return frames

    def _take(self, fresh: Sequence[av.AudioFrame]) -> list[Pcm]:
        sound = np.concatenate([self._held, *(frame.to_ndarray()[0] for frame in fresh)])
        whole = len(sound) - len(sound) % FRAME
        self._held = sound[whole:]
        return [sound[begin : begin + FRAME] for begin in range(0, whole, FRAME)]


def _new_resampler() -> av.AudioResampler:
    return av.AudioResampler(format="flt", layout="mono", rate=RATE)
