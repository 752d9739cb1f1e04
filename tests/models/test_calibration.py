"""A machine is measured once for each model and setting; what was measured is kept, and never stands in the way."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from api import wiring
from api.settings import Settings
from models import calibration
from models.calibration import Calibration, calibrate
from models.downloads import silent
from models.faster_whisper import EngineSettings

MEASURED = Calibration("cpu", "int8", 2, 1, 4, 0.5, 4.0, 8)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """The machine is not measured in earnest; what was to be measured is listed."""
    asked: list[tuple[object, ...]] = []

    def measure(*what: object) -> Calibration:
        asked.append(what)
        return MEASURED

    monkeypatch.setattr(calibration, "_measured", measure)
    return asked


def kept(cache: Path, model: str = "whisper-base", compute_type: str | None = None) -> Calibration:
    return calibrate(Path("/models") / model, cache, "cpu", compute_type, None, silent)


def test_a_machine_is_not_measured_twice(tmp_path: Path, measured: list[tuple[object, ...]]) -> None:
    cache = tmp_path / "not yet there"
    assert kept(cache) == kept(cache) == MEASURED
    assert len(measured) == 1
    assert [path.name for path in cache.iterdir()] == ["calibration.json"]


def test_each_model_and_each_setting_is_measured(tmp_path: Path, measured: list[tuple[object, ...]]) -> None:
    for _ in range(2):
        kept(tmp_path)
        kept(tmp_path, "whisper-small")
        kept(tmp_path, compute_type="float32")
    assert len(measured) == 3


def test_another_machine_that_shares_the_cache_is_measured(
    tmp_path: Path, measured: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(tmp_path)
    monkeypatch.setattr(calibration, "_machine", lambda: "another")
    kept(tmp_path)
    assert len(measured) == 2
    monkeypatch.undo()
    assert len(json.loads((tmp_path / "calibration.json").read_text())) == 2


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"key": 1}', '{"key": {"threads": 1}}'])
def test_a_damaged_file_counts_as_nothing(tmp_path: Path, measured: list[tuple[object, ...]], damage: str) -> None:
    (tmp_path / "calibration.json").write_text(damage)
    assert kept(tmp_path) == MEASURED
    assert kept(tmp_path) == MEASURED
    assert len(measured) == 1


def test_a_cache_that_cannot_be_written_costs_another_measuring_and_no_more(
    tmp_path: Path, measured: list[tuple[object, ...]]
) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    assert kept(file) == kept(file) == MEASURED
    assert len(measured) == 2


def test_the_measuring_is_announced(tmp_path: Path, measured: list[tuple[object, ...]]) -> None:
    told: list[str] = []
    for _ in range(2):
        calibrate(tmp_path, tmp_path, "cpu", None, None, lambda what, done, total: told.append(what))
    assert told == ["calibration of this machine"]


def test_the_way_that_shows_words_soonest_is_chosen(whisper_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two callers: a word waits (8 / 2 + 2 * batch) / rate seconds.
    rates = {("int8", 1): 2.0, ("int8", 2): 3.0, ("int8", 4): 4.0, ("float32", 1): 1.0, ("float32", 2): 3.1}
    rates["float32", 4] = 3.1
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)

    class Engine:
        def __init__(self, folder: Path, settings: EngineSettings) -> None:
            self.settings = settings

    monkeypatch.setattr(calibration, "WhisperEngine", Engine)
    monkeypatch.setattr(calibration, "_windows_per_second", lambda engine, _, n: rates[engine.settings.compute_type, n])
    chosen = calibration._measured(whisper_base, "cpu", None, None)
    assert (chosen.compute_type, chosen.batch) == ("int8", 2)  # float32 is ahead by less than counts
    assert (chosen.step, chosen.talkers, chosen.windows_per_second) == (0.67, 6, 3.0)
    assert calibration._measured(whisper_base, "cpu", "float32", None).compute_type == "float32"


def test_threads_that_were_asked_for_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert [(each.callers, each.threads) for each in calibration._candidates("cpu", "int8", None)] == [(8, 1)]
    assert [(each.callers, each.threads) for each in calibration._candidates("cpu", "int8", 4)] == [(2, 4)]
    assert [(each.callers, each.threads) for each in calibration._candidates("cpu", "int8", 16)] == [(1, 16)]
    on_gpu = [(each.callers, each.compute_type) for each in calibration._candidates("cuda", None, None)]
    assert on_gpu == [(2, "float16"), (4, "float16")]


def test_settings_stand_in_the_place_of_what_was_measured(
    whisper_base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wiring, "calibrate", lambda *_: MEASURED)
    settings = Settings(tmp_path, model=str(whisper_base))
    assert wiring._calibrated(settings, silent) == (whisper_base, MEASURED)
    _, chosen = wiring._calibrated(replace(settings, batch=16, step=2.0), silent)
    assert asdict(chosen) == asdict(MEASURED) | {"batch": 16, "step": 2.0}


def test_the_real_model_is_measured_in_seconds(whisper_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "_WINDOW", 2.0)
    chosen = calibration._measured(whisper_base, "cpu", "int8", None)
    assert chosen.windows_per_second > 0.0
    assert 0.3 <= chosen.step <= 2.0
    assert chosen.talkers >= 1
