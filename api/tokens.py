"""What this server signs and reads again: tokens of participants and readers, sessions of pages (JWT, RFC 7519).

The secret is made on the first run and stays in the folder of the server, readable by its owner alone.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import jwt

from api.denials import NotSignedIn
from pipeline.access import Scope
from pipeline.domain import MeetingId, ParticipantId
from pipeline.errors import InvalidSetting

_ALGORITHM = "HS256"
_TOKEN, _SESSION = "meeting", "page"  # the audiences: one is never taken for the other
SESSION_SECONDS = 12 * 3600.0


class Can(Enum):
    """What a token lets its bearer do in its meeting."""

    PUBLISH = "publish"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says; a reader who is no participant has no ``participant``."""

    meeting: MeetingId
    can: frozenset[Can]
    participant: ParticipantId | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class PageSession:
    """What the cookie of a page says: ``key`` is the id of the key it was signed in with, None on loopback."""

    scopes: frozenset[Scope]
    csrf: str
    key: str | None
    expires_at: float


class Signer:
    """Signs and reads; ``now`` is the wall clock, ``ttl`` the seconds that a token lives."""

    def __init__(self, secret: bytes, ttl: float, now: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._ttl = ttl
        self._now = now

    @property
    def name(self) -> str:
        """Tells this server from others, the same after a restart; it says nothing of the secret."""
        return hmac.new(self._secret, b"name", hashlib.sha256).hexdigest()[:16]

    def token(self, token: Token) -> tuple[str, float]:
        """The token as text, and when it expires."""
        expires_at = self._now() + self._ttl
        claims: dict[str, Any] = {"meeting": token.meeting, "can": sorted(can.value for can in token.can)}
        if token.participant is not None:
            claims |= {"participant": token.participant, "name": token.name}
        return self._signed(claims, _TOKEN, expires_at), float(int(expires_at))

    def read_token(self, text: str) -> Token:
        """Raises ``NotSignedIn``, which tells a token that expired from one that this server never signed."""
        claims = self._read(text, _TOKEN, "token")
        participant = claims.get("participant")
        return Token(
            MeetingId(claims["meeting"]),
            frozenset(Can(each) for each in claims["can"]),
            None if participant is None else ParticipantId(participant),
            claims.get("name", ""),
        )

    def new_session(self, scopes: frozenset[Scope], key: str | None) -> str:
        """The text of a cookie."""
        claims = {"scopes": sorted(scope.value for scope in scopes), "csrf": secrets.token_urlsafe(16), "key": key}
        return self._signed(claims, _SESSION, self._now() + SESSION_SECONDS)

    def read_session(self, text: str) -> PageSession:
        claims = self._read(text, _SESSION, "session")
        return PageSession(
            frozenset(Scope(each) for each in claims["scopes"]), claims["csrf"], claims["key"], float(claims["exp"])
        )

    def _signed(self, claims: dict[str, Any], audience: str, expires_at: float) -> str:
        times = {"iat": int(self._now()), "exp": int(expires_at)}
        return jwt.encode({**claims, **times, "aud": audience}, self._secret, algorithm=_ALGORITHM)

    def _read(self, text: str, audience: str, what: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                text,
                self._secret,
                algorithms=[_ALGORITHM],
                audience=audience,
                options={"require": ["exp", "aud"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            raise NotSignedIn(f"this {what} is not one of this server's; ask for a new one", given=True) from None
        if claims["exp"] <= self._now():
            raise NotSignedIn(f"this {what} has expired; ask for a new one", given=True)
        return claims


def secret_in(home: Path) -> bytes:
    """The secret in the folder ``home``, made when there is none. Raises ``InvalidSetting`` where it cannot be read."""
    path = home / "secret"
    try:
        home.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            path.chmod(0o600)
        else:
            with os.fdopen(file, "w") as writing:
                writing.write(secrets.token_hex(32))
        secret = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"the secret {path} cannot be kept: {error}; see to it, or set GREFFIER_HOME") from error
    if len(secret) < 64:
        raise InvalidSetting(f"the secret {path} is too short; remove the file, and a new one is made")
    return secret.encode("ascii", "replace")
