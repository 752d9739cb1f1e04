"""Recordings of any kind are read whole, and files that are none say so."""

import logging
from pathlib import Path

import av
import numpy as np
import pytest

from media_gateway.recording import Recording, read_recording
from pipeline.domain import SAMPLE_RATE, Samples
from pipeline.errors import UnreadableMedia
from tests.recordings import described, recorded, tone, write_sound


def reason(path: Path) -> str:
    with pytest.raises(UnreadableMedia) as caught:
        read_recording(path)
    with pytest.raises(UnreadableMedia):
        next(Recording.open(path).pieces())
    return str(caught.value)


def loudness(sound: Samples) -> float:
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))


@pytest.mark.parametrize(
    "name",
    [
        "fr_readalongs_ej.m4a",
        "fr_medkit_dialog.ogg",
        "fr_cv_17301936.mp3",
        "fr_ibm_udhr1_8k.wav",
        "fr_fleurs_ski.wav",
        "fr_meet_android-chrome.webm",
        "fr_meet_video-sample-visio.mp4",
        "en_jfk.flac",
        "en_fw_stereo2ch.wav",
        "es_mls.opus",
    ],
)
def test_every_container_is_read_at_its_length(name: str) -> None:
    duration = described(name)["duration_s"]
    assert isinstance(duration, float)
    sound = read_recording(recorded(name))
    assert sound.dtype == np.int16
    assert len(sound) / SAMPLE_RATE == pytest.approx(duration, abs=0.1)
    assert loudness(sound) > 30
    assert Recording.open(recorded(name)).duration == pytest.approx(duration, abs=0.1)


def test_8_khz_mono_is_read(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "telephone.wav", tone(2.0, rate=8_000)[None], 8_000, "mono", "pcm_mulaw")
    assert len(read_recording(path)) == 2 * SAMPLE_RATE


def test_a_voice_in_the_centre_of_48_khz_5_1_is_as_loud_as_it_was(tmp_path: Path) -> None:
    voice = tone(2.0, rate=48_000)
    rumble = tone(2.0, 50.0, 0.9, rate=48_000)
    nothing = np.zeros_like(voice)
    planes = np.stack([nothing, nothing, voice, rumble, nothing, nothing])  # FL FR FC LFE BL BR
    sound = read_recording(write_sound(tmp_path / "room.wav", planes, 48_000, "5.1"))
    assert len(sound) == pytest.approx(2 * SAMPLE_RATE, abs=2)
    assert loudness(sound) == pytest.approx(0.5 / np.sqrt(2) * 32768, rel=0.02)


def test_pieces_are_of_the_length_asked_for_and_lose_nothing() -> None:
    path = recorded("fr_cv_17301936.mp3")
    pieces = list(Recording.open(path).pieces(1.0))
    assert {len(piece) for piece in pieces[:-1]} == {SAMPLE_RATE}
    assert len(pieces[-1]) <= SAMPLE_RATE
    np.testing.assert_array_equal(np.concatenate(pieces), read_recording(path))


# --- what is no recording --------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert reason(tmp_path / "nowhere.wav") == f"{tmp_path / 'nowhere.wav'} does not exist"


def test_a_folder_is_called_a_folder(tmp_path: Path) -> None:
    assert "is a folder" in reason(tmp_path)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    path.touch()
    assert "is empty (0 bytes)" in reason(path)


@pytest.mark.parametrize("name", ["noise.wav", "noise.mp3", "noise.m4a", "noise.bin"])
def test_a_file_of_random_bytes_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(np.random.default_rng(0).bytes(50_000))
    assert str(path) in reason(path)
    assert "give a recording" in reason(path)


def test_a_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "minutes.txt"
    path.write_text("Present: everybody.\n" * 100)
    assert str(path) in reason(path)


def test_a_film_without_sound_is_told_from_a_broken_one(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    assert "holds no audio" in reason(path)


def test_a_recording_of_no_length_is_refused(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "short.wav", tone(0.1)[None], SAMPLE_RATE, "mono")
    path.write_bytes(path.read_bytes()[:44])
    with pytest.raises(UnreadableMedia, match=r"short\.wav"):
        read_recording(path)


# --- damaged recordings ----------------------------------------------------------------------------------------


def damaged(name: str, path: Path) -> Path:
    """A copy of a recording with noise over 5 % of its bytes, in the middle."""
    blob = bytearray(recorded(name).read_bytes())
    middle, damage = len(blob) // 2, len(blob) // 20
    blob[middle : middle + damage] = np.random.default_rng(1).bytes(damage)
    path.write_bytes(blob)
    return path


def test_a_file_that_breaks_off_gives_what_it_holds(tmp_path: Path) -> None:
    whole = recorded("en_jfk.flac").read_bytes()
    path = tmp_path / "half.flac"
    path.write_bytes(whole[: len(whole) // 2])
    assert 4.0 < len(read_recording(path)) / SAMPLE_RATE < 7.0


@pytest.mark.parametrize("name", ["es_mls.opus", "en_jfk.flac", "fr_readalongs_ej.m4a"])
def test_a_file_damaged_in_the_middle_keeps_its_time(name: str, tmp_path: Path) -> None:
    broken, sound = read_recording(damaged(name, tmp_path / name)), read_recording(recorded(name))
    assert len(broken) == pytest.approx(len(sound), abs=0.05 * SAMPLE_RATE)
    later = slice(len(sound) * 7 // 10, len(sound) * 9 // 10)
    assert np.corrcoef(broken[later], sound[later])[0, 1] > 0.9


def test_a_damaged_mp3_gives_what_can_be_decoded_of_it(tmp_path: Path) -> None:
    name = "fr_cv_17301936.mp3"  # a format without timestamps: what is missing leaves no trace
    broken, sound = read_recording(damaged(name, tmp_path / name)), read_recording(recorded(name))
    assert len(sound) * 0.9 < len(broken) <= len(sound)


def test_damage_is_logged_without_the_name_of_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = damaged("fr_readalongs_ej.m4a", tmp_path / "anne.m4a")
    with caplog.at_level(logging.WARNING):
        read_recording(path)
    (record,) = [record for record in caplog.records if record.name == "media_gateway.recording"]
    assert record.message == "recording.damaged"
    assert "anne" not in str(record.__dict__.values())
