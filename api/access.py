"""The one place that decides who may do what.

Every route says what it needs (``needs(Need.READ)``); what a request brings is a key of an application, a token for one
meeting or the session of a page, and becomes a ``Grant``. What nothing here allows is refused.

==============  ==============================  ===========================  ==================
need            keys and pages with the scope   tokens of that meeting       pages
==============  ==============================  ===========================  ==================
read            read or meetings                all                          as their scopes say
take part       meetings                        those of that participant    as their scopes say
publish         none                            those that may publish       no: by token only
meetings        meetings                        none                         as their scopes say
recordings      recordings                      none                         as their scopes say
metrics         metrics                         none                         as their scopes say
recognition     recognition                     none                         as their scopes say
page            none                            none                         all
==============  ==============================  ===========================  ==================

``admin`` holds every scope. Keys are sent as ``Authorization: Bearer``; for recognition also as moshi-server has them.
A credential is looked at once, when a request or a connection begins.
"""

import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.requests import HTTPConnection

from api.denials import NotAllowed, NotSignedIn
from api.keys import PREFIX, id_of, matches, new_key
from api.tokens import SESSION_SECONDS, Can, PageSession, Signer, Token
from pipeline.access import ApiKey, KeyId, Scope
from pipeline.domain import MeetingId, ParticipantId

COOKIE = "greffier"
CSRF_HEADER = "x-csrf-token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK_SCOPES = frozenset({Scope.MEETINGS, Scope.READ, Scope.RECORDINGS})


class Need(Enum):
    READ = "read"
    TAKE_PART = "take part"
    PUBLISH = "publish"
    MEETINGS = "meetings"
    RECORDINGS = "recordings"
    METRICS = "metrics"
    RECOGNITION = "recognition"
    PAGE = "page"


_SCOPES = MappingProxyType(
    {
        Need.READ: frozenset({Scope.READ, Scope.MEETINGS}),
        Need.TAKE_PART: frozenset({Scope.MEETINGS}),
        Need.MEETINGS: frozenset({Scope.MEETINGS}),
        Need.RECORDINGS: frozenset({Scope.RECORDINGS}),
        Need.METRICS: frozenset({Scope.METRICS}),
        Need.RECOGNITION: frozenset({Scope.RECOGNITION}),
    }
)
"""The scopes of which one is enough."""

_RIGHTS = MappingProxyType(
    {
        Need.READ: frozenset({Can.READ, Can.PUBLISH}),
        Need.TAKE_PART: frozenset({Can.READ, Can.PUBLISH}),
        Need.PUBLISH: frozenset({Can.PUBLISH}),
    }
)
"""The rights of a token of which one is enough, in its own meeting."""


class Credential(Enum):
    KEY = "key"
    TOKEN = "token"  # noqa: S105 - a word, no secret
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class Grant:
    """Who asks: the ``scopes`` of a key or page, or what a token ``can`` in its ``meeting``.

    ``csrf`` is what the scripts of a page send as ``X-CSRF-Token`` with whatever is not a GET.
    """

    by: Credential
    scopes: frozenset[Scope] = frozenset()
    can: frozenset[Can] = frozenset()
    meeting: MeetingId | None = None
    participant: ParticipantId | None = None
    name: str = field(default="", repr=False)
    csrf: str = field(default="", repr=False)


class KeyStore(Protocol):
    async def keys(self) -> list[ApiKey]: ...

    async def add_key(self, key: ApiKey) -> None: ...


