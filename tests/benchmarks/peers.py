"""``python -m tests.benchmarks peers``: another live captioner beside Greffier, same weights, clips and scoring.

WhisperLiveKit (PyPI) runs as its users run it: its server on 127.0.0.1 in an environment of its own (in the cache
folder), spoken to over its WebSocket in real time, one talker. Both of its policies: LocalAgreement over faster-whisper
with the same CTranslate2 folder, and SimulStreaming (AlignAtt, its default), whose PyTorch decoder gets the same
weights converted name by name (tests/benchmarks/openai_weights.py). Its language is fixed; Greffier finds it.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks import meetings, report, yardstick
from tests.benchmarks.corpus import cache_folder, speech_seconds
from tests.benchmarks.events import Event, TimedWord, caption_words
from tests.benchmarks.integrity import find_violations, measure_erasure, update_intervals
from tests.benchmarks.latency import Latencies, TrueWord, measure_track, percentile, with_times
from tests.benchmarks.measures import Figures
from tests.benchmarks.mixing import TrackFile
from tests.benchmarks.replay import replay
from tests.benchmarks.scenarios import SPEECH, Row
from tests.benchmarks.score import Errors, add_up, score_placed
from tests.benchmarks.targets import shown
from tests.benchmarks.truth import speech_in, truth_of

PACKAGE = "whisperlivekit==0.2.26"
HERE = Path(__file__).parent
POLICIES = ("localagreement", "simulstreaming")
TALKER_SECONDS = 100.0


@dataclass(frozen=True, slots=True)
class Heard:
    """One track as it was captioned, and the CPU seconds that it took (of all tracks together, with its share)."""

    track: TrackFile
    events: list[Event]
    cpu: float
    language: str


# --- the peer ---------------------------------------------------------------------------------------------


def environment() -> Path:
    """The Python of the peers' environment, made and filled the first time (some gigabytes: it needs torch)."""
    folder = cache_folder() / "peers" / "venv"
    python = folder / "bin" / "python"
    if not (folder / "bin" / "wlk").exists():
        print(f"installing {PACKAGE} into {folder}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([str(uv), "pip", "install", "--quiet", "--python", str(python), PACKAGE], check=True)
    return python


def converted_weights(python: Path) -> tuple[Path, str]:
    """An OpenAI checkpoint of the same weights, and its alignment heads."""
    out = cache_folder() / "peers" / "base.pt"
    heads = out.with_suffix(".heads")
    if not (out.is_file() and heads.is_file()):
        command = [str(python), str(HERE / "openai_weights.py"), str(yardstick.model_folder()), str(out)]
        heads.write_text(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    return out, heads.read_text()


def server_command(python: Path, policy: str, language: str, port: int) -> list[str]:
    warmup = meetings.clip_file("en_libri_61" if language == "en" else "fr_cv_17301936").path
    command = [
        str(python.with_name("wlk")),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--pcm-input",
        "--lan",
        language,
    ]
    command += ["--backend", "faster-whisper", "--backend-policy", policy, "--warmup-file", str(warmup)]
    command += ["--log-level", "WARNING"]
    folder = str(yardstick.model_folder())
    if policy == "localagreement":
        return [*command, "--model_dir", folder]
    weights, heads = converted_weights(python)
    paths = ["--encoder-model-path", folder, "--decoder-model-path", str(weights)]
    return [*command, *paths, "--custom-alignment-heads", heads]


@contextmanager
def served(command: Sequence[str], port: int) -> Iterator[Callable[[], float]]:
    """The server while it runs; gives its CPU seconds so far."""
    log = cache_folder() / "peers" / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(list(command), stdout=out, stderr=out, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    try:
        _wait_for(server, port, log)
        yield lambda: _cpu(server.pid)
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(server: subprocess.Popen, port: int, log: Path) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise SystemExit(f"the peer's server ended with {server.returncode}:\n{log.read_text()[-1500:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit("the peer's server does not answer")


def _cpu(pid: int) -> float:
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(process.cpu_times().user + process.cpu_times().system for process in family)


def run_peer(python: Path, policy: str) -> list[Heard]:
    heard = []
    for language in meetings.FIRST:
        track = meetings.one_talker(language)
        port = _free_port()
        out = cache_folder() / "peers" / f"{policy}-{language}.jsonl"
        with served(server_command(python, policy, language, port), port) as cpu:
            begun = cpu()
            url = f"ws://127.0.0.1:{port}/asr"
            subprocess.run([str(python), str(HERE / "peer_client.py"), url, str(track.path), str(out)], check=True)
            spent = cpu() - begun
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        heard.append(Heard(track, as_events(rows, truth_of(track), language), spent, language))
    return heard


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- its answers as an event log --------------------------------------------------------------------------


def as_events(rows: Sequence[dict], truth: Sequence[TrueWord], language: str) -> list[Event]:
    """One utterance of the whole track: its lines are committed, its buffer is the tail.

    It gives no word times; a word gets those of the true word that it is aligned with.
    """
    told = [(row["at"], _line_words(row), row.get("buffer_transcription", "")) for row in rows]
    states = [
        state for before, state in zip([None, *told], told, strict=False) if not before or before[1:] != state[1:]
    ]
    final = with_times(states[-1][1] if states else [], truth)
    events: list[Event] = []
    for revision, (at, texts, buffer) in enumerate(states):
        words = tuple(
            final[place] if place < len(final) and final[place].text == text else TimedWord(text, 0.0, 0.0)
            for place, text in enumerate(texts)
        )
        last = revision == len(states) - 1
        tail = "" if last else "".join(f" {word}" for word in buffer.split())
        events.append(Event(at, "peer", "peer", revision, last, language, "".join(texts), tail, words))
    return events


def _line_words(row: dict) -> list[str]:
    text = " ".join(line.get("text") or "" for line in row["lines"] if line.get("speaker") != -2)
    return [f" {word}" for word in text.split()]


# --- figures ----------------------------------------------------------------------------------------------


def figures_of(heard: Sequence[Heard], cpu_speech: float | None = None) -> Figures:
    latencies, errors = Latencies(), add_up(_errors(heard))
    intervals: list[float] = []
    changed = deleted = final = 0
    for one in heard:
        latencies.add(measure_track(one.events, truth_of(one.track)))
        changed += find_violations(one.events).changed
        erasure = measure_erasure(one.events)
        deleted, final = deleted + erasure.deleted, final + erasure.final
        intervals += update_intervals(one.events)
    speech = cpu_speech or sum(speech_seconds(speech_in(one.track)) for one in heard)
    return {
        "display_p50": percentile(latencies.displayed, 50),
        "display_p95": percentile(latencies.displayed, 95),
        "commit_p50": percentile(latencies.committed, 50),
        "commit_p95": percentile(latencies.committed, 95),
        "words_timed": len(latencies.committed),
        **{f"wer_live_{language}": score.rate for language, score in errors.items()},
        "committed_changed": changed,
        "erasure": deleted / final if final else float("nan"),
        "update_interval_p50": percentile(intervals, 50),
        "cpu_per_speech_s": sum(one.cpu for one in heard) / speech,
    }


def _errors(heard: Sequence[Heard]) -> Iterator[dict[str, Errors]]:
    for one in heard:
        placed = [place for place in one.track.first_times() if place.clip in _compared(one.language)]
        yield score_placed(placed, caption_words(one.events))


def _compared(language: str) -> list:
    return meetings.first_clips()[language]


def greffier_rows() -> list[Row]:
    """Greffier with one talker and with four, scored on the same clips."""
    alone, cpu = [], 0.0
    commands = []
    for language in meetings.FIRST:
        run = replay(f"peer-1-{language}", [meetings.one_talker(language)], *SPEECH)
        alone.append(Heard(meetings.one_talker(language), run.events, run.usage.cpu, language))
        commands.append(run.command)
    tracks = meetings.talkers(4, TALKER_SECONDS)
    run = replay("peer-4", tracks, *SPEECH)
    commands.append(run.command)
    speech = sum(speech_seconds(speech_in(track)) for track in tracks)
    cpu = run.usage.cpu
    among = [
        Heard(track, run.by_track[track.name], cpu / len(tracks), track.placed[0].clip.language)
        for track in tracks
        if track.placed[0].clip in _compared(track.placed[0].clip.language)
    ]
    share = speech * len(among) / len(tracks)
    return [
        Row("peers greffier, 1 talker", " ; ".join(commands[:2]), figures_of(alone)),
        Row("peers greffier, 4 talkers", commands[2], figures_of(among, share)),
    ]


def main(given: Sequence[str] = ()) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks peers")
    parser.add_argument("--policy", choices=POLICIES, action="append", help="only this policy of the peer")
    parser.add_argument("--without-greffier", action="store_true", help="keep Greffier's older rows")
    asked = parser.parse_args(given)
    python = environment()
    yardstick.fill([clip for language in meetings.FIRST for clip in _compared(language)])
    for policy in asked.policy or POLICIES:
        print(f"WhisperLiveKit, {policy}", file=sys.stderr, flush=True)
        command = f"{PACKAGE}: wlk --pcm-input --backend faster-whisper --backend-policy {policy} --lan fr, then en"
        report.keep([Row(f"peers whisperlivekit {policy}, 1 talker", command, figures_of(run_peer(python, policy)))])
    if not asked.without_greffier:
        print("Greffier", file=sys.stderr, flush=True)
        report.keep(greffier_rows())
    report.insert("peers", table())
    return 0


def table() -> str:
    columns = (
        ("French WER", "wer_live_fr", "%"),
        ("English WER", "wer_live_en", "%"),
        ("first display, median", "display_p50", "s"),
        ("committed, median", "commit_p50", "s"),
        ("95th", "commit_p95", "s"),
        ("committed text changed", "committed_changed", ""),
        ("erasure", "erasure", ""),
        ("CPU s per s of speech", "cpu_per_speech_s", ""),
    )
    rows = [
        (name.removeprefix("peers "), *(shown(row["figures"].get(key), unit) for _, key, unit in columns))
        for name, row in report.load_results().items()
        if name.startswith("peers ")
    ]
    return report.table(("captioner", *(says for says, _, _ in columns)), rows)
