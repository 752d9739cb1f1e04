"""Commands as tests run them: in this process with one engine for all, so that the model is loaded once."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from api.cli import main
from api.settings import PolicyName, Settings
from api.wiring import Recognition
from models.calibration import Calibration
from models.faster_whisper import EngineSettings, WhisperEngine
from pipeline.live.settings import LiveSettings
from tests.api.serving import Serving, serving


@pytest.fixture(scope="session")
def loaded(whisper_base: Path) -> Recognition:
    chosen = Calibration("cpu", "int8", 2, 1, 4, 0.5, 4.0, 8)
    engine = WhisperEngine(whisper_base, EngineSettings(device="cpu", compute_type="int8", callers=2, threads=1))
    return Recognition(engine, chosen, LiveSettings(step=chosen.step), PolicyName.ALIGNATT)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command gave: its exit code, and what it wrote."""

    code: int
    out: str
    error: str


Greffier = Callable[..., Said]


@pytest.fixture
def greffier(loaded: Recognition, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Greffier:
    """Runs ``greffier`` with the engine of all tests."""

    def recognition(settings: Settings, _: object) -> Recognition:
        return replace(loaded, policy=settings.policy)

    monkeypatch.setattr("api.caption.recognition", recognition)
    monkeypatch.setattr("api.transcribe.calibrated_engine", lambda *_, record_beam: (loaded.engine, 4))

    def run(*arguments: object) -> Said:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit_:  # argparse
            code = int(exit_.code or 0)
        written = capsys.readouterr()
        return Said(code, written.out, written.err)

    return run


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Serving]:
    """A server of the test's own."""
    async with serving(tmp_path) as server:
        yield server
