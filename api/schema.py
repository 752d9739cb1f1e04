"""The OpenAPI document: what FastAPI derives from the routes, and what every route has in common, said once."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from api.access import COOKIE, Need, need_of
from api.problems import MEDIA_TYPE

_ABOUT = """\
Live captions and transcripts of meetings. Applications send an **API key** (`greffier keys add`), participants and \
readers a short-lived **token** that an application asked for; both as `Authorization: Bearer ...`. Where players and \
WebSockets cannot send headers, a token may stand in the address (`?token=...`).

Every error is `application/problem+json` (RFC 9457) and says what was wrong and what to do.

WebSockets stand in no OpenAPI document: `/api/v1/meetings/{meeting}/captions.ws` sends a snapshot and then one \
event per message, those of `captions.sse`; `?after=N` goes on after the event numbered N. \
`/api/v1/meetings/{meeting}/audio.ws` takes a participant's sound. `/api/asr-streaming` is in the dialect of Kyutai's \
moshi-server (docs/kyutai.md).
"""
_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, `grf_...`."},
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A token for one meeting."},
    "address": {"type": "apiKey", "in": "query", "name": "token", "description": "A token, where it only reads."},
    "page": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "The session of a page."},
}
_CREDENTIALS = {
    Need.READ: ("key", "token", "address", "page"),
    Need.TAKE_PART: ("key", "token", "page"),
    Need.PUBLISH: ("token",),
    Need.PAGE: ("page",),
}
_ANY_OTHER = ("key", "page")
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong, and what to do."},
        "reason": {"type": "string", "description": "What was wrong, for programs, where there is a word for it."},
        "errors": {
            "type": "array",
            "description": "The fields that were wrong.",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
    "example": {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "name: a name has 10000 characters; 100 are the most",
        "errors": [{"field": "name", "detail": "a name has 10000 characters; 100 are the most"}],
    },
}
_MEANINGS = {
    "400": "The body is not JSON.",
    "401": "No key, token or session, a wrong one, or one that has expired.",
    "403": "The key, token or session is good, but not for this.",
    "404": "There is no such thing, or it was deleted.",
    "409": "It was changed meanwhile; read it again.",
    "412": "The condition of the request does not hold.",
    "413": "The body is too large.",
    "415": "The body is of another kind.",
    "422": "What was given cannot be used; the problem names it.",
    "428": "The request must carry a condition.",
    "429": "There are as many as may be at once.",
    "503": "Not ready now; try again.",
    "507": "There is no room left to write.",
}
_EXAMPLES = {
    "meeting": "9mx2c89kz6mq",
    "participant": "3y5d3t9xra",
    "peer": "Zk3hV0xqk1y0",
    "recording": "5f0c1d2e3a4b5c6d",
    "room": "weekly-point",
    "segment": "3y5d3t9xra.1#4",
    "format": "vtt",
}


def install_schema(app: FastAPI) -> None:
    """Replaces ``app.openapi``; the document is made once, when it is asked for."""
    derived = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(derived(), _needs(app))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI documents this way to extend it


def needs_of(route: RouteContext) -> set[Need]:
    """What a route asks of whoever comes; empty where it is open to all."""
    dependant = getattr(route, "dependant", None)
    return set() if dependant is None else set(_walk(dependant))


def _walk(dependant: Dependant) -> Iterator[Need]:
    if (need := need_of(dependant.call)) is not None:
        yield need
    for below in dependant.dependencies:
        yield from _walk(below)


def _needs(app: FastAPI) -> dict[tuple[str, str], set[Need]]:
    return {
        (route.path_format or "", method.lower()): needs_of(route)
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
    }


def _completed(document: dict[str, Any], needs: dict[tuple[str, str], set[Need]]) -> dict[str, Any]:
    document["info"]["description"] = _ABOUT
    parts = document.setdefault("components", {})
    parts["securitySchemes"] = _SCHEMES
    schemas = parts.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(operation, needs.get((path, method), set()), path)
    return document


def _complete(operation: dict[str, Any], needs: set[Need], path: str) -> None:
    operation["security"] = [
        {name: []} for need in sorted(needs, key=str) for name in _CREDENTIALS.get(need, _ANY_OTHER)
    ]
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in _EXAMPLES:
            parameter.setdefault("example", _EXAMPLES[parameter["name"]])
    responses = operation["responses"]
    for status in _errors(operation, needs, path):
        responses.setdefault(status, {"description": _MEANINGS[status]})
    for status, response in responses.items():
        if status in _MEANINGS and not response.get("content", {}).keys() - {"application/json"}:
            if "content" in response and "HTTPValidationError" not in str(response["content"]):
                continue
            response["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
            if response["description"] in {"Validation Error", ""}:
                response["description"] = _MEANINGS[status]


def _errors(operation: dict[str, Any], needs: set[Need], path: str) -> Iterator[str]:
    if needs:
        yield from ("401", "403")
    if "{" in path:
        yield "404"
    if "requestBody" in operation:
        yield from ("413", "422", "507")
        if "application/json" in operation["requestBody"].get("content", {}):
            yield "400"
    if not needs and "requestBody" not in operation:
        yield "503"
