"""Live captions for players: WebVTT in HLS, beside silent sound (RFC 8216). Works while a meeting runs and after."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.access import Need, needs
from api.house import house_of
from api.playback import Playbacks
from media_gateway.silence import init_segment, media_segment
from pipeline.domain import MeetingId
from pipeline.errors import NotFound
from pipeline.export.hls import master_playlist

router = APIRouter(prefix="/api/v1/meetings/{meeting}/hls", tags=["captions"], dependencies=[needs(Need.READ)])

PLAYLIST = "application/vnd.apple.mpegurl"
# A segment never changes. It is kept by the player alone, and not for long: it is what people said.
_UNCHANGING = {"Cache-Control": "private, max-age=3600, immutable"}
_ASK_AGAIN = {"Cache-Control": "no-cache"}
Token = Annotated[str | None, Query(description="A token that may read, for players, which send no headers.")]
Number = Annotated[int, Path(ge=0, description="The segment holds what is shown from 2n to 2n + 2 s.", examples=[0])]


def _response(of: str, example: str) -> dict[int | str, dict[str, object]]:
    return {200: {"description": "The file.", "content": {of: {"example": example}}}}


@router.get(
    "/master.m3u8",
    summary="Play the captions: the address to give to a player",
    response_class=Response,
    responses=_response(PLAYLIST, master_playlist(("fr",))),
)
async def master(request: Request, meeting: str, token: Token = None) -> Response:
    """The token, where one was given, is handed on to every address in the playlists."""
    playback = await _playbacks(request).caught_up(MeetingId(meeting))
    return Response(master_playlist(playback.meeting.languages, token), media_type=PLAYLIST, headers=_ASK_AGAIN)


@router.get(
    "/{kind}.m3u8",
    summary="The segments so far, of the silent sound or of the subtitles",
    response_class=Response,
    responses=_response(PLAYLIST, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n"),
)
async def playlist(request: Request, meeting: str, kind: str, token: Token = None) -> Response:
    """Complete from the beginning of the meeting on; in the first seconds it waits for the first segment."""
    if kind not in {"audio", "subtitles"}:
        raise NotFound("there are master.m3u8, audio.m3u8 and subtitles.m3u8")
    playback = await _playbacks(request).caught_up(MeetingId(meeting))
    text = await playback.playlist(kind, token)
    return Response(text, media_type=PLAYLIST, headers=_ASK_AGAIN)


@router.get(
    "/init.mp4",
    summary="What a player needs before any sound",
    response_class=Response,
    responses=_response("audio/mp4", "(binary)"),
)
async def init(request: Request, meeting: str) -> Response:
    await _playbacks(request).of(MeetingId(meeting))
    return Response(await asyncio.to_thread(init_segment), media_type="audio/mp4", headers=_UNCHANGING)


@router.get(
    "/audio/{number}.m4s",
    summary="Two seconds of silence",
    response_class=Response,
    responses=_response("audio/mp4", "(binary)"),
)
async def audio(request: Request, meeting: str, number: Number) -> Response:
    playback = await _playbacks(request).caught_up(MeetingId(meeting))
    if number >= playback.listed:
        raise NotFound(f"there is no segment {number} yet: take those that the playlist lists")
    return Response(await asyncio.to_thread(media_segment, number), media_type="audio/mp4", headers=_UNCHANGING)


@router.get(
    "/subtitles/{number}.vtt",
    summary="Two seconds of captions",
    response_class=Response,
    responses=_response("text/vtt", "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n"),
)
async def subtitles(request: Request, meeting: str, number: Number) -> Response:
    """Cues that go on into the next segment are in both, the same in both."""
    playback = await _playbacks(request).caught_up(MeetingId(meeting))
    return Response(playback.subtitles.segment(number), media_type="text/vtt", headers=_UNCHANGING)


def _playbacks(request: Request) -> Playbacks:
    """Those of this application, made when the first player comes."""
    state = request.app.state
    if not hasattr(state, "playbacks"):
        house = house_of(request)
        state.playbacks = Playbacks(house.store, house.meetings, house.settings.hls_hold_back, house.wall)
    playbacks: Playbacks = state.playbacks
    return playbacks
