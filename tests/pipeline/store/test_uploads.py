"""Uploads arrive whole or leave nothing, are their owner's alone, and never take the last of the disk."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.domain import RecordingId
from pipeline.errors import NotFound, StorageFailed, StorageFull
from pipeline.store import uploads as module
from pipeline.store.uploads import SharedUploads, Uploads, upload_key
from tests.s3_server import running_s3

ONE = RecordingId("one")
MORE_THAN_ANY_DISK = 10**18


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads")


def left(uploads: Uploads) -> list[Path]:
    return list(uploads.path(ONE).parent.glob("*"))


async def test_what_arrived_is_kept_under_its_id_where_its_owner_alone_hears_it(uploads: Uploads) -> None:
    async with uploads.receive(ONE, 10) as upload:
        await upload.write(b"hello")
        await upload.write(b"world")
        assert not uploads.path(ONE).exists()
    assert (uploads.path(ONE).read_bytes(), upload.size) == (b"helloworld", 10)
    assert uploads.path(ONE).parent.stat().st_mode & 0o077 == 0
    uploads.remove(ONE)
    assert left(uploads) == []


async def test_what_breaks_off_leaves_nothing(uploads: Uploads) -> None:
    with pytest.raises(ConnectionError):
        async with uploads.receive(ONE) as upload:
            await upload.write(b"hello")
            raise ConnectionError
    assert left(uploads) == []


async def test_the_last_of_the_disk_is_for_what_is_said_in_meetings(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StorageFull, match="no room left"):
        async with uploads.receive(ONE) as upload:
            await upload.write(b"hello")
            monkeypatch.setattr(module, "_RESERVE", MORE_THAN_ANY_DISK)
            await upload.write(b"world")
    assert left(uploads) == []
    with pytest.raises(StorageFull):
        async with uploads.receive(ONE):
            pytest.fail("there is no room for any of it")
    assert left(uploads) == []


@pytest.mark.parametrize("room", [lambda free: free + 1, lambda free: free - module._RESERVE + 1])
async def test_what_finds_no_room_beside_them_is_refused_before_any_of_it_is_taken(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch, room: Callable[[int], int]
) -> None:
    class Disk:
        free = 10 * module._RESERVE

    monkeypatch.setattr("shutil.disk_usage", lambda _: Disk)
    with pytest.raises(StorageFull):
        async with uploads.receive(ONE, room(Disk.free)):
            pytest.fail("there is no room for it")
    async with uploads.receive(ONE, Disk.free - module._RESERVE) as upload:
        await upload.write(b"hello")
    assert uploads.path(ONE).exists()


async def test_shared_ones_arrive_here_and_wait_in_an_object_store_alone(tmp_path: Path) -> None:
    with running_s3(tmp_path / "s3") as server:
        objects = server.objects()
        uploads = SharedUploads(tmp_path / "uploads", objects)
        async with uploads.receive(ONE) as upload:
            await upload.write(b"hello")
        await uploads.share(ONE)
        assert left(uploads) == []
        with await objects.open(upload_key(ONE)) as file:
            assert file.read() == b"hello"
        await uploads.discard(ONE)
        with pytest.raises(NotFound):
            await objects.open(upload_key(ONE))
        async with uploads.receive(ONE) as upload:
            await upload.write(b"hello")
        await asyncio.to_thread(server.kill)
        with pytest.raises(StorageFailed, match="GREFFIER_S3_ENDPOINT_URL"):
            await uploads.share(ONE)
        assert left(uploads) == [uploads.path(ONE)], "whoever shares it decides what becomes of it"


def test_what_a_killed_process_left_is_removed(uploads: Uploads) -> None:
    uploads.remove_others([])
    uploads.path(ONE).parent.mkdir()
    for name in ("one", "two", "three.part"):
        uploads.path(RecordingId(name)).touch()
    uploads.remove_others([ONE])
    assert left(uploads) == [uploads.path(ONE)]
