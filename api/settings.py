"""Reads what the environment says, once, into one value; nothing else in Greffier reads the environment.

``api/variables.py`` says which variables there are.
"""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from api import variables
from api.parsing import (
    IceServer,
    Value,
    agent_name,
    database_url,
    fitting,
    folder_of_objects,
    header_value,
    ice_server,
    janus_room,
    kyutai_url,
    or_auto,
    or_none,
    origin,
    parse_compute_type,
    parse_host,
    parse_languages,
    port_range,
    redis_url,
    shared_secret,
    size,
    unless_none,
    url_of,
    url_or_host,
    within,
    yes,
)
from api.variables import VARIABLES, Variable
from pipeline.errors import InvalidSetting


class Device(Enum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class DiarizeRecordings(Enum):
    AUTO = "auto"
    NEVER = "never"


class SharedRooms(Enum):
    AUTO = "auto"
    MARKED = "marked"
    NEVER = "never"


class Settle(Enum):
    AUTO = "auto"
    NEVER = "never"


class PolicyName(Enum):
    ALIGNATT = "alignatt"
    LOCAL_AGREEMENT = "local-agreement"


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
class KyutaiSettings:
    """``slots`` of each moshi-server of ``urls`` may be in use at once; ``delay`` of its model, in seconds."""

    urls: tuple[str, ...]
    key: str = field(repr=False)
    slots: int = 64
    delay: float = 0.5


@dataclass(frozen=True, slots=True)
class S3Settings:
    """A bucket of an S3 at ``endpoint``, a URL; ``key`` and ``secret`` sign; browsers reach it at ``public_url``."""

    endpoint: str
    bucket: str
    key: str
    secret: str = field(repr=False)
    region: str = variables.S3_REGION.default
    path_style: bool = True
    public_url: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What may be chosen without touching code; None lets the calibration of this machine choose.

    ``home`` keeps what must not be lost: the store, its objects, the secret that signs tokens. Times are seconds,
    ``upload_limit`` bytes; ``origins`` are the origins whose pages may call the API. ``redis_url`` and ``secret`` are
    for processes that share meetings (``for_many_processes``).

    ``unknown`` holds one sentence per ``GREFFIER_*`` variable that means nothing, to be shown once at start.
    """

    cache: Path
    model: str = "whisper-base"
    diarization: str = variables.DIARIZATION.default
    diarize_recordings: DiarizeRecordings = DiarizeRecordings.AUTO
    shared_rooms: SharedRooms = SharedRooms.AUTO
    settle: Settle = Settle.AUTO
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
    udp_ports: range | None = None
    empty_after: float = 600.0
    hls_hold_back: float = 5.0
    upload_limit: int = 2 * 1024**3
    origins: tuple[str, ...] = ()
    token_ttl: float = 3600.0
    livekit: LiveKitSettings | None = None
    janus: JanusSettings | None = None
    kyutai: KyutaiSettings | None = None
    s3: S3Settings | None = None
    redis_url: str | None = field(default=None, repr=False)
    secret: bytes | None = field(default=None, repr=False)
    talkers: int | None = None
    traces: str | None = None
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
        diarization=environ.get(variables.DIARIZATION.name, "").strip() or variables.DIARIZATION.default,
        diarize_recordings=_read(environ, variables.DIARIZE_RECORDINGS, DiarizeRecordings),
        shared_rooms=_read(environ, variables.SHARED_ROOMS, SharedRooms),
        settle=_read(environ, variables.SETTLE, Settle),
        device=_read(environ, variables.DEVICE, Device),
        compute_type=_read(environ, variables.COMPUTE_TYPE, or_auto(parse_compute_type)),
        languages=_read(environ, variables.SPOKEN, parse_languages),
        threads=_read(environ, variables.THREADS, or_auto(lambda text: within(int(text), 1, 256))),
        batch=_read(environ, variables.BATCH, or_auto(lambda text: within(int(text), 1, 256))),
        step=_read(environ, variables.STEP, or_auto(lambda text: within(float(text), 0.2, 10.0))),
        policy=_read(environ, variables.POLICY, PolicyName),
        # pyannote.audio reports its use to its makers unless this says false; it belongs to pyannote, not to Greffier.
        pyannote_metrics=environ.get("PYANNOTE_METRICS_ENABLED", "true").lower() in {"true", "1"},
        home=home,
        database_url=_read(environ, variables.DATABASE_URL, lambda text: database_url(text, home)),
        host=_read(environ, variables.HOST, parse_host),
        port=_read(environ, variables.PORT, lambda text: within(int(text), 0, 65535)),
        ice_servers=_read(environ, variables.ICE_SERVERS, or_none(ice_server)),
        udp_ports=_read(environ, variables.UDP_PORTS, or_auto(port_range)),
        empty_after=_read(environ, variables.EMPTY_AFTER, lambda text: within(float(text), 1.0, 86400.0)),
        hls_hold_back=_read(environ, variables.HLS_HOLD_BACK, lambda text: within(float(text), 0.0, 60.0)),
        upload_limit=_read(environ, variables.UPLOAD_LIMIT, size),
        origins=_read(environ, variables.ORIGINS, or_none(origin)),
        token_ttl=_read(environ, variables.TOKEN_TTL, lambda text: within(float(text), 10.0, 86400.0)),
        livekit=_livekit(environ),
        janus=_janus(environ),
        kyutai=_kyutai(environ),
        s3=_s3(environ),
        redis_url=_read(environ, variables.REDIS_URL, unless_none(redis_url)),
        secret=_read(environ, variables.SECRET, unless_none(shared_secret)),
        talkers=_read(environ, variables.TALKERS, or_auto(lambda text: within(int(text), 1, 10000))),
        traces=_read(environ, variables.TRACES, unless_none(lambda text: url_of("https?")(text).removesuffix("/"))),
        unknown=tuple(_unknown(name) for name in sorted(environ) if _is_unknown(name)),
    )


def for_many_processes(settings: Settings, *, signs: bool) -> str:
    """The URL of Redis, where all is set that a process needs which shares meetings with others.

    ``signs``: it makes or reads tokens. Raises ``InvalidSetting`` naming what is missing.
    """
    missing = [] if settings.redis_url else [f"{variables.REDIS_URL.name} (redis://HOST:PORT/0)"]
    if settings.database_url.startswith("sqlite:"):
        missing.append(f"{variables.DATABASE_URL.name} (a PostgreSQL)")
    if signs and settings.secret is None:
        missing.append(f"{variables.SECRET.name} ({variables.SECRET.allowed.removeprefix('none or ')})")
    if missing or settings.redis_url is None:
        raise InvalidSetting(
            f"{' and '.join(missing)} must be set: gateways, workers and APIs share them; `greffier serve` does without"
        )
    return settings.redis_url


def _livekit(environ: Mapping[str, str]) -> LiveKitSettings | None:
    """Raises ``InvalidSetting`` where only some of the three that belong together are given."""
    url = _read(environ, variables.LIVEKIT_URL, unless_none(url_of("wss?|https?")))
    key = _read(environ, variables.LIVEKIT_API_KEY, unless_none(str))
    secret = _read(environ, variables.LIVEKIT_API_SECRET, unless_none(str))
    given = LiveKitSettings(
        url or "",
        key or "",
        secret or "",
        transcriber=_read(environ, variables.TRANSCRIBER, agent_name),
        collector=_read(environ, variables.COLLECTOR, agent_name),
        folder=_read(environ, variables.METADATA_FOLDER, folder_of_objects),
        packets=_read(environ, variables.PACKETS, PacketMode),
    )
    collects = _read(environ, variables.COLLECTS, yes)
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
    url = _read(environ, variables.JANUS_URL, unless_none(url_of("wss?")))
    rooms = _read(environ, variables.JANUS_ROOMS, or_none(janus_room))
    secret, token, pin = (
        _read(environ, variable, unless_none(str))
        for variable in (variables.JANUS_SECRET, variables.JANUS_TOKEN, variables.JANUS_PIN)
    )
    return None if url is None else JanusSettings(url, rooms, secret, token, pin)


def _kyutai(environ: Mapping[str, str]) -> KyutaiSettings | None:
    """Raises ``InvalidSetting`` for servers without a key; without servers the others mean nothing."""
    urls = tuple(dict.fromkeys(_read(environ, variables.KYUTAI_URLS, or_none(kyutai_url))))
    key = _read(environ, variables.KYUTAI_KEY, unless_none(header_value))
    slots = _read(environ, variables.KYUTAI_SLOTS, lambda text: within(int(text), 1, 10000))
    delay = _read(environ, variables.KYUTAI_DELAY, lambda text: within(float(text), 0.08, 10.0))
    if not urls:
        return None
    if key is None:
        raise InvalidSetting(f"{variables.KYUTAI_KEY.name} must be set, too: {variables.KYUTAI_KEY.allowed}")
    return KyutaiSettings(urls, key, slots, delay)


def _s3(environ: Mapping[str, str]) -> S3Settings | None:
    """Raises ``InvalidSetting`` where only some of the four that belong together are given."""
    endpoint = _read(environ, variables.S3_ENDPOINT, unless_none(url_of("https?")))
    secure = _read(environ, variables.AWS_SECURE, yes)
    visios = _read(environ, variables.AWS_ENDPOINT, unless_none(lambda text: url_or_host(text, secure=secure)))
    bucket = _first(environ, variables.S3[1], unless_none(fitting(r"[A-Za-z0-9][A-Za-z0-9._-]{2,62}")))
    key, secret = (_first(environ, names, unless_none(str)) for names in variables.S3[2:])
    region = _first(environ, (variables.S3_REGION, variables.AWS_REGION), fitting(r"[A-Za-z0-9-]{1,64}"))
    path_style = _read(environ, variables.S3_PATH_STYLE, yes)
    public_url = (_read(environ, variables.S3_PUBLIC_URL, unless_none(url_of("https?"))) or "").removesuffix(
        "/"
    ) or None
    endpoint = (endpoint or visios or "").removesuffix("/") or None
    four = zip(variables.S3, (endpoint, bucket, key, secret), strict=True)
    missing = [f"{ours.name} (or {visios.name})" for (ours, visios), text in four if text is None]
    if len(missing) == len(variables.S3):
        return None
    if missing:
        raise InvalidSetting(f"{' and '.join(missing)} must be set, too: where files go in S3 takes all four")
    return S3Settings(
        endpoint or "",
        bucket or "",
        key or "",
        secret or "",
        region,
        path_style,
        public_url and public_url.removesuffix("/"),
    )


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
