"""Files under keys, in a local folder."""

import asyncio
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import NotFound
from pipeline.store.disk import explained
from pipeline.store.keys import checked_key

_explained = partial(explained, "files of meetings", "GREFFIER_HOME")


class FolderObjects:
    """An ``ObjectStore`` whose keys are paths below ``folder`` (``pipeline.store.keys``).

    Its calls run in threads: a slow disk holds up nobody. Raises ``StorageFailed`` when the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, key: str) -> Path:
        """The file of ``key`` for what is written bit by bit, such as sound; its folder exists."""
        with _explained():
            path = self._path(key)
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # its owner alone reads what is below
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    async def put(self, key: str, content: bytes | BinaryIO) -> None:
        await asyncio.to_thread(self._put, key, content)

    async def open(self, key: str) -> BinaryIO:
        return await asyncio.to_thread(self._open, key)

    async def delete_prefix(self, prefix: str) -> None:
        await asyncio.to_thread(self._delete, self._path(prefix.removesuffix("/")))

    def _path(self, key: str) -> Path:
        return self._folder / checked_key(key)

    def _open(self, key: str) -> BinaryIO:
        with _explained():
            try:
                return self._path(key).open("rb")
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                raise NotFound(f"nothing is kept under {key}") from error

    def _put(self, key: str, content: bytes | BinaryIO) -> None:
        """Written beside its place, then moved there in one step, as no reader may see half of it."""
        path = self.path(key)
        with _explained():
            number, name = tempfile.mkstemp(prefix=".", dir=path.parent)
            part = Path(name)
            try:
                with os.fdopen(number, "wb") as file:
                    if isinstance(content, bytes):
                        file.write(content)
                    else:
                        shutil.copyfileobj(content, file)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
                _sync_folder(path.parent)
            except BaseException:
                part.unlink(missing_ok=True)
                raise

    @staticmethod
    def _delete(path: Path) -> None:
        with _explained():
            try:
                shutil.rmtree(path)
            except FileNotFoundError:
                return
            except NotADirectoryError:
                path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
