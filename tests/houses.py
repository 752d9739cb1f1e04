"""A whole house for tests and load: everything real around a recogniser that follows a script."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from api.house import House
from api.opening import open_house
from api.settings import DiarizeRecordings, PolicyName, Settings, Settle
from api.wiring import Recognition
from models.calibration import Calibration
from models.scripted import ScriptedEngine
from pipeline.domain import TrackId, Word
from pipeline.live.settings import LiveSettings


@dataclass(slots=True)
class _Tokens:
    known: tuple[str, ...] = ("fr", "en", "de")

    def languages(self) -> tuple[str, ...]:
        return self.known


@dataclass(slots=True)
class ScriptedHouseEngine(ScriptedEngine):
    tokens: _Tokens = field(default_factory=_Tokens)


def scripted_recognition(script: Mapping[TrackId, Sequence[Word]] | None = None, **more: Any) -> Recognition:
    engine = ScriptedHouseEngine(script or {}, **more)
    chosen = Calibration("cpu", "int8", 2, 1, 4, 0.3, 4.0, 8)
    return Recognition(cast(Any, engine), chosen, LiveSettings(step=chosen.step), PolicyName.ALIGNATT)


def settings_in(folder: Path, **more: Any) -> Settings:
    """Recordings and what comes after meetings go without voices, which would load torch."""
    given = {"diarize_recordings": DiarizeRecordings.NEVER, "settle": Settle.NEVER} | more
    return Settings(cache=folder / "cache", home=folder, database_url=f"sqlite:///{folder / 'greffier.db'}", **given)


@asynccontextmanager
async def scripted_house(
    folder: Path, script: Mapping[TrackId, Sequence[Word]] | None = None, **more: Any
) -> AsyncIterator[House]:
    async with open_house(settings_in(folder, **more), scripted_recognition(script)) as house:
        yield house