class Access:
    """Judges requests. ``loopback`` says that the server listens to this machine only; ``now`` is the wall clock."""

    def __init__(self, keys: KeyStore, signer: Signer, *, loopback: bool, now: Callable[[], float] = time.time) -> None:
        self.signer = signer
        self._keys = keys
        self._loopback = loopback
        self._now = now

    async def first_key(self) -> str | None:
        """The text of a key for everything, made when there is no key at all."""
        if await self._keys.keys():
            return None
        key, text = new_key("first run", {Scope.ADMIN}, self._now())
        await self._keys.add_key(key)
        return text

    async def judge(self, connection: HTTPConnection, need: Need) -> Grant:
        """Raises ``NotSignedIn`` or ``NotAllowed``."""
        connection.state.page = need is Need.PAGE  # errors are said on a page, too
        return self.check(await self._granted(connection, need), need, connection.path_params)

    def judge_token(self, text: str, need: Need, meeting: MeetingId) -> Grant:
        """For what carries its token in its first message. Raises ``NotSignedIn`` or ``NotAllowed``."""
        return self.check(self._by_token(text), need, {"meeting": meeting})

    def check(self, grant: Grant, need: Need, named: Any) -> Grant:
        """``grant`` where it is enough for ``need`` in the meeting and for the participant that the route names."""
        match grant.by:
            case Credential.TOKEN:
                _check_token(grant, need, named)
            case Credential.PAGE if need is Need.PAGE:
                pass
            case _ if need not in _SCOPES:
                raise NotAllowed(f"this takes the token of a participant, not a {grant.by.value}")
            case _ if Scope.ADMIN not in grant.scopes and not grant.scopes & _SCOPES[need]:
                wanted = " or ".join(sorted(scope.value for scope in _SCOPES[need]))
                raise NotAllowed(f"this {grant.by.value} may not do this: it lacks the scope {wanted}")
        return grant

    async def sign_in(self, connection: HTTPConnection, key: str) -> None:
        """Begins a page session by an API key; its cookie goes out with the answer. Raises ``NotSignedIn``."""
        grant = await self._by_key(key)
        _set_cookie(connection, self.signer.new_session(grant.scopes, id_of(key)), SESSION_SECONDS)

    def sign_out(self, connection: HTTPConnection) -> None:
        _set_cookie(connection, "", 0.0)

    # --- what a request brings -----------------------------------------------------------------------------

    async def _granted(self, connection: HTTPConnection, need: Need) -> Grant:
        scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            bearer = bearer.strip()
            return await self._by_key(bearer) if bearer.startswith(PREFIX) else self._by_token(bearer)
        if need is Need.RECOGNITION and (key := _key_for_moshi(connection)) is not None:
            return await self._by_key(key)
        token = connection.query_params.get("token")
        if token is not None and _may_ask_by_address(connection, need):
            return self._by_token(token)
        cookie = connection.cookies.get(COOKIE)
        if need is Need.PAGE:
            return await self._page(connection, cookie)
        if cookie:
            return await self._by_session(connection, self.signer.read_session(cookie))
        raise NotSignedIn("this needs an API key or a token: send it as 'Authorization: Bearer ...'")

    async def _by_key(self, text: str) -> Grant:
        # Read each time: a key that was removed by `greffier keys remove` must be refused at once.
        for key in await self._keys.keys():
            if matches(key, text):
                return Grant(Credential.KEY, key.scopes)
        raise NotSignedIn("this API key is not known here; `greffier keys add` makes one", given=True)

    def _by_token(self, text: str) -> Grant:
        if text.startswith(PREFIX):
            raise NotSignedIn(
                "an API key does not belong here: ask for a token, or send the key as a header", given=True
            )
        token = self.signer.read_token(text)
        return Grant(
            Credential.TOKEN, can=token.can, meeting=token.meeting, participant=token.participant, name=token.name
        )

    async def _by_session(self, connection: HTTPConnection, session: PageSession) -> Grant:
        if session.key is None and not self._is_at_home(connection):
            raise NotSignedIn("the session of this page is not for this address; open the page again", given=True)
        if session.key is not None and not await self._is_kept(session.key):
            raise NotSignedIn("the key of this session was removed; sign in again", given=True)
        if connection.scope["type"] == "websocket":
            _check_origin(connection)
        elif connection.scope["method"] not in _SAFE_METHODS:
            _check_csrf(connection, session)
        return Grant(Credential.PAGE, session.scopes, csrf=session.csrf)

    async def _page(self, connection: HTTPConnection, cookie: str | None) -> Grant:
        """A page that is opened; on loopback its session is made, and renewed, by itself."""
        session = None
        try:
            session = self.signer.read_session(cookie) if cookie else None
            if session is not None and (session.key or session.expires_at - self._now() > SESSION_SECONDS / 2):
                return await self._by_session(connection, session)
        except NotSignedIn:
            if not self._is_at_home(connection):
                raise
        if not self._is_at_home(connection):
            raise NotSignedIn("sign in with an API key", given=False)
        text = self.signer.new_session(_LOOPBACK_SCOPES, None)
        _set_cookie(connection, text, SESSION_SECONDS)
        session = self.signer.read_session(text)
        return Grant(Credential.PAGE, session.scopes, csrf=session.csrf)

    def _is_at_home(self, connection: HTTPConnection) -> bool:
        """Whether somebody at this machine asks.

        A foreign name in ``Host`` is a page of elsewhere (DNS rebinding); what a proxy passes on comes from anywhere.
        """
        if connection.scope.get("http_version") == "1.0":
            return False  # no browser speaks it, nginx as it comes does, under the name of this machine
        forwarded = {"via", "x-forwarded-proto", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"} & set(
            connection.headers
        )
        return self._loopback and not forwarded and is_loopback(connection.headers.get("host", ""))

    async def _is_kept(self, key: str) -> bool:
        return any(each.id == KeyId(key) for each in await self._keys.keys())

    def issue(self, token: Token) -> tuple[str, float]:
        """A token as text, and when it expires."""
        return self.signer.token(token)


