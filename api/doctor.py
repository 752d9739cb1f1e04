"""Says what this machine has, what it lacks to caption meetings, and how to get it. Nothing is fetched or changed."""

import asyncio
import importlib.metadata
import json
import os
import shutil
import sys
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

import ctranslate2
import psutil

from api.settings import Device, JanusSettings, KyutaiSettings, LiveKitSettings, S3Settings, Settings, SharedRooms
from api.variables import (
    DATABASE_URL,
    JANUS_URL,
    KYUTAI_URLS,
    LIVEKIT_URL,
    REDIS_URL,
    S3_ENDPOINT,
    SHARED_ROOMS,
    Variable,
)
from models.cuda import load_cublas
from models.silero import bundled_model
from models.voice_onnx import are_made, voice_folder
from models.weights import flaws
from pipeline.errors import GreffierError, ModelUnavailable, NotFound

CALIBRATION_FILE = "calibration.json"

_NEEDED = (
    *("av", "ctranslate2", "faster-whisper", "msgpack", "numpy", "onnxruntime", "soxr", "tokenizers", "webvtt-py"),
    "websockets",
)
_EXTRAS = {
    "diarization": ("pyannote.audio", "torch"),
    "server": ("aiortc", "dramatiq", "fastapi", "redis", "structlog", "uvicorn"),
    "traces": ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"),
}
_LEAST_PYTHON = (3, 11)
_LEAST_MEMORY_GB = 2.0
_LEAST_ROOM_GB = 1.0
_ANSWER_SECONDS = 5.0


class Level(Enum):
    FINE = "ok"
    NOTE = "note"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``remedy`` says how to get it where something lacks."""

    level: Level
    subject: str
    said: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    return [
        *_variables(settings),
        _python(),
        *_packages(),
        _weights(settings.model, settings.cache),
        _detector(),
        *_voices(settings),
        _processor(Path("/proc/cpuinfo")),
        _cores(Path("/sys/fs/cgroup/cpu.max")),
        _memory(),
        _gpu(settings.device),
        _room(settings.cache),
        _calibration(settings.cache / CALIBRATION_FILE),
        *_telemetry(settings),
        *_others(settings),
    ]


def all_well(findings: Iterable[Finding]) -> bool:
    return all(finding.level is not Level.MISSING for finding in findings)


def render(findings: Iterable[Finding], *, colour: bool = False) -> str:
    """One line per finding, and the remedy under it."""
    colours = {Level.FINE: "32", Level.NOTE: "33", Level.MISSING: "31"}
    lines = []
    for finding in findings:
        level = f"{finding.level.value:7}"
        if colour:
            level = f"\x1b[{colours[finding.level]}m{level}\x1b[0m"
        lines.append(f"{level}  {finding.subject:12}  {finding.said}")
        if finding.remedy:
            lines.append(f"{'':23}{finding.remedy}")
    return "\n".join(lines)


def _variables(settings: Settings) -> list[Finding]:
    return [Finding(Level.NOTE, "settings", sentence, "see docs/settings.md") for sentence in settings.unknown]


def _python() -> Finding:
    version = ".".join(str(number) for number in sys.version_info[:3])
    if sys.version_info[:2] < _LEAST_PYTHON:
        return Finding(Level.MISSING, "python", version, "install Python 3.11 or newer, then run make setup again")
    return Finding(Level.FINE, "python", version)


def _packages() -> list[Finding]:
    lacking = [name for name in _NEEDED if _version(name) is None]
    versions = ", ".join(f"{name} {_version(name)}" for name in _NEEDED if name not in lacking)
    findings = [Finding(Level.FINE, "packages", versions)]
    if lacking:
        findings.append(Finding(Level.MISSING, "packages", ", ".join(lacking), "run make setup"))
    for extra, names in _EXTRAS.items():
        lacking = [name for name in names if _version(name) is None]
        if lacking:
            remedy = f"needed for {extra} only: uv pip install -c constraints.txt -e '.[{extra}]'"
            findings.append(Finding(Level.NOTE, "packages", f"{', '.join(lacking)} not installed", remedy))
    return findings


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _weights(model: str, cache: Path) -> Finding:
    wrong = flaws(model, cache)
    if wrong:
        remedy = f"python -m models.weights --cache {cache} {model}"
        return Finding(Level.MISSING, "weights", f"{model}: {'; '.join(wrong)}", remedy)
    return Finding(Level.FINE, "weights", f"{model} is whole")


def _detector() -> Finding:
    try:
        return Finding(Level.FINE, "weights", f"{bundled_model().name} is there")
    except ModelUnavailable as error:
        return Finding(Level.MISSING, "weights", str(error), "make setup")


def _voices(settings: Settings) -> list[Finding]:
    if settings.shared_rooms is SharedRooms.NEVER:
        return []
    if are_made(voice_folder(settings.cache)):
        return [Finding(Level.FINE, "voices", "the models for shared microphones are there")]
    remedy = f"make setup makes them, with the extra diarization; or set {SHARED_ROOMS.name}=never"
    return [Finding(Level.NOTE, "voices", "no models: voices at shared microphones are not told apart live", remedy)]


def _processor(cpuinfo: Path) -> Finding:
    """Int8 recognition is several times slower without AVX2 on x86; ARM processors have what it needs."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    wide = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx_vnni") if flag in flags]
    types = ", ".join(sorted(ctranslate2.get_supported_compute_types("cpu")))
    if flags and "avx2" not in wide:
        return Finding(
            Level.NOTE, "processor", f"no AVX2; computes in {types}", "captions will lag: prefer a newer one"
        )
    return Finding(Level.FINE, "processor", f"{', '.join(wide) or 'flags unknown'}; computes in {types}")


