"""Audio is kept until it is recognised, the newest in memory, older on disk; a full disk costs the oldest."""

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.domain import SAMPLE_RATE, AudioFrame, Samples, TrackId
from pipeline.store.spool import AudioSpool, SpoolSettings

TRACK = TrackId("anne")
SETTINGS = SpoolSettings(memory=2.0, disk=10.0, block=0.5)


def sound(start: float, end: float) -> Samples:
    """Sound that says which moment it is: 16 bits of its own sample number."""
    return np.arange(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)).astype(np.int16)


def fill(spool: AudioSpool, start: float, end: float, frame: float = 0.1, track: TrackId = TRACK) -> None:
    for number in range(round((end - start) / frame)):
        begin = start + number * frame
        spool.append(AudioFrame(track, begin, sound(begin, begin + frame)))


def is_kept(spool: AudioSpool, start: float, end: float) -> bool:
    return bool(np.array_equal(spool.read(TRACK, start, end), sound(start, end)))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[AudioSpool]:
    spool = AudioSpool(SETTINGS, str(tmp_path))
    yield spool
    spool.close()


def file_bytes() -> int:
    """Bytes of the unnamed files this process holds open."""
    sizes = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            if "(deleted)" in str(descriptor.readlink()):
                sizes += os.fstat(int(descriptor.name)).st_size
        except OSError:
            continue
    return sizes


def test_what_was_put_in_comes_out(spool: AudioSpool) -> None:
    fill(spool, 5.0, 6.5)
    assert is_kept(spool, 5.0, 6.5)
    assert is_kept(spool, 5.33, 5.77)
    assert spool.forget(TRACK, 0.0) == 0.0


def test_where_nothing_was_heard_there_is_silence(spool: AudioSpool) -> None:
    fill(spool, 1.0, 1.5)
    fill(spool, 2.0, 2.5)
    heard = spool.read(TRACK, 0.5, 3.0)
    assert len(heard) == 40_000
    assert not heard[:8_000].any()
    assert not heard[16_000:24_000].any()
    assert not heard[32_000:].any()
    assert np.array_equal(heard[24_000:32_000], sound(2.0, 2.5))
    assert not spool.read(TrackId("nobody"), 0.0, 1.0).any()
    assert len(spool.read(TRACK, 2.0, 1.0)) == 0
    assert spool.forget(TrackId("nobody"), 9.0) == 0.0


def test_sound_that_waits_costs_little_more_than_its_samples(tmp_path: Path) -> None:
    spool = AudioSpool(SpoolSettings(memory=4.0), str(tmp_path))
    fill(spool, 0.0, 9.6, frame=0.032)
    tracemalloc.start()
    fill(spool, 9.6, 128.0, frame=0.032)
    assert tracemalloc.get_traced_memory()[0] < 12.0 * SAMPLE_RATE * 2
    tracemalloc.stop()
    assert is_kept(spool, 1.0, 127.0)
    spool.close()


def test_frames_of_any_length_are_joined_and_holes_stay_holes(spool: AudioSpool) -> None:
    for start, end in [(0.0, 0.02), (0.02, 0.5), (0.5, 0.51), (0.8, 1.9), (1.9, 1.95), (2.0, 2.02)]:
        spool.append(AudioFrame(TRACK, start, sound(start, end)))
    for start, end in [(0.0, 0.51), (0.8, 1.95), (2.0, 2.02)]:
        assert is_kept(spool, start, end)
    assert not spool.read(TRACK, 0.51, 0.8).any()
    assert not spool.read(TRACK, 1.95, 2.0).any()


def test_what_is_older_than_the_memory_waits_on_disk(spool: AudioSpool) -> None:
    fill(spool, 0.0, 9.0)
    assert file_bytes() >= 6.5 * SAMPLE_RATE * 2
    assert is_kept(spool, 0.0, 9.0)
    assert is_kept(spool, 6.8, 7.3)


def test_what_is_older_than_the_disk_keeps_is_gone_and_said_to_be(spool: AudioSpool) -> None:
    fill(spool, 0.0, 25.0)
    kept_from = spool.forget(TRACK, 0.0)
    assert 14.5 <= kept_from <= 15.1
    assert is_kept(spool, kept_from, 25.0)
    assert not spool.read(TRACK, 0.0, 14.0).any()


