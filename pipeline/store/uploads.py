"""Uploaded recordings, while they arrive and until they are transcribed: one file each, in a folder.

Where those who transcribe are other processes than those who receive, they wait in an object store.
"""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from pipeline.domain import RecordingId
from pipeline.ports import ObjectStore
from pipeline.store.disk import explained

_PART = ".part"
_RESERVE = 256 * 1024**2
"""Bytes left free for what is said in meetings: an upload may not take the last of the disk."""
_explained = partial(explained, "the recording", "GREFFIER_HOME")


class Upload:
    """A file that arrives; ``size`` bytes of it are there."""

    def __init__(self, file: BinaryIO, folder: Path) -> None:
        self._file = file
        self._folder = folder
        self.size = 0

    async def write(self, part: bytes) -> None:
        """Raises ``StorageFull``. In a thread: a slow disk must hold up nobody else."""
        await asyncio.to_thread(self._write, part)
        self.size += len(part)

    def _write(self, part: bytes) -> None:
        rest = memoryview(part)
        with _explained():
            _check_room(self._folder, len(part))
            while rest:
                rest = rest[self._file.write(rest) :]  # the file is unbuffered, and a disk may take less at once

    def sync(self) -> None:
        with _explained():
            os.fsync(self._file.fileno())


def _check_room(folder: Path, size: int) -> None:
    if shutil.disk_usage(folder).free < size + _RESERVE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def upload_key(recording: RecordingId) -> str:
    """Where an object store keeps an uploaded recording."""
    return f"recordings/{recording}"


class Uploads:
    """A folder of uploads. What did not arrive whole is never seen and leaves nothing behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, recording: RecordingId) -> Path:
        return self._folder / recording

    @asynccontextmanager
    async def receive(self, recording: RecordingId, expected: int | None = None) -> AsyncIterator[Upload]:
        """A file that is kept when the context ends without an error. Raises ``StorageFull``.

        ``expected`` bytes, where the client says how many, must find room before any is taken.
        """
        part = self.path(recording).with_suffix(_PART)
        with _explained():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # its owner alone hears what people said
            _check_room(self._folder, expected or 0)
            file = part.open("xb", buffering=0)
        try:
            with file:
                upload = Upload(file, self._folder)
                yield upload
                await asyncio.to_thread(upload.sync)
            with _explained():
                part.rename(self.path(recording))
        finally:
            part.unlink(missing_ok=True)

    async def share(self, recording: RecordingId) -> None:
        """It is to be transcribed, by whoever can find it then. Raises ``StorageFailed``."""

    async def discard(self, recording: RecordingId) -> None:
        """Nobody needs it any more, wherever it is; nothing there is no error. Raises ``StorageFailed``."""
        await asyncio.to_thread(self.remove, recording)

    def remove(self, recording: RecordingId) -> None:
        """Its file here."""
        self.path(recording).unlink(missing_ok=True)

    def remove_others(self, kept: Collection[RecordingId]) -> None:
        """Removes what a killed process left: every file that is no recording in ``kept``."""
        for path in self._folder.iterdir() if self._folder.exists() else ():
            if path.name not in kept:
                path.unlink(missing_ok=True)


class SharedUploads(Uploads):
    """Uploads that arrive in a folder of this process, and wait in an object store that other processes read, too."""

    def __init__(self, folder: Path, objects: ObjectStore) -> None:
        super().__init__(folder)
        self._objects = objects

    async def share(self, recording: RecordingId) -> None:
        with _explained():
            file = await asyncio.to_thread(self.path(recording).open, "rb")
        with file:
            await self._objects.put(upload_key(recording), file)
        await asyncio.to_thread(self.remove, recording)

    async def discard(self, recording: RecordingId) -> None:
        await asyncio.to_thread(self.remove, recording)
        await self._objects.delete_prefix(upload_key(recording))
