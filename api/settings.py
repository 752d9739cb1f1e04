"""Reads what the environment says, once, into one value; nothing else in Greffier reads the environment.

``docs/settings.md`` explains each variable; a test holds it complete.
"""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeVar

from pipeline.errors import InvalidSetting

Value = TypeVar("Value")

# The languages of the multilingual Whisper models, as ISO 639 codes.
LANGUAGES = tuple(
    (
        "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy "
        "id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru "
        "sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh"
    ).split()
)
COMPUTE_TYPES = ("int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32")


class Device(Enum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class PolicyName(Enum):
    ALIGNATT = "alignatt"
    LOCAL_AGREEMENT = "local-agreement"


@dataclass(frozen=True, slots=True)
class Settings:
    """What may be chosen without touching code; None lets the calibration of this machine choose.

    ``unknown`` holds one sentence per ``GREFFIER_*`` variable that means nothing, to be shown once at start.
    """

    cache: Path
    model: str = "whisper-base"
    device: Device = Device.AUTO
    compute_type: str | None = None
    languages: tuple[str, ...] = ("fr", "en")
    threads: int | None = None
    batch: int | None = None
    step: float | None = None
    policy: PolicyName = PolicyName.ALIGNATT
    pyannote_metrics: bool = True
    unknown: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the environment; ``meaning`` is what ``greffier --help`` and the documentation say of it."""

    name: str
    default: str
    allowed: str
    meaning: str


MODEL = Variable(
    "GREFFIER_MODEL", "whisper-base", "a pinned name, a folder or a hub id", "The Whisper model that recognises speech."
)
DEVICE = Variable("GREFFIER_DEVICE", "auto", "auto, cpu or cuda", "Where the model runs; auto takes a GPU if any.")
COMPUTE_TYPE = Variable(
    "GREFFIER_COMPUTE_TYPE",
    "auto",
    f"auto or one of {', '.join(COMPUTE_TYPES)}",
    "The arithmetic of the model; auto is int8 on a CPU and float16 on a GPU.",
)
SPOKEN = Variable(
    "GREFFIER_LANGUAGES",
    "fr,en",
    "codes of languages that Whisper knows, such as fr or fr,en",
    "The languages that may be spoken, preferred first; with one alone, none is detected.",
)
CACHE = Variable(
    "GREFFIER_CACHE",
    "~/.cache/greffier",
    "a folder",
    "What is fetched or measured once: weights, the calibration of this machine. XDG_CACHE_HOME moves the default.",
)
THREADS = Variable(
    "GREFFIER_THREADS", "auto", "auto or a whole number from 1 to 256", "Threads of each recognition on a CPU."
)
BATCH = Variable(
    "GREFFIER_BATCH", "auto", "auto or a whole number from 1 to 256", "Windows that are recognised together at most."
)
STEP = Variable(
    "GREFFIER_STEP",
    "auto",
    "auto or seconds from 0.2 to 10",
    "How often each speaker's caption is renewed when there is time; it widens under load.",
)
POLICY = Variable(
    "GREFFIER_POLICY", "alignatt", "alignatt or local-agreement", "The rule that decides which words no longer change."
)
VARIABLES = (MODEL, DEVICE, COMPUTE_TYPE, SPOKEN, CACHE, THREADS, BATCH, STEP, POLICY)


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of an environment, the process's own when none is given.

    Raises ``InvalidSetting`` naming the variable, its value and what is allowed.
    """
    environ = os.environ if environ is None else environ
    return Settings(
        cache=_cache(environ),
        model=environ.get(MODEL.name, "").strip() or MODEL.default,
        device=_read(environ, DEVICE, Device),
        compute_type=_read(environ, COMPUTE_TYPE, _or_auto(parse_compute_type)),
        languages=_read(environ, SPOKEN, parse_languages),
        threads=_read(environ, THREADS, _or_auto(lambda text: _within(int(text), 1, 256))),
        batch=_read(environ, BATCH, _or_auto(lambda text: _within(int(text), 1, 256))),
        step=_read(environ, STEP, _or_auto(lambda text: _within(float(text), 0.2, 10.0))),
        policy=_read(environ, POLICY, PolicyName),
        # pyannote.audio reports its use to its makers unless this says false; it belongs to pyannote, not to Greffier.
        pyannote_metrics=environ.get("PYANNOTE_METRICS_ENABLED", "true").lower() in {"true", "1"},
        unknown=tuple(_unknown(name) for name in sorted(environ) if _is_unknown(name)),
    )


def parse_languages(text: str) -> tuple[str, ...]:
    """``fr,en`` as codes, each once, in order. Raises ``ValueError`` on a code that Whisper does not know."""
    codes = tuple(dict.fromkeys(code.strip().lower() for code in text.split(",") if code.strip()))
    strange = [code for code in codes if code not in LANGUAGES]
    if strange or not codes:
        raise ValueError(", ".join(strange) or "no language")
    return codes


def parse_compute_type(text: str) -> str:
    if text not in COMPUTE_TYPES:
        raise ValueError(text)
    return text


def _read(environ: Mapping[str, str], variable: Variable, parse: Callable[[str], Value]) -> Value:
    text = environ.get(variable.name, "").strip()
    try:
        return parse(text or variable.default)
    except ValueError:
        raise InvalidSetting(f"{variable.name} is {text!r}, and must be {variable.allowed}") from None


def _or_auto(parse: Callable[[str], Value]) -> Callable[[str], Value | None]:
    return lambda text: None if text == "auto" else parse(text)


Number = TypeVar("Number", int, float)


def _within(number: Number, least: Number, most: Number) -> Number:
    if not least <= number <= most:  # false for nan too
        raise ValueError(number)
    return number


def _cache(environ: Mapping[str, str]) -> Path:
    asked = environ.get(CACHE.name, "").strip()
    if not asked:
        # XDG Base Directory Specification: a relative path in XDG_CACHE_HOME is to be ignored.
        base = Path(environ.get("XDG_CACHE_HOME", ""))
        return base / "greffier" if base.is_absolute() else _home(environ) / ".cache" / "greffier"
    folder = _home(environ) / asked[2:] if asked.startswith("~/") else Path(asked).absolute()
    if folder.exists() and not folder.is_dir():
        raise InvalidSetting(f"{CACHE.name} is {asked!r}, and must be {CACHE.allowed}")
    return folder


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME", "")
    return Path(home) if home else Path.home()


def _is_unknown(name: str) -> bool:
    return name.startswith("GREFFIER_") and name not in {variable.name for variable in VARIABLES}


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, [variable.name for variable in VARIABLES], 1, cutoff=0.0)
    return f"{name} means nothing to Greffier; the nearest name is {near[0]}"