def test_the_file_stays_bounded_when_a_track_never_catches_up(spool: AudioSpool) -> None:
    for start in range(60):
        fill(spool, float(start), start + 1.0)
        kept_from = spool.forget(TRACK, start - 6.0)
        assert is_kept(spool, max(0.0, start - 6.0), start + 1.0)
        assert kept_from == 0.0
        assert file_bytes() <= 10.0 * SAMPLE_RATE * 2


def test_frames_of_any_length_share_the_ring(spool: AudioSpool) -> None:
    at = 0.0
    for number in range(60):
        length = (0.1, 0.7, 1.3)[number % 3]
        spool.append(AudioFrame(TRACK, at, sound(at, at + length)))
        at += length
        kept_from = spool.forget(TRACK, 0.0)
        assert is_kept(spool, kept_from, at)


def test_sound_that_overlaps_never_overwrites_what_is_said_to_be_kept(spool: AudioSpool) -> None:
    for _ in range(12):
        fill(spool, 0.0, 2.0)
    fill(spool, 2.0, 6.0)
    fill(spool, 6.0, 9.0)
    assert is_kept(spool, max(spool.forget(TRACK, 0.0), 7.0), 9.0)
    assert file_bytes() <= 10.0 * SAMPLE_RATE * 2


def test_forgotten_audio_frees_the_disk(spool: AudioSpool) -> None:
    fill(spool, 0.0, 9.0)
    assert spool.forget(TRACK, 8.0) == 0.0
    assert file_bytes() == 0
    assert is_kept(spool, 8.0, 9.0)
    fill(spool, 9.0, 13.0)
    assert is_kept(spool, 9.0, 13.0)


def test_tracks_do_not_share_their_bounds(spool: AudioSpool) -> None:
    fill(spool, 0.0, 1.0)
    fill(spool, 0.0, 30.0, track=TrackId("bilal"))
    assert is_kept(spool, 0.0, 1.0)
    assert spool.forget(TRACK, 0.0) == 0.0


def test_a_disk_that_cannot_be_written_costs_the_oldest_audio_and_nothing_else(tmp_path: Path) -> None:
    spool = AudioSpool(SETTINGS, str(tmp_path / "missing"))
    fill(spool, 0.0, 5.0)
    kept_from = spool.forget(TRACK, 0.0)
    assert 3.0 - SETTINGS.block - 0.01 <= kept_from <= 3.11  # all of the memory, and at most a block more
    assert is_kept(spool, kept_from, 5.0)
    spool.close()


class FullDisk:
    """A file on a disk with room for some bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.content = b""
        self.position = 0
        self.broken = False

    def seek(self, offset: int) -> int:
        if self.broken:
            raise OSError(5, "Input/output error")
        self.position = offset
        return offset

    def write(self, piece: bytes) -> int:
        written = piece[: max(0, self.room - self.position)]
        if not written:
            raise OSError(28, "No space left on device")
        self.content = self.content[: self.position] + written
        return len(written)

    def read(self, count: int) -> bytes:
        return self.content[self.position : self.position + count]

    def truncate(self, size: int) -> int:
        self.content = self.content[:size]
        return size

    def close(self) -> None:
        pass


@pytest.mark.parametrize("room", [0, 32_000, 33_001])
def test_a_disk_that_fills_up_costs_the_oldest_audio_of_the_lagging_track(
    spool: AudioSpool, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    disk = FullDisk(room)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: disk)
    fill(spool, 0.0, 8.0)
    full = spool.forget(TRACK, 0.0)
    assert 6.0 - 3 * SETTINGS.block <= full <= 6.1  # the memory, and what the disk took of the newest blocks
    assert is_kept(spool, full, 8.0)
    disk.room = 10**9
    fill(spool, 8.0, 12.0)
    assert spool.forget(TRACK, 0.0) == full
    assert is_kept(spool, full, 12.0)


def test_a_disk_that_cannot_be_read_gives_silence(spool: AudioSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FullDisk(10**9)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: disk)
    fill(spool, 0.0, 5.0)
    disk.broken = True
    assert not spool.read(TRACK, 0.0, 3.0 - SETTINGS.block).any()
    assert is_kept(spool, 3.0, 5.0)
