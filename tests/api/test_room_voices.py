"""What tells voices at shared microphones apart is there, or is gone without; meetings do not depend on it."""

import logging
from pathlib import Path

import pytest

from api.room_voices import voice_model
from api.settings import Settings, SharedRooms
from models.voice_onnx import FILES, voice_folder
from tests.recordings import noise


async def test_it_hears_where_its_models_are_made(voices_onnx: Path) -> None:
    async with voice_model(Settings(cache=voices_onnx.parents[1])) as model:
        assert model is not None
        heard = await model.hear(noise(2.0, -30.0), 5.0)
        assert heard.start == pytest.approx(5.0, abs=0.1)


async def test_it_is_gone_without_where_the_settings_say_so(voices_onnx: Path) -> None:
    async with voice_model(Settings(cache=voices_onnx.parents[1], shared_rooms=SharedRooms.NEVER)) as model:
        assert model is None


async def test_a_machine_without_models_or_with_broken_ones_goes_on_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with voice_model(Settings(cache=tmp_path)) as model:
        assert model is None
    voice_folder(tmp_path).mkdir(parents=True)
    for name in FILES:
        (voice_folder(tmp_path) / name).write_bytes(b"broken")
    async with voice_model(Settings(cache=tmp_path)) as model:
        assert model is None
    assert [record.message for record in caplog.records] == ["voices.unmade", "voices.unusable"]
