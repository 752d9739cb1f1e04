"""What a Janus gateway says over its WebSocket API, as values; https://janus.conf.meetecho.com/docs/rest.html. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from pipeline.errors import GatewayFailed, GreffierError, NotFound

PLUGIN = "janus.plugin.videoroom"
SUBPROTOCOL = "janus-protocol"

RoomId = int | str
"""A number, or a text where the plugin's ``string_ids`` is set; ids of publishers likewise."""


class Code(IntEnum):
    """Errors that mean something here (Janus's ``apierror.h`` and ``janus_videoroom.c``)."""

    UNAUTHORIZED = 403
    UNAUTHORIZED_PLUGIN = 405
    NO_SUCH_ROOM = 426
    MISSING_ELEMENT = 429
    INVALID_ELEMENT = 430
    PUBLISHERS_FULL = 432
    UNAUTHORIZED_IN_ROOM = 433
    NO_SUCH_PLUGIN = 460


_MEANING: dict[int, str] = {
    Code.UNAUTHORIZED: "it asks for its API secret or a token: set GREFFIER_JANUS_SECRET or GREFFIER_JANUS_TOKEN",
    Code.UNAUTHORIZED_PLUGIN: "the token does not open its VideoRoom plugin",
    Code.PUBLISHERS_FULL: "the room has as many publishers as it may have, and captions need one: raise 'publishers'",
    Code.NO_SUCH_PLUGIN: "it runs without the VideoRoom plugin",
}


class Refused(GatewayFailed):
    """Janus said no; ``code`` is its number, see ``Code``."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"Janus refuses: {_MEANING.get(code) or reason} (error {code})")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Said:
    """One message: ``kind`` is its ``janus``, ``content`` what the plugin or the core tells, ``jsep`` a description."""

    kind: str
    transaction: str | None = None
    handle: int | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    jsep: Mapping[str, Any] | None = None
    error: Refused | None = None


def read(text: str | bytes) -> Said | None:
    """None for what is no message of this API."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or not isinstance(message.get("janus"), str):
        return None
    content = _object(_object(message.get("plugindata")).get("data")) or _object(message.get("data"))
    failure = _object(message.get("error"))
    refused = _refused(failure.get("code"), failure.get("reason")) if failure else None
    transaction, sender = message.get("transaction"), message.get("sender")
    return Said(
        kind=message["janus"],
        transaction=transaction if isinstance(transaction, str) else None,
        handle=sender if isinstance(sender, int) else None,
        content=content,
        jsep=_object(message.get("jsep")) or None,
        error=refused or _refused(content.get("error_code"), content.get("error")),
    )


def room_error(refused: Refused) -> GreffierError:
    """What a refusal to let us into a room means to whoever asked; it names no room, for the log."""
    if refused.code == Code.NO_SUCH_ROOM:
        return NotFound("Janus has no such room")
    if refused.code in {Code.UNAUTHORIZED_IN_ROOM, Code.MISSING_ELEMENT}:
        return GatewayFailed("this room of Janus asks for another pin or token: set GREFFIER_JANUS_PIN")
    return refused


def needs_encryption(refused: Refused) -> bool:
    """Whether the room takes end-to-end encrypted media alone (``require_e2ee``): it has no error of its own."""
    return refused.code == Code.UNAUTHORIZED_IN_ROOM and "end-to-end" in refused.reason


def _refused(code: object, reason: object) -> Refused | None:
    return Refused(code, str(reason)) if isinstance(code, int) else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
