"""Files and progress of commands: whole or not at all, and a full disk says so."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pipeline.errors import InvalidInput, StorageFull

_BAR = 30
_told: set[str] = set()
"""What has been named on a standard error that is no terminal."""


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """A text file that grows as events come; ``-`` is standard output."""
    if str(path) == "-":
        yield sys.stdout
        return
    with writing(path):
        file = path.open("w", encoding="utf-8")
    try:
        yield file
    finally:
        with writing(path):
            file.close()


@contextmanager
def written(path: Path) -> Iterator[TextIO]:
    """A text file that appears whole, under its name, when the block ends well."""
    if str(path) == "-":
        with writing(path):
            yield sys.stdout
            sys.stdout.flush()
        return
    part = path.with_name(path.name + ".part")
    with writing(path):
        if path.exists() and not path.is_file():  # a device, a pipe: nothing can take its name
            with path.open("w", encoding="utf-8") as file:
                yield file
            return
        try:
            with part.open("w", encoding="utf-8") as file:
                yield file
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raises ``InvalidInput`` where ``path`` could not be written in the end, before any work is done for it."""
    if str(path) == "-":
        return
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise InvalidInput(f"{path} cannot be written: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InvalidInput(f"{path} cannot be written: permission denied")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Says what it means that ``path`` cannot be written; a reader who went away is no error of ours."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        name = "standard output" if str(path) == "-" else path
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(f"there is no room left to write {name}; what was written before is kept") from error
        raise InvalidInput(f"{name} cannot be written: {error.strerror}") from error


def fetch_progress(what: str, done: int, total: int) -> None:
    """One line on standard error: a percentage on a terminal, the name once elsewhere."""
    progress(f"greffier: {what}", done / total if total else 0.0)


def progress(what: str, share: float) -> None:
    """A bar on a terminal; nothing elsewhere but the beginning."""
    if sys.stderr.isatty():
        share = min(share, 1.0)
        filled = round(share * _BAR)
        end = "\n" if share >= 1.0 else ""
        print(
            f"\r\x1b[K{what} [{'#' * filled}{'.' * (_BAR - filled)}] {share:4.0%}", end=end, file=sys.stderr, flush=True
        )
    elif share == 0.0 and what not in _told:
        _told.add(what)
        print(what, file=sys.stderr, flush=True)
