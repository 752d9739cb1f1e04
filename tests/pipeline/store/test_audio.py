import asyncio
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.domain import SAMPLE_RATE, AudioFrame, MeetingId, Samples, TrackId
from pipeline.errors import StorageFailed, StorageFull
from pipeline.store.audio import MeetingAudio, TrackAudio, audio_key, meeting_prefix
from tests.recordings import beep

ROOT = Path(__file__).parents[3]
ANNE, BILAL = TrackId("anne.1"), TrackId("bilal.1")


def read(path: Path) -> Samples:
    """The sound of a file, from its beginning on, as any player decodes it."""
    resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
    with av.open(str(path)) as file:
        frames = [part for frame in file.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def spans(sound: Samples) -> list[tuple[float, float]]:
    """Where it is loud, in seconds."""
    loud = np.nonzero(np.abs(sound.astype(int)) > 1000)[0]
    parts = np.split(loud, np.nonzero(np.diff(loud) > SAMPLE_RATE // 20)[0] + 1)
    return [(part[0] / SAMPLE_RATE, part[-1] / SAMPLE_RATE) for part in parts if len(part)]


def frames(start: float, seconds: float, samples: int = 480, track: TrackId = ANNE) -> list[AudioFrame]:
    sound = beep(seconds)
    pieces = range(0, len(sound), samples)
    return [AudioFrame(track, start + at / SAMPLE_RATE, sound[at : at + samples]) for at in pieces]


def near(*expected: tuple[float, float]) -> list[object]:
    return [pytest.approx(span, abs=0.02) for span in expected]


def test_sound_stands_at_its_meeting_time_and_the_rest_is_silent(tmp_path: Path) -> None:
    audio = TrackAudio(tmp_path / "anne.ogg")
    for frame in [*frames(2.013, 1.0), *frames(3.1, 0.5, samples=333), *frames(63.7, 0.25), *frames(64.1, 0.7)]:
        audio.write(frame)
    assert audio.end == pytest.approx(64.8, abs=0.001)
    audio.finish()
    sound = read(tmp_path / "anne.ogg")
    assert spans(sound) == near((2.013, 3.013), (3.1, 3.6), (63.7, 63.95), (64.1, 64.8))
    assert np.abs(sound[4 * SAMPLE_RATE : 63 * SAMPLE_RATE]).max() == 0
    assert len(sound) / SAMPLE_RATE == pytest.approx(64.8, abs=0.05)


def test_what_was_sent_twice_is_written_once(tmp_path: Path) -> None:
    audio = TrackAudio(tmp_path / "anne.ogg")
    for frame in [*frames(0.0, 1.0), *frames(0.5, 1.0), *frames(0.0, 0.2)]:
        audio.write(frame)
    audio.finish()
    assert spans(read(tmp_path / "anne.ogg")) == near((0.0, 1.5))


def test_an_hour_of_silence_costs_little(tmp_path: Path) -> None:
    audio = TrackAudio(tmp_path / "anne.ogg")
    audio.write(frames(0.0, 0.1)[0])
    began = time.process_time()
    audio.write(frames(3600.0, 0.1)[0])
    assert time.process_time() - began < 2.0
    audio.finish()
    assert (tmp_path / "anne.ogg").stat().st_size < 1_000_000
    with av.open(str(tmp_path / "anne.ogg")) as file:
        assert file.duration == pytest.approx(3600.03 * av.time_base, abs=0.03 * av.time_base)


def test_a_second_of_speech_costs_about_four_kilobytes(tmp_path: Path) -> None:
    audio = TrackAudio(tmp_path / "anne.ogg")
    for frame in frames(0.0, 20.0):
        audio.write(frame)
    audio.finish()
    assert 1_000 < (tmp_path / "anne.ogg").stat().st_size / 20 < 5_000


def test_a_track_without_sound_makes_a_file_that_can_be_opened(tmp_path: Path) -> None:
    TrackAudio(tmp_path / "anne.ogg").finish()
    assert np.abs(read(tmp_path / "anne.ogg")).max(initial=0) <= 2


_WRITES = """
import sys, time
from pathlib import Path
from pipeline.domain import SAMPLE_RATE
from pipeline.store.audio import TrackAudio
from tests.pipeline.store.test_audio import frames
audio = TrackAudio(Path(sys.argv[1]))
for frame in frames(0.0, 10.0):
    audio.write(frame)
print(audio.end, flush=True)
time.sleep(60)
"""


def test_what_was_written_before_a_kill_is_readable_but_for_the_last_second(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITES, str(tmp_path / "anne.ogg")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert float(process.stdout.readline()) == pytest.approx(10.0, abs=0.001)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    (span,) = spans(read(tmp_path / "anne.ogg"))
    assert span[0] == pytest.approx(0.0, abs=0.01)
    assert span[1] > 8.8


def test_a_full_disk_is_said() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no full device")
    with pytest.raises(StorageFull, match=r"no room left to keep the sound.*GREFFIER_HOME"):
        for frame in frames(0.0, 5.0):
            TrackAudio(Path("/dev/full")).write(frame)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="GREFFIER_HOME"):
        TrackAudio(tmp_path / "nowhere" / "anne.ogg").write(frames(0.0, 1.0, samples=16_000)[0])


def test_files_of_a_meeting_have_keys_of_their_own() -> None:
    assert audio_key(MeetingId("m"), ANNE) == "meetings/m/audio/anne.1.ogg"
    assert audio_key(MeetingId("m"), TrackId("a/../é.1")) == "meetings/m/audio/a%2F..%2F%C3%A9.1.ogg"
    assert audio_key(MeetingId("m"), ANNE).startswith(f"{meeting_prefix(MeetingId('m'))}/")


async def test_every_track_of_a_meeting_has_its_file(tmp_path: Path) -> None:
    audio = MeetingAudio(lambda track: tmp_path / f"{track}.ogg")
    for anne, bilal in zip(frames(0.0, 1.0), frames(2.0, 1.0, track=BILAL), strict=True):
        audio.write(anne)
        audio.write(bilal)
    await audio.close()
    assert spans(read(tmp_path / "anne.1.ogg")) == near((0.0, 1.0))
    assert spans(read(tmp_path / "bilal.1.ogg")) == near((2.0, 3.0))


async def test_a_meeting_in_which_nothing_was_heard_leaves_no_file(tmp_path: Path) -> None:
    asked: list[TrackId] = []
    await MeetingAudio(lambda track: asked.append(track) or tmp_path / "anne.ogg").close()
    assert asked == []


async def test_a_track_whose_file_fails_stops_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def path(track: TrackId) -> Path:
        return tmp_path / "nowhere" / "anne.ogg" if track == ANNE else tmp_path / "bilal.ogg"

    audio = MeetingAudio(path)
    with caplog.at_level(logging.WARNING):
        for anne, bilal in zip(frames(0.0, 1.0), frames(0.0, 1.0, track=BILAL), strict=True):
            audio.write(anne)
            audio.write(bilal)
        await audio.close()
    assert spans(read(tmp_path / "bilal.ogg")) == near((0.0, 1.0))
    assert [record.message for record in caplog.records] == ["audio.failed"]


async def test_frames_that_find_no_room_are_silence_in_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audio = MeetingAudio(lambda track: tmp_path / f"{track}.ogg")
    audio._queue.maxsize = 20
    given = frames(0.0, 30.0)
    for frame in given[:1000]:
        audio.write(frame)
    await asyncio.sleep(1.0)
    audio.write(given[-1])
    await audio.close()
    assert audio.dropped > 0
    assert [record.message for record in caplog.records] == ["audio.dropped"]
    assert spans(read(tmp_path / "anne.1.ogg"))[-1] == pytest.approx((29.97, 30.0), abs=0.02)
