"""The metadata file of a recording of Visio, uploaded beside it: when each of its participants spoke.

Its shape is told in media_gateway/livekit/metadata_file.py; what it holds beside speech and names is passed over.
"""

from codecs import BOM_UTF8
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime, BaseModel, FailFast, Field, ValidationError

from media_gateway.people import shown_name
from pipeline.errors import InvalidInput
from pipeline.record.matching import ParticipantSpeech, Span

LONGEST = 8_000_000
"""Bytes of one file: about 47,000 events."""
_TO_THE_END = 24 * 3600.0
"""Seconds that speech lasts whose end nobody noted: beyond the end of any recording."""


class _Event(BaseModel):
    participant_id: str
    type: str
    timestamp: AwareDatetime


class _Person(BaseModel):
    id: str = Field(alias="participantId")
    name: str | None = None


class _Metadata(BaseModel):
    events: Annotated[list[_Event], FailFast()]
    participants: Annotated[list[_Person], FailFast()]


def read_speech(content: bytes | bytearray, began_at: datetime) -> tuple[ParticipantSpeech, ...]:
    """Who spoke when in the recording that began at ``began_at``, in the order in which they first did.

    Raises ``RequestValidationError`` and ``InvalidInput``, which say what is wrong with it.
    """
    metadata = _checked(content)
    names = {person.id: person.name for person in metadata.participants}
    open_since: dict[str, float] = {}
    spans: dict[str, list[Span]] = {}
    for event in metadata.events:
        who, at = event.participant_id, max(0.0, (event.timestamp - began_at).total_seconds())
        if event.type == "speech_start":
            open_since[who] = at
        elif event.type == "speech_end" and (since := open_since.pop(who, at)) < at:
            spans.setdefault(who, []).append((since, at))
    for who, since in open_since.items():
        spans.setdefault(who, []).append((since, since + _TO_THE_END))
    return tuple(
        ParticipantSpeech(shown_name(names.get(who) or "") or shown_name(who) or "?", tuple(spoke))
        for who, spoke in spans.items()
    )


def _checked(content: bytes | bytearray) -> _Metadata:
    try:
        return _Metadata.model_validate_json(content.removeprefix(BOM_UTF8))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        if found[0]["type"] == "json_invalid":
            raise InvalidInput(f"metadata: {found[0]['msg']}") from error
        raise RequestValidationError([_in_metadata(each) for each in found]) from error


def _in_metadata(error: Mapping[str, Any]) -> dict[str, Any]:
    return {**error, "loc": ("body", "metadata", *error["loc"])}
