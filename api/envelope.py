"""What every answer is sent in: security headers, the cookie of a page, a line in the log without its query."""

import logging
import re
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import MEDIA_TYPE, problem

_log = logging.getLogger("greffier.api")

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "media-src 'self' blob:",
        "worker-src 'self' blob:",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Content Security Policy Level 3: no script, style or frame but our own files; blobs for the media of players."""

_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


_CONTENT_TOO_LARGE = 413
_TOO_LARGE = bytes(problem(_CONTENT_TOO_LARGE, "the body of this request is larger than is taken here").body)


class Envelope:
    """Outermost ASGI middleware. A WebSocket passes through it untouched but for the line in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            began = time.monotonic()
            try:
                await self._app(scope, receive, send)
            finally:
                _log.info("socket.closed", extra={"path": _told(scope["path"]), "seconds": _since(began)})
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        status = 500
        replacing = False

        async def sealed(message: Message) -> None:
            nonlocal status, replacing
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                # The limit of a route answers by itself, in plain text and one piece.
                replacing = status == _CONTENT_TOO_LARGE and not headers["content-type"].startswith(MEDIA_TYPE)
                if replacing:
                    headers["content-type"], headers["content-length"] = MEDIA_TYPE, str(len(_TOO_LARGE))
                _seal(scope, headers)
            elif replacing:
                message = {"type": "http.response.body", "body": _TOO_LARGE}
            await send(message)

        try:
            await self._app(scope, receive, sealed)
        finally:
            fields = {
                "method": scope["method"],
                "path": _told(scope["path"]),
                "status": status,
                "seconds": _since(began),
            }
            _log.info("request.served", extra=fields)


def _seal(scope: Scope, headers: MutableHeaders) -> None:
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    # What people said is kept in no cache; files of pages are asked for again and answered 304.
    headers.setdefault("Cache-Control", "no-cache" if scope["path"].startswith("/static/") else "no-store")
    cookie = scope.get("state", {}).get("cookie")
    if cookie is not None:
        headers.append("Set-Cookie", cookie)


def _told(path: str) -> str:
    """As it is logged: people give names to rooms of SFUs."""
    return re.sub(r"^(/api/v1/\w+/rooms/).+", r"\1{room}", path)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