class _Needs:
    """A dependency of FastAPI that lets a request in; tests and the OpenAPI document read its ``need``."""

    def __init__(self, need: Need) -> None:
        self.need = need

    async def __call__(self, connection: HTTPConnection) -> Grant:
        access: Access = connection.app.state.house.access
        return await access.judge(connection, self.need)


def needs(need: Need) -> Any:
    """``grant: Annotated[Grant, needs(Need.READ)]`` in a route, or ``dependencies=[needs(Need.READ)]``."""
    return Depends(_Needs(need))


def need_of(dependency: object) -> Need | None:
    return dependency.need if isinstance(dependency, _Needs) else None


def is_loopback(host: str) -> bool:
    """Whether ``host``, with or without a port, names this machine to itself (RFC 6761, section 6.3)."""
    name = re.sub(r":\d+$", "", host.lower()) if host.startswith("[") or host.count(":") < 2 else host.lower()
    return bool(re.fullmatch(r"localhost|127(\.\d{1,3}){3}|\[?::1\]?", name.removesuffix(".")))


def _check_token(grant: Grant, need: Need, named: Any) -> None:
    if not grant.can & _RIGHTS.get(need, frozenset()):
        raise NotAllowed("this token may not do this")
    if named.get("meeting") != grant.meeting:
        raise NotAllowed("this token is for another meeting")
    if need is Need.TAKE_PART and (grant.participant is None or named.get("participant") != grant.participant):
        raise NotAllowed("this token is not that participant's")


def _key_for_moshi(connection: HTTPConnection) -> str | None:
    """The key as clients of moshi-server send it: in a header, or in the address where they cannot."""
    return connection.headers.get("kyutai-api-key", connection.query_params.get("auth_id"))


def _may_ask_by_address(connection: HTTPConnection, need: Need) -> bool:
    """Players and the WebSockets of browsers cannot send headers: a token in an address opens those, and no more."""
    kind = connection.scope["type"]
    return kind == "websocket" or (need is Need.READ and connection.scope["method"] in {"GET", "HEAD"})


def _check_csrf(connection: HTTPConnection, session: PageSession) -> None:
    given = connection.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise NotAllowed("the header X-CSRF-Token is not that of this page's session; reload the page")


def _check_origin(connection: HTTPConnection) -> None:
    """Any page may open a WebSocket to any address, with its cookies: only our own pages are let in with theirs."""
    origin = urlsplit(connection.headers.get("origin", ""))
    if not origin.netloc or origin.netloc.lower() != connection.headers.get("host", "").lower():
        raise NotAllowed("a WebSocket with the session of a page must come from that page")


def _set_cookie(connection: HTTPConnection, text: str, seconds: float) -> None:
    """The outermost middleware sends it with the answer, whatever that is."""
    secure = "; Secure" if connection.url.scheme in {"https", "wss"} else ""
    connection.state.cookie = f"{COOKIE}={text}; Path=/; Max-Age={seconds:.0f}; HttpOnly; SameSite=Strict{secure}"
