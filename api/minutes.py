"""The minutes of a meeting as files, also while it goes on: who was there, who spoke and for how long, and when."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from api.access import Need, needs
from api.house import House, house_of
from api.page_words import language_of
from api.transcripts import attachment
from pipeline.domain import Meeting, MeetingId, Transcript
from pipeline.errors import NotFound
from pipeline.export.minutes import LABELS, minutes_json, minutes_markdown
from pipeline.export.timeline import timeline
from pipeline.record.minutes import Minutes, minutes

router = APIRouter(prefix="/api/v1/meetings/{meeting}", tags=["transcripts"])

Language = Annotated[
    Literal["fr", "en"] | None, Query(description="What it is written in; what the client accepts, where left out.")
]
_FORMATS = ("json", "md")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""A picture has its own colours, and nothing else."""


async def minutes_of(house: House, kept: Meeting, transcript: Transcript) -> Minutes:
    """As far as they are known now."""
    participants = await house.store.participants(kept.id)
    presences = await house.store.presences(kept.id)
    now = (house.wall() if kept.ended_at is None else kept.ended_at) - kept.created_at
    # In a thread: the words of hours take a while, and captions are not to wait for it.
    return await asyncio.to_thread(minutes, transcript, participants, presences, now)


@router.get(
    "/minutes.{format}",
    dependencies=[needs(Need.READ)],
    summary="Download the minutes: json or md",
    response_class=Response,
    responses={
        HTTPStatus.OK.value: {
            "description": "The file.",
            "content": {"application/json": {}, "text/markdown": {"example": "# Minutes\n\n| Participant | ..."}},
        }
    },
)
async def show_minutes(request: Request, meeting: str, format: str, language: Language = None) -> Response:  # noqa: A002 - as it stands in the path
    """Attendance, speaking time and turns of each participant and voice, and when each spoke."""
    if format not in _FORMATS:
        raise NotFound(f"there is no minutes.{format[:20]}; there are {', '.join(_FORMATS)}")
    found = await _found(request, meeting)
    named = {"Content-Disposition": attachment(f"{found.title or 'meeting'} minutes.{format}")}
    if format == "json":
        return Response(minutes_json(found), media_type="application/json", headers=named)
    text = minutes_markdown(found, LABELS[language or language_of(request)])
    return Response(text, media_type="text/markdown; charset=utf-8", headers=named)


@router.get(
    "/timeline.svg",
    dependencies=[needs(Need.READ)],
    summary="Show who spoke when, as a picture",
    response_class=Response,
    responses={
        HTTPStatus.OK.value: {"description": "The picture.", "content": {"image/svg+xml": {"example": "<svg ..."}}}
    },
)
async def show_timeline(request: Request, meeting: str, language: Language = None) -> Response:
    """A row for each participant and voice, in light and dark colours; its title and description say it in words."""
    found = await _found(request, meeting)
    picture = await asyncio.to_thread(timeline, found, LABELS[language or language_of(request)])
    return Response(picture, media_type="image/svg+xml", headers={"Content-Security-Policy": _POLICY})


async def _found(request: Request, meeting: str) -> Minutes:
    house = house_of(request)
    kept = await house.store.meeting(MeetingId(meeting))
    return await minutes_of(house, kept, await house.store.transcript(kept.id))
