"""API keys of applications: random, shown once, kept as a digest, compared in constant time."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

from pipeline.access import ApiKey, KeyId, Scope

PREFIX = "grf_"
_FORM = re.compile(r"grf_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")


def new_key(name: str, scopes: Iterable[Scope], created_at: float) -> tuple[ApiKey, str]:
    """A key to keep, and the text of it to show once: ``grf_``, its id, ``_`` and 256 random bits."""
    key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    key = ApiKey(KeyId(key_id), name, frozenset(scopes), _digest(secret), created_at, secret[-4:])
    return key, f"{PREFIX}{key_id}_{secret}"


def id_of(text: str) -> KeyId | None:
    """The id that the text of a key carries; None when it is no key."""
    found = _FORM.fullmatch(text)
    return KeyId(found[1]) if found else None


def matches(key: ApiKey, text: str) -> bool:
    """Whether ``text`` is that key. A plain digest will do: 256 random bits cannot be guessed from it."""
    found = _FORM.fullmatch(text)
    return found is not None and found[1] == key.id and hmac.compare_digest(_digest(found[2]), key.digest)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()
