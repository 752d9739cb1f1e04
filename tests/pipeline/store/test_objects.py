import errno
import io
import os
from pathlib import Path

import pytest

from pipeline.errors import InvalidInput, StorageFailed, StorageFull
from pipeline.store.objects import FolderObjects

KEY = "meetings/m/audio/anne.1.ogg"


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path / "objects")


async def read(objects: FolderObjects, key: str) -> bytes:
    with await objects.open(key) as file:
        return file.read()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_what_is_put_again_takes_the_place_of_what_was_there(objects: FolderObjects, tmp_path: Path) -> None:
    await objects.put(KEY, b"old")
    with await objects.open(KEY) as opened:
        await objects.put(KEY, b"new")
        assert opened.read() == b"old"
    assert await read(objects, KEY) == b"new"
    assert files(tmp_path) == [f"objects/{KEY}"]


async def test_only_its_owner_reads_what_is_kept(objects: FolderObjects, tmp_path: Path) -> None:
    await objects.put(KEY, b"sound")
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "objects").rglob("*.ogg")} == {0}
    assert (tmp_path / "objects").stat().st_mode & 0o077 == 0


async def test_everything_below_a_folder_is_deleted_and_nothing_beside_it(
    objects: FolderObjects, tmp_path: Path
) -> None:
    for key in (KEY, "meetings/m/notes", "meetings/m2/notes", "recordings/m"):
        await objects.put(key, b"kept")
    await objects.delete_prefix("meetings/m")
    await objects.delete_prefix("meetings/m/")
    await objects.delete_prefix("meetings/never")
    assert files(tmp_path / "objects") == ["meetings/m2/notes", "recordings/m"]


OUTSIDE = ["", "/", "/etc/passwd", "../secret", "a/../../secret", "a//b", "a/.", ".hidden"]
UNWRITABLE = ["a\\b", "a\nb", "a\x00b", "\ud800"]


@pytest.mark.parametrize("key", OUTSIDE + UNWRITABLE, ids=ascii)
async def test_a_key_that_leads_elsewhere_is_refused(objects: FolderObjects, key: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("kept")
    for attempt in (objects.put(key, b"x"), objects.open(key), objects.delete_prefix(key)):
        with pytest.raises(InvalidInput, match="is no key"):
            await attempt
    with pytest.raises(InvalidInput):
        objects.path(key)
    assert files(tmp_path) == ["secret"]


async def test_half_of_a_file_is_never_kept(objects: FolderObjects, tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        """A file on a disk that is full after the first piece."""

        pieces = 0

        def read(self, size: int | None = -1) -> bytes:
            self.pieces += 1
            if self.pieces > 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return b"half"

    await objects.put(KEY, b"whole")
    with pytest.raises(StorageFull, match=r"no room left.*GREFFIER_HOME"):
        await objects.put(KEY, Broken())
    assert await read(objects, KEY) == b"whole"
    assert files(tmp_path) == [f"objects/{KEY}"]


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match="GREFFIER_HOME"):
        await FolderObjects(tmp_path / "file").put(KEY, b"x")
