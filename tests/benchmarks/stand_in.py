"""``greffier`` with a model of random weights that is computed in full while whisper-base says what was heard.

``python -m tests.benchmarks.stand_in caption FILE...``: the model of ``GREFFIER_MODEL`` costs what it costs, and
windows, forced text and commits are those of real speech. It decodes as many tokens as speech has, where random weights
would never end a sentence. What whisper-base costs comes on top.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from api import cli, wiring
from models.faster_whisper import EngineSettings, WhisperEngine
from pipeline.domain import Hypothesis, Samples, Window
from tests.benchmarks.turbo_shape import base_folder

TOKENS_PER_SECOND, TOKENS_MORE = 4.0, 1
"""What is decoded of a window: the tokens of fluent speech, and the end of it."""


class StandIn(WhisperEngine):
    def __init__(self, folder: Path, settings: EngineSettings) -> None:
        super().__init__(base_folder(), settings)
        cost = replace(settings, tokens_per_second=TOKENS_PER_SECOND, tokens_more=TOKENS_MORE)
        self._cost = WhisperEngine(folder, cost)

    def hear(self, batch: Sequence[tuple[Window, Samples]]) -> list[Hypothesis]:
        self._cost.hear(batch)
        return super().hear(batch)


if __name__ == "__main__":
    wiring.WhisperEngine = StandIn  # type: ignore[misc]
    sys.exit(cli.main())
