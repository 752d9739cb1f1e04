"""Reads what the environment says, once, into one value; nothing else in Greffier reads the environment.

``docs/settings.md`` explains each variable; a test holds it complete.
"""

import difflib
import os
import re
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
class IceServer:
    """One STUN or TURN server (RFC 7064, RFC 7065); TURN has a user and a password."""

    url: str
    username: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What may be chosen without touching code; None lets the calibration of this machine choose.

    ``home`` keeps what must not be lost: the store, its objects, the secret that signs tokens. Times are seconds,
    ``upload_limit`` bytes; ``origins`` are the origins whose pages may call the API.

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
    home: Path = Path("greffier")
    database_url: str = "sqlite:///greffier/greffier.db"
    host: str = "127.0.0.1"
    port: int = 8642
    ice_servers: tuple[IceServer, ...] = ()
    empty_after: float = 600.0
    hls_hold_back: float = 5.0
    upload_limit: int = 2 * 1024**3
    origins: tuple[str, ...] = ()
    token_ttl: float = 3600.0
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
HOST = Variable(
    "GREFFIER_HOST",
    "127.0.0.1",
    "an address or a host name of this machine",
    "Where the server listens; anything but loopback asks everybody for a key.",
)
PORT = Variable("GREFFIER_PORT", "8642", "a whole number from 0 to 65535", "Its port; 0 takes any that is free.")
HOME = Variable(
    "GREFFIER_HOME",
    "~/.local/share/greffier",
    "a folder",
    "What must not be lost: meetings, recordings, the secret that signs tokens. XDG_DATA_HOME moves the default.",
)
DATABASE_URL = Variable(
    "GREFFIER_DATABASE_URL",
    "auto",
    "auto or sqlite:///PATH",
    "Where meetings are kept; auto is greffier.db in GREFFIER_HOME.",
)
ICE_SERVERS = Variable(
    "GREFFIER_ICE_SERVERS",
    "none",
    "none or URLs such as stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT, with commas between",
    "How browsers and this server find a way to each other through firewalls; those who publish are told them.",
)
EMPTY_AFTER = Variable(
    "GREFFIER_EMPTY_AFTER",
    "600",
    "seconds from 1 to 86400",
    "How long nobody may be publishing or reading before a meeting ends by itself.",
)
HLS_HOLD_BACK = Variable(
    "GREFFIER_HLS_HOLD_BACK",
    "5",
    "seconds from 0 to 60",
    "How long after its end a segment of live captions is listed for players: longer leaves fewer phrases late.",
)
UPLOAD_LIMIT = Variable(
    "GREFFIER_UPLOAD_LIMIT", "2GiB", "bytes, or a number with KiB, MiB or GiB", "The largest recording that is taken."
)
ORIGINS = Variable(
    "GREFFIER_ORIGINS",
    "none",
    "none or origins such as https://HOST, with commas between",
    "Whose pages may call the API from a browser (CORS), with a token of their own.",
)
TOKEN_TTL = Variable(
    "GREFFIER_TOKEN_TTL",
    "3600",
    "seconds from 10 to 86400",
    "How long a token of a participant or a reader opens new connections.",
)
VARIABLES = (
    *(MODEL, DEVICE, COMPUTE_TYPE, SPOKEN, CACHE, THREADS, BATCH, STEP, POLICY),
    *(HOST, PORT, HOME, DATABASE_URL, ICE_SERVERS, EMPTY_AFTER, HLS_HOLD_BACK, UPLOAD_LIMIT, ORIGINS, TOKEN_TTL),
)


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of an environment, the process's own when none is given.

    Raises ``InvalidSetting`` naming the variable, its value and what is allowed.
    """
    environ = os.environ if environ is None else environ
    home = _folder(environ, HOME, "XDG_DATA_HOME", ".local/share")
    return Settings(
        cache=_folder(environ, CACHE, "XDG_CACHE_HOME", ".cache"),
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
        home=home,
        database_url=_read(environ, DATABASE_URL, lambda text: _database_url(text, home)),
        host=_read(environ, HOST, parse_host),
        port=_read(environ, PORT, lambda text: _within(int(text), 0, 65535)),
        ice_servers=_read(environ, ICE_SERVERS, _or_none(_ice_server)),
        empty_after=_read(environ, EMPTY_AFTER, lambda text: _within(float(text), 1.0, 86400.0)),
        hls_hold_back=_read(environ, HLS_HOLD_BACK, lambda text: _within(float(text), 0.0, 60.0)),
        upload_limit=_read(environ, UPLOAD_LIMIT, _size),
        origins=_read(environ, ORIGINS, _or_none(_origin)),
        token_ttl=_read(environ, TOKEN_TTL, lambda text: _within(float(text), 10.0, 86400.0)),
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


def parse_host(text: str) -> str:
    """A host name (RFC 1123) or an IPv4 or IPv6 address, without brackets. Raises ``ValueError``."""
    host = text.removeprefix("[").removesuffix("]")
    if not re.fullmatch(r"[A-Za-z0-9.:_-]{1,253}(%[A-Za-z0-9._-]+)?", host):
        raise ValueError(text)
    return host


def _database_url(text: str, home: Path) -> str:
    if text == "auto":
        return f"sqlite:///{home / 'greffier.db'}"
    if not re.fullmatch(r"sqlite:///.+", text):
        raise ValueError(text)
    return text


def _ice_server(text: str) -> IceServer:
    """A URI of RFC 7064 or RFC 7065; for TURN, user and password stand before the host."""
    found = re.fullmatch(
        r"(?P<scheme>stuns?|turns?):((?P<user>[^:@\s]+):(?P<password>[^@\s]+)@)?(?P<rest>[^@\s/]+)", text
    )
    if found is None or found["scheme"].startswith("turn") != (found["user"] is not None):
        raise ValueError(text)
    return IceServer(f"{found['scheme']}:{found['rest']}", found["user"], found["password"])


def _origin(text: str) -> str:
    """An origin as browsers write it (RFC 6454): lower case, no path, no slash at its end."""
    if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d{1,5})?", text):
        raise ValueError(text)
    return text


_UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,15})\s*(KiB|MiB|GiB)?", text)
    if found is None or not int(found[1]):
        raise ValueError(text)
    return int(found[1]) * _UNITS[found[2] or ""]


def _or_none(parse: Callable[[str], Value]) -> Callable[[str], tuple[Value, ...]]:
    """Several values with commas between them; ``none`` is none of them."""
    return lambda text: () if text == "none" else tuple(parse(one.strip()) for one in text.split(",") if one.strip())


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


def _folder(environ: Mapping[str, str], variable: Variable, xdg: str, below: str) -> Path:
    asked = environ.get(variable.name, "").strip()
    if not asked:
        # XDG Base Directory Specification: a relative path in its variables is to be ignored.
        base = Path(environ.get(xdg, ""))
        return base / "greffier" if base.is_absolute() else _home(environ) / below / "greffier"
    folder = _home(environ) / asked[2:] if asked.startswith("~/") else Path(asked).absolute()
    if folder.exists() and not folder.is_dir():
        raise InvalidSetting(f"{variable.name} is {asked!r}, and must be {variable.allowed}")
    return folder


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME", "")
    return Path(home) if home else Path.home()


def _is_unknown(name: str) -> bool:
    return name.startswith("GREFFIER_") and name not in {variable.name for variable in VARIABLES}


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, [variable.name for variable in VARIABLES], 1, cutoff=0.0)
    return f"{name} means nothing to Greffier; the nearest name is {near[0]}"
