"""Files and progress of commands: whole or not at all, and a full disk says so."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pipeline.errors import InvalidInput, StorageFull

_BAR = 30


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """A text file that grows as events come; ``-`` is standard output."""
    if str(path) == "-":
        yield sys.stdout
        return
    with _mapped(path), path.open("w", encoding="utf-8") as file:
        yield file


@contextmanager
def written(path: Path) -> Iterator[TextIO]:
    """A text file that appears whole, under its name, when the block ends well."""
    if str(path) == "-":
        yield sys.stdout
        return
    part = path.with_name(path.name + ".part")
    with _mapped(path):
        try:
            with part.open("w", encoding="utf-8") as file:
                yield file
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(f"there is no room left to write {path}; what was written before is kept") from error
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error


def fetch_progress(what: str, done: int, total: int) -> None:
    """One line on standard error: a percentage on a terminal, the name once elsewhere."""
    progress(f"greffier: {what}", done / total if total else 0.0)


def progress(what: str, share: float) -> None:
    """A bar on a terminal; nothing elsewhere but the beginning."""
    if sys.stderr.isatty():
        filled = round(share * _BAR)
        end = "\n" if share >= 1.0 else ""
        print(
            f"\r\x1b[K{what} [{'#' * filled}{'.' * (_BAR - filled)}] {share:4.0%}", end=end, file=sys.stderr, flush=True
        )
    elif share == 0.0:
        print(what, file=sys.stderr, flush=True)
