"""What the text of a setting means: each function gives its value, or raises ``ValueError``."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from api.variables import COMPUTE_TYPES
from pipeline.domain import SpeakerCount

Value = TypeVar("Value")

# The languages of the multilingual Whisper models, as ISO 639 codes.
LANGUAGES = tuple(
    (
        "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy "
        "id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru "
        "sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh"
    ).split()
)


@dataclass(frozen=True, slots=True)
class IceServer:
    """One STUN or TURN server (RFC 7064, RFC 7065); TURN has a user and a password."""

    url: str
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


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


def database_url(text: str, home: Path) -> str:
    if text == "auto":
        return f"sqlite:///{home / 'greffier.db'}"
    if not re.fullmatch(r"sqlite:///.+", text) and not re.fullmatch(_POSTGRESQL, text):
        raise ValueError(text)
    return text


_REDIS = (
    r"rediss?://"
    r"(([^\s:/?#@]*:)?[^\s:/?#@]+@)?"  # other signs as %XX
    r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?"
    r"(/\d*)?(\?[^\s#]+)?"
)


def redis_url(text: str) -> str:
    if not re.fullmatch(_REDIS, text):
        raise ValueError(text)
    return text


def shared_secret(text: str) -> bytes:
    """What processes sign with and read of each other, 32 signs of ASCII at least."""
    if not re.fullmatch(r"[!-~]{32,1024}", text):
        raise ValueError(text)
    return text.encode("ascii")


def ice_server(text: str) -> IceServer:
    """A URI of RFC 7064 or RFC 7065; for TURN, user and password stand before the host."""
    found = re.fullmatch(
        r"(?P<scheme>stuns?|turns?):((?P<user>[^:@\s]+):(?P<password>[^@\s]+)@)?(?P<rest>[^@\s/]+)", text
    )
    if found is None or found["scheme"].startswith("turn") != (found["user"] is not None):
        raise ValueError(text)
    return IceServer(f"{found['scheme']}:{found['rest']}", found["user"], found["password"])


def port_range(text: str) -> range:
    """From the first port to the last, both among them."""
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    if found is None or not 1024 <= int(found[1]) <= int(found[2]) <= 65535:
        raise ValueError(text)
    return range(int(found[1]), int(found[2]) + 1)


def origin(text: str) -> str:
    """An origin as browsers write it (RFC 6454): lower case, no path, no slash at its end."""
    if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d{1,5})?", text):
        raise ValueError(text)
    return text


def url_of(schemes: str) -> Callable[[str], str]:
    """Of the scheme that fits the pattern, with a host and no name or password in it."""

    def parse(text: str) -> str:
        if not re.fullmatch(rf"({schemes})://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(:\d{{1,5}})?(/[^\s?#@]*)?", text):
            raise ValueError(text)
        return text

    return parse


def kyutai_url(text: str) -> str:
    """Where a moshi-server recognises speech; without a path, where it does so by default."""
    url = url_of("wss?")(text)
    return url if "/" in url.partition("://")[2].rstrip("/") else f"{url.rstrip('/')}/api/asr-streaming"


def url_or_host(text: str, *, secure: bool) -> str:
    """A URL; Visio's agents are given a host alone, its summary one or the other."""
    scheme = "" if "://" in text else "https://" if secure else "http://"
    return url_of("https?")(scheme + text)


def fitting(pattern: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return parse


header_value = fitting(r"[!-~]([ -~]{0,1022}[!-~])?")
agent_name = fitting(r"[A-Za-z0-9._-]{1,64}")
folder_of_objects = fitting(r"\w[\w.-]*(/\w[\w.-]*)*")
"""The beginning of a key in the object store (``ObjectStore``)."""
janus_room = fitting(r"[^\s,]{1,200}")
"""A number, or a string where Janus is set to take them (``string_ids``)."""


def yes(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


_UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,15})\s*(KiB|MiB|GiB)?", text)
    if found is None or not int(found[1]):
        raise ValueError(text)
    return int(found[1]) * _UNITS[found[2] or ""]


def or_none(parse: Callable[[str], Value]) -> Callable[[str], tuple[Value, ...]]:
    """Several values with commas between them; ``none`` is none of them."""
    return lambda text: () if text == "none" else tuple(parse(one.strip()) for one in text.split(",") if one.strip())


def or_auto(parse: Callable[[str], Value]) -> Callable[[str], Value | None]:
    return lambda text: None if text == "auto" else parse(text)


def unless_none(parse: Callable[[str], Value]) -> Callable[[str], Value | None]:
    return lambda text: None if text == "none" else parse(text)


Number = TypeVar("Number", int, float)


def within(number: Number, least: Number, most: Number) -> Number:
    if not least <= number <= most:  # false for nan too
        raise ValueError(number)
    return number


def parse_speakers(text: str) -> SpeakerCount:
    """``3``, or ``2-4``. Raises ``ValueError``."""
    bounds = re.fullmatch(r"([1-9]\d?)(?:-([1-9]\d?))?", text)
    if bounds is None or (bounds[2] and int(bounds[2]) < int(bounds[1])):
        raise ValueError(text)
    if bounds[2] is None:
        return SpeakerCount(exactly=int(bounds[1]))
    return SpeakerCount(least=int(bounds[1]), most=int(bounds[2]))
