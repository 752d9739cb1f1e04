"""A recogniser that hears three words a second in whatever is spoken, at a cost you set: a model's load without one."""

import math
from typing import Any, cast

from api.settings import PolicyName
from api.wiring import Recognition
from models.calibration import Calibration
from models.scripted import Cost, ScriptedEngine
from pipeline.domain import Hypothesis, Window, Word
from pipeline.live.settings import LiveSettings
from tests.houses import ScriptedHouseEngine

WORD_SECONDS = 1 / 3
BATCH, STEP = 4, 0.3


class Babbler(ScriptedHouseEngine):
    """Words are on a grid of meeting time, so that each is the same however often it is heard.

    They begin with the same letters: of different words that tracks share, some would be copies of others.
    """

    def _heard(self, window: Window) -> Hypothesis:
        first, last = (math.floor(at / WORD_SECONDS) for at in (window.start, window.end))
        words = [Word(f" spoken{k}", k * WORD_SECONDS, (k + 0.9) * WORD_SECONDS) for k in range(first, last + 1)]
        return ScriptedEngine({window.track: words}, self.language)._heard(window)


def babbling(cost: Cost, talkers: int) -> Recognition:
    """One batch of ``BATCH`` windows at a time, as on a device that has room for no more."""
    engine = Babbler({}, cost=cost)
    chosen = Calibration("cpu", "int8", 1, 1, BATCH, STEP, BATCH / (cost.batch + BATCH * cost.window), talkers)
    return Recognition(cast(Any, engine), chosen, LiveSettings(step=STEP), PolicyName.ALIGNATT)
