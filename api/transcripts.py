"""The transcript of a meeting as a file, also while it goes on, and corrections of its text."""

import asyncio
import re
import unicodedata
from urllib.parse import quote

from fastapi import APIRouter, Request, Response, status

from api.access import Need, needs
from api.house import house_of
from api.shapes import CHANGED, Correction
from pipeline.domain import MeetingId, SegmentId
from pipeline.errors import NotFound
from pipeline.export.formats import FORMATS

router = APIRouter(prefix="/api/v1/meetings/{meeting}", tags=["transcripts"])

MEDIA_TYPES = {
    "vtt": "text/vtt; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
}


@router.get(
    "/transcript.{format}",
    dependencies=[needs(Need.READ)],
    summary="Download the transcript: vtt, srt, txt, json or md",
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": {"text/vtt": {"example": "WEBVTT\n\n..."}, "application/json": {}}}
    },
)
async def transcript(request: Request, meeting: str, format: str) -> Response:  # noqa: A002 - as it stands in the path
    """What is final so far, with human corrections, else the record text, else the caption text."""
    if format not in FORMATS:
        raise NotFound(f"there is no transcript.{format[:20]}; there are {', '.join(FORMATS)}")
    kept = await house_of(request).store.transcript(MeetingId(meeting))
    # In a thread: laying out the cues of hours takes seconds, and captions are not to wait for it.
    text = await asyncio.to_thread(FORMATS[format], kept)
    named = {"Content-Disposition": attachment(f"{kept.title or 'meeting'}.{format}")}
    return Response(text, media_type=MEDIA_TYPES[format], headers=named)


@router.patch(
    "/segments/{segment:path}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[needs(Need.MEETINGS)],
    summary="Correct the text of a segment of the transcript",
    responses=CHANGED,
)
async def correct(request: Request, meeting: str, segment: str, wanted: Correction) -> Response:
    """Segments and their ids stand in ``transcript.json``. Live captions, which were read, stay as they were."""
    await house_of(request).store.correct(MeetingId(meeting), SegmentId(segment), wanted.text, wanted.count)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


def attachment(name: str) -> str:
    """A ``Content-Disposition`` (RFC 6266) with the name in ASCII, and as it is (RFC 8187) where that differs."""
    name = " ".join(re.sub(r'[/\\:*?"<>|\x00-\x1f]+', " ", name).split())
    apart = unicodedata.normalize("NFKD", name)
    plain = re.sub(r"[^A-Za-z0-9 ._-]+", "", apart).strip()
    plain = f"meeting{plain}" if plain.startswith(".") else plain
    exact = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{exact}'
