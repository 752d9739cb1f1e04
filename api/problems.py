"""Every error that a client gets is made here, as ``application/problem+json`` (RFC 9457).

What Greffier raises on purpose says in its own words what was wrong and what to do. Of anything else nothing is told
but that it happened: the log has the trace.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.websockets import WebSocket, WebSocketState

from api.denials import NotAllowed, NotSignedIn
from pipeline.errors import (
    BusFailed,
    GatewayFailed,
    GreffierError,
    InvalidInput,
    ModelUnavailable,
    NotFound,
    OutOfDate,
    RecognitionFailed,
    StorageFailed,
    StorageFull,
    TooMany,
    UnreadableMedia,
)

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("greffier.api")

_STATUSES: tuple[tuple[type[GreffierError], HTTPStatus], ...] = (
    (NotSignedIn, HTTPStatus.UNAUTHORIZED),
    (NotAllowed, HTTPStatus.FORBIDDEN),
    (NotFound, HTTPStatus.NOT_FOUND),
    (UnreadableMedia, HTTPStatus.UNPROCESSABLE_ENTITY),
    (InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY),
    (OutOfDate, HTTPStatus.CONFLICT),
    (TooMany, HTTPStatus.TOO_MANY_REQUESTS),
    (StorageFull, HTTPStatus.INSUFFICIENT_STORAGE),
    (StorageFailed, HTTPStatus.SERVICE_UNAVAILABLE),
    (ModelUnavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (RecognitionFailed, HTTPStatus.SERVICE_UNAVAILABLE),
    (GatewayFailed, HTTPStatus.SERVICE_UNAVAILABLE),
    (BusFailed, HTTPStatus.SERVICE_UNAVAILABLE),
    (GreffierError, HTTPStatus.INTERNAL_SERVER_ERROR),
)
"""The first that fits."""

_DETAILS = {
    404: "there is nothing at this address",
    405: "this address does not take this method",
    413: "the body of this request is larger than is taken here",
    415: "this address does not take this kind of content",
}
_POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1


class ProblemResponse(JSONResponse):
    media_type = MEDIA_TYPE


def problem(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[dict[str, str]] = (),
    reason: str | None = None,
) -> ProblemResponse:
    """``errors`` names the fields that were wrong, ``reason`` is a word for programs: extension members (RFC 9457,
    section 3.2)."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
    }
    if errors:
        body["errors"] = list(errors)
    if reason is not None:
        body["reason"] = reason
    return ProblemResponse(body, status_code=int(status), headers=headers)


def status_of(error: GreffierError) -> HTTPStatus:
    return next(status for kind, status in _STATUSES if isinstance(error, kind))


def install_problems(app: FastAPI) -> None:
    answers: dict[type[Exception], Any] = {
        GreffierError: _on_purpose,
        HTTPException: _of_http,
        RequestValidationError: _not_valid,
        WebSocketRequestValidationError: _not_valid,
        Exception: _surprise,
    }
    for kind, answer in answers.items():
        app.add_exception_handler(kind, answer)


async def _on_purpose(connection: HTTPConnection, error: GreffierError) -> Response | None:
    status = status_of(error)
    if isinstance(error, NotSignedIn) and _wants_a_page(connection):
        asked = connection.url.path + (f"?{connection.url.query}" if connection.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(asked, safe='')}", HTTPStatus.SEE_OTHER)
    if page := _page(connection, status):
        return page
    headers: dict[str, str] = {}
    if isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = _challenge(error)
    elif status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "5"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request.failed", extra={"error": type(error).__name__})
    reason = error.reason if isinstance(error, InvalidInput) else None
    return await _answer(connection, problem(status, str(error), headers, reason=reason))


async def _of_http(connection: HTTPConnection, error: HTTPException) -> Response | None:
    if page := _page(connection, HTTPStatus(error.status_code)):
        return page
    usual = error.detail == HTTPStatus(error.status_code).phrase
    detail = _DETAILS.get(error.status_code, error.detail) if usual else error.detail
    return await _answer(connection, problem(error.status_code, str(detail), error.headers))


async def _not_valid(
    connection: HTTPConnection, error: RequestValidationError | WebSocketRequestValidationError
) -> Response | None:
    """400 where the body is no JSON, else 422, with one sentence per field; what was given is not repeated."""
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        return await _answer(connection, problem(HTTPStatus.BAD_REQUEST, "the body is not JSON"))
    errors = [{"field": _field(each["loc"]), "detail": _plain(each["msg"])} for each in found]
    detail = "; ".join(f"{each['field']}: {each['detail']}" for each in errors)
    return await _answer(connection, problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors))


async def _surprise(connection: HTTPConnection, _: Exception) -> Response | None:
    """What nobody foresaw: Starlette raises it again, and the server logs its trace."""
    return await _answer(
        connection, problem(HTTPStatus.INTERNAL_SERVER_ERROR, "something went wrong here; it is logged")
    )


async def _answer(connection: HTTPConnection, response: Response) -> Response | None:
    if not isinstance(connection, WebSocket):
        return response
    if connection.application_state is WebSocketState.CONNECTING:
        if "websocket.http.response" in connection.scope.get("extensions", {}):
            await connection.send_denial_response(response)
        else:
            await connection.close(_POLICY_VIOLATION)
    elif connection.application_state is WebSocketState.CONNECTED:
        await connection.close(_POLICY_VIOLATION)
    return None


def _page(connection: HTTPConnection, status: HTTPStatus) -> Response | None:
    """What is not there or not allowed is said to a person on a page, which ``app.state.error_page`` makes."""
    error_page: Callable[[Request, HTTPStatus], Response] | None = getattr(connection.app.state, "error_page", None)
    if error_page is None or status not in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        return None
    if not isinstance(connection, Request) or not (
        getattr(connection.state, "page", False) or _wants_a_page(connection)
    ):
        return None
    return error_page(connection, status)


def _wants_a_page(connection: HTTPConnection) -> bool:
    """Whether a person is waiting for a page."""
    return (
        isinstance(connection, Request)
        and connection.method == "GET"
        and "text/html" in connection.headers.get("accept", "")
        and not connection.url.path.startswith(("/api/", "/whip/"))
    )


def _challenge(error: NotSignedIn) -> str:
    """RFC 6750, section 3."""
    if not error.given:
        return 'Bearer realm="greffier"'
    return f'Bearer realm="greffier", error="invalid_token", error_description="{error}"'


def _field(where: Sequence[object]) -> str:
    """``body.languages.0`` as a reader would name it: ``languages.0``."""
    return ".".join(str(part) for part in where[1:]) or str(where[0])


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