def _cores(cpu_max: Path) -> Finding:
    """The cores this process may use; a container may allow less than it shows (cgroup v2, cpu.max)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count() or 1
    said = f"{cores}"
    match cpu_max.read_text().split() if cpu_max.is_file() else []:
        case [quota, period] if quota != "max":
            allowed = int(quota) / int(period)
            said += f", of which the container allows {allowed:.1f}"
            cores = min(cores, allowed)
    if cores < 2:
        return Finding(Level.NOTE, "cores", said, "two cores caption several talkers, one core hardly more than one")
    return Finding(Level.FINE, "cores", said)


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    free, total = memory.available / 1e9, memory.total / 1e9
    said = f"{free:.1f} GB free of {total:.1f} GB"
    if free < _LEAST_MEMORY_GB:
        return Finding(Level.NOTE, "memory", said, "the base model with 8 talkers takes up to 1.5 GB")
    return Finding(Level.FINE, "memory", said)


def _gpu(device: Device) -> Finding:
    count = ctranslate2.get_cuda_device_count()
    if count and not load_cublas():
        return Finding(
            Level.MISSING if device is Device.CUDA else Level.NOTE,
            "gpu",
            f"{count} found, but not libcublas.so.12",
            "uv pip install -c constraints.txt -e '.[gpu]', or install CUDA 12",
        )
    if count:
        types = ", ".join(sorted(ctranslate2.get_supported_compute_types("cuda")))
        return Finding(Level.FINE, "gpu", f"{count}; computes in {types}")
    if device is Device.CUDA:
        return Finding(Level.MISSING, "gpu", "none found", "install NVIDIA's driver, or set GREFFIER_DEVICE=auto")
    return Finding(Level.FINE, "gpu", "none; captions are made on the processor")


def _room(cache: Path) -> Finding:
    folder = next(folder for folder in (cache, *cache.parents) if folder.is_dir())
    free = shutil.disk_usage(folder).free / 1e9
    said = f"{free:.1f} GB free in {cache}"
    if not os.access(folder, os.W_OK):
        return Finding(Level.NOTE, "cache", f"{cache} cannot be written", "set GREFFIER_CACHE to a folder of yours")
    if free < _LEAST_ROOM_GB:
        return Finding(Level.NOTE, "cache", said, "free some room, or set GREFFIER_CACHE to another disk")
    return Finding(Level.FINE, "cache", said)


def _calibration(path: Path) -> Finding:
    """What was measured, for each model; the names of the entries are those of ``models.calibration``."""
    try:
        found = json.loads(path.read_text())
        said = "; ".join(
            f"{key.split('|')[2]}: {', '.join(f'{name} {value}' for name, value in measured.items())}"
            for key, measured in found.items()
        )
    except FileNotFoundError:
        return Finding(Level.NOTE, "calibration", "not done yet", "the first captions do it by themselves")
    except (OSError, ValueError, AttributeError, IndexError):
        return Finding(Level.NOTE, "calibration", f"{path} cannot be read", "remove it: it is made again")
    return Finding(Level.FINE, "calibration", said)


def _telemetry(settings: Settings) -> list[Finding]:
    if _version("pyannote.audio") is None:
        return []
    if settings.pyannote_metrics:
        return [
            Finding(
                Level.NOTE,
                "telemetry",
                "pyannote.audio reports its use to its makers",
                "export PYANNOTE_METRICS_ENABLED=false",
            )
        ]
    return [Finding(Level.FINE, "telemetry", "pyannote.audio reports nothing")]


def _others(settings: Settings) -> list[Finding]:
    """Whether the database, Redis, the SFUs, the S3 and the Kyutai servers that are set answer, and let us in."""
    findings = []
    if settings.database_url.startswith("postgres"):
        findings.append(_database(settings.database_url))
    if settings.redis_url is not None:
        asking = asyncio.run(_refusal(_ask_redis(settings.redis_url)))
        findings.append(_answer("redis", urlsplit(settings.redis_url).hostname or "", asking, REDIS_URL))
    if settings.livekit is not None:
        asking = asyncio.run(_refusal(_ask_livekit(settings.livekit)))
        findings.append(_answer("livekit", settings.livekit.url, asking, LIVEKIT_URL))
    if settings.janus is not None:
        asking = asyncio.run(_refusal(_ask_janus(settings.janus)))
        findings.append(_answer("janus", settings.janus.url, asking, JANUS_URL))
    if settings.s3 is not None:
        asking = asyncio.run(_refusal(_ask_s3(settings.s3)))
        findings.append(_answer("s3", f"{settings.s3.endpoint}/{settings.s3.bucket}", asking, S3_ENDPOINT))
    if settings.kyutai is not None:
        findings += [_kyutai(url, settings.kyutai) for url in settings.kyutai.urls]
    return findings


def _kyutai(url: str, settings: KyutaiSettings) -> Finding:
    from models.kyutai.look import look_at
    from models.kyutai.server import ServerSettings

    try:
        said = asyncio.run(look_at(url, ServerSettings((url,), settings.key, settings.slots, settings.delay)))
    except GreffierError as error:
        return _answer("kyutai", url, str(error), KYUTAI_URLS)
    return Finding(Level.FINE, "kyutai", said)


def _database(url: str) -> Finding:
    from pipeline.store.database import address, reach_database

    refusal = asyncio.run(_refusal(asyncio.to_thread(reach_database, url)))
    return _answer("database", address(url), refusal, DATABASE_URL)


def _answer(subject: str, url: str, refusal: str | None, variable: Variable) -> Finding:
    if refusal is None:
        return Finding(Level.FINE, subject, f"{url} answers and knows this server")
    return Finding(
        Level.MISSING,
        subject,
        refusal,
        f"see to {variable.name} and what belongs to it, and that this machine may reach it",
    )


async def _refusal(asking: Coroutine[None, None, None]) -> str | None:
    """Why somebody else does not do what it is asked."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await asking
    except TimeoutError:
        return f"no answer within {_ANSWER_SECONDS:.0f} s"
    except GreffierError as error:
        return str(error)
    return None


async def _ask_redis(url: str) -> None:
    from pipeline.bus.redis.connection import RedisBus

    await (await RedisBus.open(url, "doctor")).close()


async def _ask_livekit(settings: LiveKitSettings) -> None:
    from media_gateway.livekit import LiveKitServer

    server = LiveKitServer(settings.url, settings.key, settings.secret)
    try:
        await server.rooms()
    finally:
        await server.close()


async def _ask_janus(settings: JanusSettings) -> None:
    from media_gateway.janus import JanusGateway, JanusServer

    await JanusGateway(JanusServer(settings.url, settings.pin, settings.secret, settings.token)).check()


async def _ask_s3(settings: S3Settings) -> None:
    """Reads, since nothing is to be changed; whether it may write is seen with the first file."""
    from api.gateways import open_s3

    with suppress(NotFound):
        (await open_s3(settings).open("greffier/doctor")).close()
