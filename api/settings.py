"""Reads what the environment says, once, into one value; nothing else in Greffier reads the environment.

``api/variables.py`` says which variables there are.
"""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TypeVar

from api import variables
from api.variables import COMPUTE_TYPES, VARIABLES, Variable
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
    credential: str | None = field(default=None, repr=False)


class PacketMode(Enum):
    APPEND = "append"
    IN_PLACE = "in-place"


@dataclass(frozen=True, slots=True)
class LiveKitSettings:
    """``transcriber`` and ``collector`` are names of agents, ``collector`` None where there is to be none.

    ``folder`` is where the collector writes in the object store, ``packets`` how Transcription packets are sent.
    """

    url: str
    key: str
    secret: str = field(repr=False)
    transcriber: str = variables.TRANSCRIBER.default
    collector: str | None = variables.COLLECTOR.default
    folder: str = variables.METADATA_FOLDER.default
    packets: PacketMode = PacketMode.APPEND


@dataclass(frozen=True, slots=True)
class JanusSettings:
    """``rooms`` are captioned whenever somebody is in them; ``secret`` and ``token`` open the API, ``pin`` rooms."""

    url: str
    rooms: tuple[str, ...] = ()
    secret: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    pin: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class S3Settings:
    """A bucket of an S3 at ``endpoint``, a URL; ``key`` and ``secret`` sign."""

    endpoint: str
    bucket: str
    key: str
    secret: str = field(repr=False)
    region: str = variables.S3_REGION.default


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
    database_url: str = field(default="sqlite:///greffier/greffier.db", repr=False)
    host: str = "127.0.0.1"
    port: int = 8642
    ice_servers: tuple[IceServer, ...] = ()
    empty_after: float = 600.0
    hls_hold_back: float = 5.0
    upload_limit: int = 2 * 1024**3
    origins: tuple[str, ...] = ()
    token_ttl: float = 3600.0
    livekit: LiveKitSettings | None = None
    janus: JanusSettings | None = None
    s3: S3Settings | None = None
    unknown: tuple[str, ...] = field(default=())


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of an environment, the process's own when none is given.

    Raises ``InvalidSetting`` naming the variable, its value and what is allowed.
    """
    environ = os.environ if environ is None else environ
    home = _folder(environ, variables.HOME, "XDG_DATA_HOME", ".local/share")
    return Settings(
        cache=_folder(environ, variables.CACHE, "XDG_CACHE_HOME", ".cache"),
        model=environ.get(variables.MODEL.name, "").strip() or variables.MODEL.default,
        device=_read(environ, variables.DEVICE, Device),
        compute_type=_read(environ, variables.COMPUTE_TYPE, _or_auto(parse_compute_type)),
        languages=_read(environ, variables.SPOKEN, parse_languages),
        threads=_read(environ, variables.THREADS, _or_auto(lambda text: _within(int(text), 1, 256))),
        batch=_read(environ, variables.BATCH, _or_auto(lambda text: _within(int(text), 1, 256))),
        step=_read(environ, variables.STEP, _or_auto(lambda text: _within(float(text), 0.2, 10.0))),
        policy=_read(environ, variables.POLICY, PolicyName),
        # pyannote.audio reports its use to its makers unless this says false; it belongs to pyannote, not to Greffier.
        pyannote_metrics=environ.get("PYANNOTE_METRICS_ENABLED", "true").lower() in {"true", "1"},
        home=home,
        database_url=_read(environ, variables.DATABASE_URL, lambda text: _database_url(text, home)),
        host=_read(environ, variables.HOST, parse_host),
        port=_read(environ, variables.PORT, lambda text: _within(int(text), 0, 65535)),
        ice_servers=_read(environ, variables.ICE_SERVERS, _or_none(_ice_server)),
        empty_after=_read(environ, variables.EMPTY_AFTER, lambda text: _within(float(text), 1.0, 86400.0)),
        hls_hold_back=_read(environ, variables.HLS_HOLD_BACK, lambda text: _within(float(text), 0.0, 60.0)),
        upload_limit=_read(environ, variables.UPLOAD_LIMIT, _size),
        origins=_read(environ, variables.ORIGINS, _or_none(_origin)),
        token_ttl=_read(environ, variables.TOKEN_TTL, lambda text: _within(float(text), 10.0, 86400.0)),
        livekit=_livekit(environ),
        janus=_janus(environ),
        s3=_s3(environ),
        unknown=tuple(_unknown(name) for name in sorted(environ) if _is_unknown(name)),
    )


def _livekit(environ: Mapping[str, str]) -> LiveKitSettings | None:
    """Raises ``InvalidSetting`` where only some of the three that belong together are given."""
    url = _read(environ, variables.LIVEKIT_URL, _unless_none(_url("wss?|https?")))
    key = _read(environ, variables.LIVEKIT_API_KEY, _unless_none(str))
    secret = _read(environ, variables.LIVEKIT_API_SECRET, _unless_none(str))
    given = LiveKitSettings(
        url or "",
        key or "",
        secret or "",
        transcriber=_read(environ, variables.TRANSCRIBER, _agent_name),
        collector=_read(environ, variables.COLLECTOR, _agent_name),
        folder=_read(environ, variables.METADATA_FOLDER, _folder_of_objects),
        packets=_read(environ, variables.PACKETS, PacketMode),
    )
    collects = _read(environ, variables.COLLECTS, _yes)
    three = zip(variables.LIVEKIT, (url, key, secret), strict=True)
    missing = [variable.name for variable, text in three if text is None]
    if len(missing) == len(variables.LIVEKIT):
        return None
    if missing:
        names = ", ".join(variable.name for variable in variables.LIVEKIT)
        raise InvalidSetting(f"{' and '.join(missing)} must be set, too: {names} belong together")
    return given if collects else replace(given, collector=None)


def _janus(environ: Mapping[str, str]) -> JanusSettings | None:
    """Without a URL the others mean nothing."""
    url = _read(environ, variables.JANUS_URL, _unless_none(_url("wss?")))
    rooms = _read(environ, variables.JANUS_ROOMS, _or_none(_janus_room))
    secret, token, pin = (
        _read(environ, variable, _unless_none(str))
        for variable in (variables.JANUS_SECRET, variables.JANUS_TOKEN, variables.JANUS_PIN)
    )
    return None if url is None else JanusSettings(url, rooms, secret, token, pin)


def _s3(environ: Mapping[str, str]) -> S3Settings | None:
    """Raises ``InvalidSetting`` where only some of the four that belong together are given."""
    endpoint = _read(environ, variables.S3_ENDPOINT, _unless_none(_url("https?")))
    secure = _read(environ, variables.AWS_SECURE, _yes)
    visios = _read(environ, variables.AWS_ENDPOINT, _unless_none(lambda text: _url_or_host(text, secure=secure)))
    bucket = _first(environ, variables.S3[1], _unless_none(_fitting(r"[A-Za-z0-9][A-Za-z0-9._-]{2,62}")))
    key, secret = (_first(environ, names, _unless_none(str)) for names in variables.S3[2:])
    region = _first(environ, (variables.S3_REGION, variables.AWS_REGION), _fitting(r"[A-Za-z0-9-]{1,64}"))
    endpoint = (endpoint or visios or "").removesuffix("/") or None
    four = zip(variables.S3, (endpoint, bucket, key, secret), strict=True)
    missing = [f"{ours.name} (or {visios.name})" for (ours, visios), text in four if text is None]
    if len(missing) == len(variables.S3):
        return None
    if missing:
        raise InvalidSetting(f"{' and '.join(missing)} must be set, too: where files go in S3 takes all four")
    return S3Settings(endpoint or "", bucket or "", key or "", secret or "", region)


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


_POSTGRESQL = (
    r"postgres(ql)?(\+psycopg)?://"
    r"([^\s:/?#@]+(:[^\s:/?#@]*)?@)?"  # other signs as %XX, so that no part of a password is taken for the host
    r"(([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?)?"  # none: a socket, or several in the options
    r"/[^\s/?#]+"
    r"(\?[^\s#]+)?"  # options of libpq
)


def _database_url(text: str, home: Path) -> str:
    if text == "auto":
        return f"sqlite:///{home / 'greffier.db'}"
    if not re.fullmatch(r"sqlite:///.+", text) and not re.fullmatch(_POSTGRESQL, text):
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


def _url(schemes: str) -> Callable[[str], str]:
    """Of the scheme that fits the pattern, with a host and no name or password in it."""

    def parse(text: str) -> str:
        if not re.fullmatch(rf"({schemes})://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(:\d{{1,5}})?(/[^\s?#@]*)?", text):
            raise ValueError(text)
        return text

    return parse


def _url_or_host(text: str, *, secure: bool) -> str:
    """A URL; Visio's agents are given a host alone, its summary one or the other."""
    scheme = "" if "://" in text else "https://" if secure else "http://"
    return _url("https?")(scheme + text)


def _fitting(pattern: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return parse


_agent_name = _fitting(r"[A-Za-z0-9._-]{1,64}")
_folder_of_objects = _fitting(r"\w[\w.-]*(/\w[\w.-]*)*")
"""The beginning of a key in the object store (``ObjectStore``)."""
_janus_room = _fitting(r"[^\s,]{1,200}")
"""A number, or a string where Janus is set to take them (``string_ids``)."""


def _yes(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


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
        found = "cannot be used as it is" if variable.secret else f"is {text!r}"
        raise InvalidSetting(f"{variable.name} {found}, and must be {variable.allowed}") from None


def _first(environ: Mapping[str, str], names: tuple[Variable, Variable], parse: Callable[[str], Value]) -> Value:
    """By the first of two names that has a value."""
    ours, visios = names
    return _read(environ, ours if environ.get(ours.name, "").strip() else visios, parse)


def _or_auto(parse: Callable[[str], Value]) -> Callable[[str], Value | None]:
    return lambda text: None if text == "auto" else parse(text)


def _unless_none(parse: Callable[[str], Value]) -> Callable[[str], Value | None]:
    return lambda text: None if text == "none" else parse(text)


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
