"""Silero VAD on ONNX Runtime: one session for the whole process, a small state for each track.

The model is the streaming export whose inputs are ``input`` (frames, 64 + 512), ``h`` and ``c`` (1, 1, 128): the one
inside the faster-whisper package and ``silero_vad_16k_sequence.onnx`` of the silero-vad package. A frame of 32 ms costs
0.05 to 0.14 ms of one core, by the machine; the other exports of the same weights up to twice as much.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipeline.domain import Samples
from pipeline.errors import ModelUnavailable

FRAME_SAMPLES = 512
"""The model hears 32 ms at a time, at 16 kHz."""
_CONTEXT_SAMPLES = 64
_ROW = _CONTEXT_SAMPLES + FRAME_SAMPLES
_STATE_SHAPE = (1, 1, 128)
_FULL_SCALE = np.float32(1 / 32768)
_ONLY_ERRORS = 3
_LIKELY, _QUIET = 0.6, 0.15
_QUIET_FRAMES = 31
"""A second of frames less likely than ``_QUIET`` after a likely one, and the state begins anew: having heard silence
after a loud voice, it would take a quiet one for noise."""


def bundled_model() -> Path:
    """The model file inside the installed faster-whisper package, which is not imported."""
    spec = find_spec("faster_whisper")
    if spec is None or spec.origin is None:
        raise ModelUnavailable("the package faster-whisper, which carries Silero VAD, is not installed")
    path = Path(spec.origin).parent / "assets" / "silero_vad_v6.onnx"
    if not path.is_file():
        raise ModelUnavailable(f"this version of faster-whisper carries no {path.name}")
    return path


class SileroModel:
    """The weights, shared by all tracks; ``detector()`` makes what one track needs. May be used from any thread."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        # A frame is too small to share between threads, and spinning threads would starve the recogniser.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _ONLY_ERRORS
        if not path.is_file():
            raise ModelUnavailable(f"there is no Silero VAD model at {path}")
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime raises bare exceptions of its own for each kind of bad file
            raise ModelUnavailable(f"{path} is not an ONNX model, or is incomplete: {error}") from error
        inputs = {given.name for given in self._session.get_inputs()}
        if inputs != {"input", "h", "c"}:
            raise ModelUnavailable(
                f"{path} is not the streaming export of Silero VAD: it takes {sorted(inputs)}, not input, h and c"
            )

    def detector(self) -> "SileroDetector":
        return SileroDetector(self._session)


class SileroDetector:
    """How likely one track holds speech (a ``SpeechDetector``); carries the state between its frames."""

    frame_samples = FRAME_SAMPLES

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._spoken = False
        self._quiet_frames = 0
        # The last samples of the frame before, as float32 in [-1, 1].
        self._context: NDArray[np.float32] = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._h: NDArray[np.float32] = np.zeros(_STATE_SHAPE, np.float32)
        self._c: NDArray[np.float32] = np.zeros(_STATE_SHAPE, np.float32)

    def probabilities(self, samples: Samples) -> list[float]:
        """The speech probability in [0, 1] of each of the next frames, ``samples`` of shape (512 n,).

        Many at once cost a third less each.
        """
        found: list[float] = []
        at = 0
        while at < len(samples):
            # The state may begin anew after the last of these frames, no sooner.
            frames = _QUIET_FRAMES - (self._quiet_frames if self._spoken else 0)
            found += self._judge(samples[at : at + frames * FRAME_SAMPLES])
            at += frames * FRAME_SAMPLES
        return found

    def glance(self, samples: Samples) -> float:
        """The highest speech probability of ``samples`` of shape (512 n,) after the first frame, if they came next."""
        wide = samples[FRAME_SAMPLES - _CONTEXT_SAMPLES :] * _FULL_SCALE
        return float(self._run(wide)[0].max())

    def _judge(self, samples: Samples) -> list[float]:
        wide = np.concatenate((self._context, samples * _FULL_SCALE))
        spoken, self._h, self._c = self._run(wide)
        self._context = wide[-_CONTEXT_SAMPLES:]
        probabilities: list[float] = spoken.tolist()
        for probability in probabilities:
            self._quiet_frames = self._quiet_frames + 1 if probability < _QUIET else 0
            self._spoken = self._spoken or probability > _LIKELY
        if self._spoken and self._quiet_frames == _QUIET_FRAMES:
            self._h, self._c = np.zeros_like(self._h), np.zeros_like(self._c)
            self._spoken = False
        return probabilities

    def _run(self, wide: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """What the model says of sound of shape (64 + 512 n,), whose first samples are context: one row per frame."""
        rows = (
            wide[None] if len(wide) == _ROW else np.ascontiguousarray(sliding_window_view(wide, _ROW)[::FRAME_SAMPLES])
        )
        spoken, h, c = self._session.run(None, {"input": rows, "h": self._h, "c": self._c})
        return spoken, h, c
