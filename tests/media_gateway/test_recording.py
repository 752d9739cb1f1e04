"""Recordings of any kind are read whole, and files that are none say so."""

import logging
import struct
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
    (record,) = [record for record in caplog.records if record.name == "greffier.recording"]
    assert record.message == "recording.damaged"
    assert "anne" not in str(record.__dict__.values())


def test_a_recording_may_be_named_by_something_else_than_its_path(tmp_path: Path) -> None:
    (tmp_path / "b7").write_text("no sound")
    with pytest.raises(UnreadableMedia, match=r"^the recording cannot be read as a recording: ") as caught:
        Recording.open(tmp_path / "b7", "the recording")
    assert str(tmp_path) not in str(caught.value)


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    write_sound(tmp_path / "secret.aac", tone(2.0)[None], SAMPLE_RATE, "mono", "aac")
    for name, text in (
        ("list.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{tmp_path}/secret.aac\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile secret.aac\n"),
        ("list.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n"),
    ):
        (tmp_path / name).write_text(text)
        assert "cannot be read as a recording" in reason(tmp_path / name)


# --- what a head claims ------------------------------------------------------------------------------------------


def with_head(path: Path, rate: int, claimed_bytes: int, samples: int) -> Path:
    """A WAV file of 8 bit mono whose head may lie."""
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + claimed_bytes,
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        rate,
        rate,
        1,
        8,
        b"data",
        claimed_bytes,
    )
    path.write_bytes(head + bytes([128]) * samples)
    return path


def test_a_measured_recording_is_as_long_as_what_it_holds(tmp_path: Path) -> None:
    lying = bytearray(recorded("en_jfk.flac").read_bytes())
    lying[21] |= 0x0F  # RFC 9639, section 8.2: the number of samples in 36 bits
    lying[22:26] = b"\xff" * 4
    (tmp_path / "claims.flac").write_bytes(lying)
    assert (Recording.open(tmp_path / "claims.flac").duration or 0) > 24 * 3600
    true = described("en_jfk.flac")["duration_s"]
    assert Recording.measure(tmp_path / "claims.flac").duration == pytest.approx(true, abs=0.1)


@pytest.mark.parametrize("name", ["fr_readalongs_ej.m4a", "fr_meet_android-chrome.webm", "es_mls.opus", "en_jfk.flac"])
def test_measuring_agrees_with_a_head_that_is_right(name: str) -> None:
    assert Recording.measure(recorded(name)).duration == pytest.approx(described(name)["duration_s"], abs=0.1)


def test_one_sample_a_second_is_no_recording(tmp_path: Path) -> None:
    assert "claims 1 samples a second" in reason(with_head(tmp_path / "slow.wav", 1, 100_000, 100_000))
