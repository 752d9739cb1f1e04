"""Whether the recogniser of this process answers, also while nobody speaks."""

import asyncio
from dataclasses import dataclass, field

import numpy as np

from api.metrics import Metrics
from pipeline.domain import SAMPLE_RATE, Samples, TrackId, UtteranceId, Window, WindowKind
from pipeline.errors import RecognitionFailed
from pipeline.ports import Recognizer

_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Silence:
    """A ``RecognitionRequest`` of one second of silence: captions go before it, it goes before recordings."""

    language: str
    kind: WindowKind = WindowKind.RECORD

    def cut(self) -> tuple[Window, Samples]:
        window = Window(
            TrackId("probe"), UtteranceId("probe.1"), self.kind, 0.0, _SECONDS, (self.language,), self.language
        )
        return window, np.zeros(round(_SECONDS * SAMPLE_RATE), dtype=np.int16)


@dataclass(slots=True)
class EngineProbe:
    """Gives ``recognizer`` a second of silence when nothing was heard for ``calm`` seconds: does it answer?

    What it does not answer at all fails after the recogniser's own limit.
    """

    recognizer: Recognizer
    metrics: Metrics
    language: str
    calm: float = 30.0
    _answers: bool = field(default=True)

    @property
    def works(self) -> bool:
        """Whether the last few windows of meetings, or the last silence, were recognised."""
        return self.metrics.engine_works and self._answers

    async def run(self) -> None:
        """Until it is cancelled. The engine is loaded before a process listens, so there is calm at first."""
        heard = self.metrics.heard
        while True:
            await asyncio.sleep(self.calm)
            if heard == self.metrics.heard or not self._answers:
                await self._ask()
            heard = self.metrics.heard

    async def _ask(self) -> None:
        try:
            await self.recognizer.recognize(_Silence(self.language))
        except RecognitionFailed:
            self._answers = False
        else:
            self._answers = True
