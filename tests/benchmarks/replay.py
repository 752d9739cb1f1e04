"""Runs Greffier's own commands as a user would, and measures the process from outside."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psutil

from tests.benchmarks.corpus import cache_folder
from tests.benchmarks.events import Event, Text, by_track, read_events, read_texts
from tests.benchmarks.mixing import TrackFile

SAMPLE_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The process and its children at one moment: seconds since it began, CPU seconds so far, resident bytes."""

    at: float
    cpu: float
    memory: int


@dataclass(frozen=True, slots=True)
class Usage:
    wall: float
    cpu: float
    peak_memory: int
    samples: tuple[Sample, ...]
    returncode: int
    errors: str

    def memory_growth(self, start: float, end: float) -> float:
        """Bytes a minute that memory grew by between two times since the process began (least squares)."""
        inside = [sample for sample in self.samples if start <= sample.at <= end]
        if len(inside) < 10:
            return float("nan")
        middle = sum(sample.at for sample in inside) / len(inside)
        spread = sum((sample.at - middle) ** 2 for sample in inside)
        return 60 * sum((sample.at - middle) * sample.memory for sample in inside) / spread

    def cpu_between(self, start: float, end: float) -> float:
        """CPU seconds per second between two times since the process began."""
        inside = [sample for sample in self.samples if start <= sample.at <= end]
        if len(inside) < 2:
            return float("nan")
        return (inside[-1].cpu - inside[0].cpu) / (inside[-1].at - inside[0].at)


class CommandFailed(Exception):
    """A measured command is missing, or ended with an error."""


@dataclass
class Replay:
    """One run of ``greffier caption``: its tracks by name, its log, transcript and cost."""

    command: str
    tracks: dict[str, TrackFile]
    events_path: Path
    transcript_path: Path
    usage: Usage
    settings: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def events(self) -> list[Event]:
        return read_events(self.events_path)

    @cached_property
    def by_track(self) -> dict[str, list[Event]]:
        return {name: [] for name in self.tracks} | by_track(self.events)

    def texts(self) -> dict[str, list[Text]]:
        """The texts of the transcript, per track."""
        found: dict[str, list[Text]] = {name: [] for name in self.tracks}
        for text in read_texts(self.transcript_path):
            found.setdefault(text.track, []).append(text)
        return found


def replay(
    name: str,
    files: Sequence[TrackFile],
    *options: str,
    settings: Mapping[str, str] | None = None,
    reuse: bool = False,
    program: Sequence[str] = (),
) -> Replay:
    """Replays files as the tracks of one meeting; with ``reuse`` a kept run of the same command is taken instead.

    ``settings`` go to the environment; ``program`` stands in place of ``greffier``.
    """
    folder = cache_folder() / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    events, transcript = folder / "events.jsonl", folder / "transcript.json"
    kept = folder / "usage.json"
    inputs = [str(file.path) for file in files]
    asked = ["caption", *inputs, "--events", str(events), "--transcript", str(transcript), *options]
    command = shown_command([*(program or ["greffier"]), "caption"], files, options, settings or {})
    if not (reuse and kept.is_file() and json.loads(kept.read_text())["asked"] == asked):
        for path in (events, transcript, kept):
            path.unlink(missing_ok=True)
        usage = run([*([sys.executable, *program[1:]] if program else greffier()), *asked], settings)
        if usage.returncode:
            raise CommandFailed(f"{command} ended with {usage.returncode}: {usage.errors[-400:]}")
        kept.write_text(json.dumps({"asked": asked, "usage": _plain(usage)}))
    usage = _usage_of(json.loads(kept.read_text())["usage"])
    tracks = dict(zip(track_names(files), files, strict=True))
    return Replay(command, tracks, events, transcript, usage, settings or {})


def track_names(files: Sequence[TrackFile]) -> list[str]:
    """The file's name with its extension; ``-2`` and so on where it is repeated."""
    seen: dict[str, int] = {}
    names = []
    for file in files:
        seen[file.name] = seen.get(file.name, 0) + 1
        names.append(file.name if seen[file.name] == 1 else f"{file.name}-{seen[file.name]}")
    return names


def greffier() -> list[str]:
    """The installed command of this environment, else its module."""
    command = Path(sys.executable).with_name("greffier")
    return [str(command)] if command.is_file() else [sys.executable, "-m", "api.cli"]


def shown_command(
    begin: Sequence[str], files: Sequence[TrackFile], options: Sequence[str], settings: Mapping[str, str]
) -> str:
    """The command as a row of the table shows it: the files by their names in tests/benchmarks/meetings.py."""
    names = [file.path.stem.rsplit(".", 1)[0] for file in files]
    shown = [*names[:3], *(["..."] if len(names) > 4 else []), *(names[-1:] if len(names) > 3 else [])]
    before = [f"{name}={value}" for name, value in settings.items()]
    after = [Path(option).name if option.startswith("/") else option for option in options]
    return " ".join([*before, *begin, *shown, *after])


def run(command: Sequence[str], settings: Mapping[str, str] | None = None, *, timeout: float = 1500) -> Usage:
    """Runs a command and samples its cost each second; what it prints as errors is kept, the rest is dropped."""
    begun = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            list(command),
            stdout=subprocess.DEVNULL,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(settings or {})},
            cwd=Path(__file__).resolve().parents[2],
        )
        sampler = _Sampler(child.pid, begun)
        sampler.start()
        try:
            code, cpu, peak = _wait(child, begun + timeout)
        finally:
            sampler.done.set()
            sampler.join()
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    samples = tuple(sampler.samples)
    peak = max([peak, *(sample.memory for sample in samples)])
    return Usage(time.monotonic() - begun, cpu, peak, samples, code, said)


class _Sampler(threading.Thread):
    """A thread, since the main one blocks on the child's end."""

    def __init__(self, pid: int, begun: float) -> None:
        super().__init__(daemon=True)
        self.pid, self.begun = pid, begun
        self.samples: list[Sample] = []
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(SAMPLE_EVERY):
            try:
                self.samples.append(self._look())
            except psutil.Error:
                return

    def _look(self) -> Sample:
        child = psutil.Process(self.pid)
        family = [child, *child.children(recursive=True)]
        cpu = memory = 0.0
        for process in family:
            with process.oneshot():
                times = process.cpu_times()
                cpu += times.user + times.system
                memory += process.memory_info().rss
        return Sample(time.monotonic() - self.begun, cpu, int(memory))


def _wait(child: subprocess.Popen, deadline: float) -> tuple[int, float, int]:
    """Exit code, CPU seconds and peak resident bytes, of the process and the children that it waited for."""
    while True:
        pid, status, used = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return child.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
        if time.monotonic() > deadline:
            child.terminate()
            deadline += 20
        time.sleep(0.05)


def _plain(usage: Usage) -> dict:
    samples = [[sample.at, sample.cpu, sample.memory] for sample in usage.samples]
    return {
        "wall": usage.wall,
        "cpu": usage.cpu,
        "peak_memory": usage.peak_memory,
        "samples": samples,
        "returncode": usage.returncode,
        "errors": usage.errors[-2000:],
    }


def _usage_of(row: dict) -> Usage:
    samples = tuple(Sample(*sample) for sample in row.pop("samples"))
    return Usage(**row, samples=samples)
