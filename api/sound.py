"""The kept sound of a meeting, where it was created with ``keep_audio``, also while the meeting goes on."""

import asyncio
import os
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import BinaryIO

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse, StreamingResponse

from api.access import Need, needs
from api.house import House, house_of
from api.transcripts import attachment
from pipeline.domain import MeetingId, TrackId
from pipeline.errors import NotFound
from pipeline.store.audio import audio_key
from pipeline.store.stored_audio import open_sound

router = APIRouter(prefix="/api/v1/meetings/{meeting}", tags=["transcripts"])

_LINK_SECONDS = 300.0
_PIECE = 64 * 1024
_SOUND = {
    HTTPStatus.OK.value: {"description": "The file.", "content": {"audio/ogg": {"example": "OggS..."}}},
    HTTPStatus.TEMPORARY_REDIRECT.value: {"description": "It is fetched from S3, at a signed URL of a few minutes."},
}


@router.get(
    "/audio/{track:path}",
    dependencies=[needs(Need.MEETINGS)],
    summary="Download the kept sound of a track",
    response_class=Response,
    responses=_SOUND,  # type: ignore[arg-type] # a dict of int keys, where FastAPI says int | str
)
async def sound(request: Request, meeting: str, track: str) -> Response:
    """Ogg Opus that begins when the meeting began; where nothing was sent it is silent.

    Tracks stand in `transcript.json`. Of a meeting that goes on there is what was kept so far.
    """
    house = house_of(request)
    whose, of = MeetingId(meeting), TrackId(track)
    await house.store.meeting(whose)
    if link := await _link(house, whose, of):
        return RedirectResponse(link, HTTPStatus.TEMPORARY_REDIRECT, {"Cache-Control": "no-store"})
    file = await open_sound(house.files.objects, whose, of)
    size = os.fstat(file.fileno()).st_size
    headers = {"Content-Length": str(size), "Content-Disposition": attachment(f"{track}.ogg")}
    return StreamingResponse(_pieces(file, size), media_type="audio/ogg", headers=headers)


async def _link(house: House, meeting: MeetingId, track: TrackId) -> str | None:
    """None where there is none, as while only parts are in S3."""
    if house.files.links is None:
        return None
    try:
        return await house.files.links.link(audio_key(meeting, track), _LINK_SECONDS)
    except NotFound:
        return None


async def _pieces(file: BinaryIO, size: int) -> AsyncIterator[bytes]:
    """``size`` bytes, whatever is written to the file meanwhile."""
    with file:
        while size > 0 and (piece := await asyncio.to_thread(file.read, min(size, _PIECE))):
            size -= len(piece)
            yield piece
