"""Every kind of ``ObjectStore`` keeps files whole under the same keys, and says when it cannot."""

import errno
import io
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from pipeline.errors import InvalidInput, NotFound, StorageFailed
from pipeline.ports import ObjectStore
from pipeline.store.memory import MemoryObjects
from pipeline.store.objects import FolderObjects
from tests.s3_server import S3, running_s3

MEETINGS = count(1)
OUTSIDE = ["", "/", "/etc/passwd", "../secret", "a/../../secret", "a//b", "a/.", ".hidden"]
UNWRITABLE = ["a\\b", "a\nb", "a\x00b", "\ud800"]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["folder", "memory", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    match request.param:
        case "folder":
            return FolderObjects(tmp_path / "objects")
        case "memory":
            return MemoryObjects()
        case _:
            server: S3 = request.getfixturevalue("s3")
            return server.objects()


@pytest.fixture
def meeting() -> str:
    """A folder of this test alone."""
    return f"meetings/{next(MEETINGS)}"


async def read(objects: ObjectStore, key: str) -> bytes:
    with await objects.open(key) as file:
        return file.read()


async def test_what_is_put_can_be_opened_whether_bytes_or_a_file(objects: ObjectStore, meeting: str) -> None:
    for number, content in enumerate([b"", b"sound", b"more" * 100_000]):
        await objects.put(f"{meeting}/{number}", content)
        await objects.put(f"{meeting}/{number}.file", io.BytesIO(content))
        assert await read(objects, f"{meeting}/{number}") == content
        assert await read(objects, f"{meeting}/{number}.file") == content


async def test_a_big_file_comes_back_as_it_was(objects: ObjectStore, meeting: str, tmp_path: Path) -> None:
    block = os.urandom(2**20)
    content = b"".join(bytes([number]) + block for number in range(40))
    (tmp_path / "big").write_bytes(content)
    with (tmp_path / "big").open("rb") as file:
        await objects.put(f"{meeting}/big.ogg", file)
    assert await read(objects, f"{meeting}/big.ogg") == content
    with await objects.open(f"{meeting}/big.ogg") as opened:
        opened.seek(3 * (2**20 + 1))
        assert opened.read(1) == b"\x03", "it can be read from anywhere"


async def test_what_is_put_again_takes_the_place_of_what_was_there(objects: ObjectStore, meeting: str) -> None:
    key = f"{meeting}/audio/anne.1.ogg"
    await objects.put(key, b"old")
    with await objects.open(key) as opened:
        await objects.put(key, b"new")
        assert opened.read() == b"old"
    assert await read(objects, key) == b"new"


@pytest.mark.parametrize("name", ["anne%20martin.1.ogg", "Réunion d’été + 1 #2.json", "a~b=c&d*'e\".ogg", "é" * 100])
async def test_any_name_may_be_in_a_key(objects: ObjectStore, meeting: str, name: str) -> None:
    await objects.put(f"{meeting}/{name}", name.encode())
    assert await read(objects, f"{meeting}/{name}") == name.encode()
    await objects.delete_prefix(meeting)
    with pytest.raises(NotFound):
        await objects.open(f"{meeting}/{name}")


@pytest.mark.parametrize("name", ["", "/audio", "/audio/anne.1.ogg", "/audio/bilal.1.ogg/more", "/audio/bilal.1"])
async def test_what_is_not_there_is_not_found(objects: ObjectStore, meeting: str, name: str) -> None:
    await objects.put(f"{meeting}/audio/bilal.1.ogg", b"sound")
    await objects.put(f"{meeting}/audio/anne.1.ogg", b"sound")
    await objects.delete_prefix(f"{meeting}/audio/anne.1.ogg")
    with pytest.raises(NotFound, match="nothing is kept under"):
        await objects.open(f"{meeting}{name}")


async def test_everything_below_a_folder_is_deleted_and_nothing_beside_it(objects: ObjectStore, meeting: str) -> None:
    inside = [f"{meeting}/audio/{number}.ogg" for number in range(60)] + [f"{meeting}/notes"]
    beside = [f"{meeting}2/notes", f"{meeting}.json", f"recordings/{meeting}"]
    for key in inside + beside:
        await objects.put(key, b"kept")
    await objects.delete_prefix(meeting)
    await objects.delete_prefix(f"{meeting}/")
    await objects.delete_prefix(f"{meeting}/never")
    for key in inside:
        with pytest.raises(NotFound):
            await objects.open(key)
    for key in beside:
        assert await read(objects, key) == b"kept"


@pytest.mark.parametrize("key", OUTSIDE + UNWRITABLE, ids=ascii)
async def test_a_key_that_leads_elsewhere_is_refused(objects: ObjectStore, key: str) -> None:
    for attempt in (objects.put(key, b"x"), objects.open(key), objects.delete_prefix(key)):
        with pytest.raises(InvalidInput, match="is no key"):
            await attempt


@pytest.mark.parametrize("key", ["meetings/" + "é" * 101, "/".join(["meetings"] * 120)], ids=["part", "whole"])
async def test_a_key_longer_than_any_store_takes_is_refused(objects: ObjectStore, key: str) -> None:
    with pytest.raises(InvalidInput, match=r"more than \d+ bytes"):
        await objects.put(key, b"x")


class Broken(io.BytesIO):
    """A file on a disk that fails at its end."""

    def __init__(self, whole: int) -> None:
        super().__init__(b"half" * (whole // 4))

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        if size is None or size < 0 or len(piece) < size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return piece


@pytest.mark.parametrize("whole", [4, 20 * 2**20])
async def test_half_of_a_file_is_never_kept(objects: ObjectStore, meeting: str, whole: int) -> None:
    await objects.put(f"{meeting}/notes", b"whole")
    for key in (f"{meeting}/notes", f"{meeting}/more"):
        with pytest.raises(StorageFailed, match="GREFFIER_HOME"):
            await objects.put(key, Broken(whole))
    assert await read(objects, f"{meeting}/notes") == b"whole"
    with pytest.raises(NotFound):
        await objects.open(f"{meeting}/more")
