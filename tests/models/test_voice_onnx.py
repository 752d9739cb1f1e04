"""The voice models on ONNX Runtime: what torch says of the same weights, and two people of a telephone call."""

import asyncio
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from models.filterbank import filterbank
from models.voice_export import export_voices, main
from models.voice_features import banks_of
from models.voice_networks import Network, read_networks
from models.voice_onnx import FILES, VoiceModel, VoiceNetworks, are_made, opened, voice_folder
from models.weights import locate
from pipeline.domain import Samples
from pipeline.errors import ModelUnavailable, RecognitionFailed
from tests.recordings import heard, noise, silence
from tests.two_voices import two_voices

SECOND = 16_000


@pytest.fixture(scope="module")
def folder(cache: Path) -> Path:
    return export_voices(cache)


@pytest.fixture(scope="module")
def networks(folder: Path) -> VoiceNetworks:
    return VoiceNetworks(folder)


@pytest.fixture(scope="module")
def of_torch(cache: Path) -> list[Network]:
    with warnings.catch_warnings(action="ignore"):
        return list(read_networks(locate("pyannote-segmentation-3.0", cache), locate("campplus", cache)))


def cut(start: float, end: float) -> Samples:
    return two_voices()[round(start * SECOND) : round(end * SECOND)]


# --- the files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "batch"), [(1.0, 1), (2.3, 2), (5.0, 3), (10.0, 1)])
def test_every_file_gives_what_torch_gives_for_any_length_and_batch(
    folder: Path, of_torch: list[Network], seconds: float, batch: int
):
    sounds = [cut(6.0 + place, 6.0 + place + seconds) for place in range(batch)]
    sound = np.stack(sounds).astype(np.float32) / 32768
    banks = np.stack([banks_of(one) for one in sounds])
    weights = np.random.default_rng(1).random((batch, (banks.shape[1] + 1) // 2), np.float32)
    with torch.inference_mode():
        frames = of_torch[1].module(torch.from_numpy(banks)).numpy()
        for name, network, given in zip(FILES, of_torch, ((sound,), (banks,), (frames, weights)), strict=True):
            theirs = network.module(*map(torch.from_numpy, given)).numpy()
            (ours,) = opened(folder / name).run(None, dict(zip(network.inputs, given, strict=True)))
            assert ours.shape == theirs.shape
            assert np.abs(ours - theirs).max() < 1e-3


def test_the_filterbank_is_that_of_torch():
    sound = cut(6.0, 9.0)
    theirs = filterbank(torch.from_numpy(sound.astype(np.float32) / 32768)[None], 80)[0].numpy()
    assert np.allclose(banks_of(sound), theirs, atol=2e-3)


def test_files_that_are_there_are_not_made_again(folder: Path, cache: Path):
    before = [(folder / name).stat().st_mtime_ns for name in FILES]
    assert main(["--cache", str(cache)]) == 0
    assert [(folder / name).stat().st_mtime_ns for name in FILES] == before


def test_where_torch_is_not_installed_set_up_says_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("models.voice_export.find_spec", lambda _: None)
    assert main(["--cache", str(tmp_path)]) == 0
    assert "torch is not installed" in capsys.readouterr().out
    assert not are_made(voice_folder(tmp_path))


def test_files_that_are_missing_or_broken_are_a_clear_error(tmp_path: Path):
    with pytest.raises(ModelUnavailable, match="make setup"):
        VoiceNetworks(tmp_path)
    for name in FILES:
        (tmp_path / name).write_bytes(b"no model")
    with pytest.raises(ModelUnavailable, match="not an ONNX model"):
        VoiceNetworks(tmp_path)


# --- what is heard -----------------------------------------------------------------------------------------


def test_two_people_of_a_call_are_two_local_voices_that_sound_different(networks: VoiceNetworks):
    (found,) = networks.hear([(cut(8.0, 18.0), 100.0)])
    assert 100.0 <= found.start < 100.05
    assert found.start + found.step * len(found.activity) <= 110.0
    known = found.embeddings[np.isfinite(found.embeddings).all(axis=1)]
    assert len(known) == 2
    assert np.allclose(np.linalg.norm(known, axis=1), 1.0, atol=1e-5)
    assert known[0] @ known[1] < 0.5


def test_one_person_is_the_same_voice_in_two_windows(networks: VoiceNetworks):
    windows = [(heard("en_jfk.flac")[at * SECOND :][: 5 * SECOND], at) for at in (0, 5)]
    one, other = (found.embeddings[np.isfinite(found.embeddings).all(axis=1)] for found in networks.hear(windows))
    assert len(one) == len(other) == 1
    assert one[0] @ other[0] > 0.5


@pytest.mark.parametrize("sound", [silence(5.0), silence(0.1), noise(3.0, -40.0)], ids=len)
def test_where_nobody_speaks_no_voice_is_known(networks: VoiceNetworks, sound: Samples):
    (found,) = networks.hear([(sound, 0.0)])
    assert np.isnan(found.embeddings).all()
    assert not networks.several(sound)


def test_the_light_check_tells_a_shared_microphone_from_one_person(networks: VoiceNetworks):
    assert networks.several(cut(8.0, 18.0))
    assert not networks.several(heard("en_jfk.flac")[: 10 * SECOND])


# --- the model of a process ------------------------------------------------------------------------------------


async def test_windows_of_several_tracks_are_heard_together_and_as_if_alone(networks: VoiceNetworks):
    model = VoiceModel(networks)
    windows = [(cut(start, start + length), start) for start, length in ((5, 5), (8, 5), (9, 3), (10, 5), (12, 5))]
    together = await asyncio.gather(*(model.hear(*window) for window in windows))
    assert await model.several(cut(8, 18))
    for found, window in zip(together, windows, strict=True):
        (alone,) = networks.hear([window])
        assert found.start == alone.start
        assert np.abs(found.activity - alone.activity).max() < 1e-3
    model.close()


async def test_a_model_is_closed_though_nobody_waits_any_more_for_a_window_that_waits(networks: VoiceNetworks):
    model = VoiceModel(networks)
    waiting = [asyncio.ensure_future(model.hear(cut(0, 5), 0.0)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[-2].cancel()
    await asyncio.sleep(0)
    model.close()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[-2], asyncio.CancelledError)
    assert "closed" in str(answers[-1])


async def test_what_a_closed_or_broken_or_full_model_cannot_hear_fails(networks: VoiceNetworks, folder: Path):
    model = VoiceModel(networks)
    with pytest.raises(RecognitionFailed, match="raised"):
        await model.hear(np.zeros((2, 2), np.int16), 0.0)
    with pytest.raises(RecognitionFailed, match="raised"):
        await model.several(np.zeros((2, 2), np.int16))
    waiting = [asyncio.ensure_future(model.hear(cut(0, 5), 0.0)) for _ in range(66)]
    await asyncio.sleep(0)
    model.close()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert any("already" in str(answer) for answer in answers)
    assert any("closed" in str(answer) for answer in answers)
    with pytest.raises(RecognitionFailed, match="closed"):
        await model.hear(cut(0, 5), 0.0)
