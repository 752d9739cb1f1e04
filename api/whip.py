"""WHIP: browsers and encoders publish a participant's microphone (RFC 9725), and read captions on the same connection.

The token of a participant comes as ``Authorization: Bearer``. Candidates may come with the offer or after it; our
answer holds all of ours. ICE restarts are not understood: publish anew.
"""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Request, Response, status
from starlette.exceptions import HTTPException

from api.access import Grant, Need, needs
from api.denials import NotAllowed
from api.house import House, house_of
from api.parsing import IceServer
from media_gateway.webrtc import PeerHooks, WhipPeer, check_offer
from pipeline.domain import MeetingId, Participant, ParticipantId
from pipeline.errors import NotFound

if TYPE_CHECKING:
    from api.other_gateways import OtherGateways

router = APIRouter(prefix="/whip", tags=["whip"])
publish = needs(Need.PUBLISH)

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
_ACCEPT_POST = {"Accept-Post": SDP}
_ACCEPT_PATCH = {"Accept-Patch": FRAGMENT}

_OFFER_EXAMPLE = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n..."
)
_FRAGMENT_EXAMPLE = (
    "a=ice-ufrag:EsAw\r\na=mid:0\r\na=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host\r\na=end-of-candidates\r\n"
)


def _body(kind: str, example: str) -> dict[str, Any]:
    """The body of a request, for the OpenAPI document."""
    return {"requestBody": {"required": True, "content": {kind: {"schema": {"type": "string"}, "example": example}}}}


@router.options("/{meeting}", status_code=status.HTTP_204_NO_CONTENT, summary="What may be posted here")
async def options(meeting: str) -> Response:
    del meeting  # the same for all, whether there is one or not
    return Response(status_code=status.HTTP_204_NO_CONTENT, headers=_ACCEPT_POST)


@router.post(
    "/{meeting}",
    status_code=status.HTTP_201_CREATED,
    summary="Publish one audio track",
    response_class=Response,
    responses={
        201: {"description": "The SDP answer; Location names the session.", "content": {SDP: {"example": "v=0\r\n"}}},
        415: {"description": "The body is no application/sdp."},
        422: {"description": "The offer cannot be answered; the problem says why."},
        429: {"description": "This participant publishes four times already: stop one session first."},
    },
    openapi_extra=_body(SDP, _OFFER_EXAMPLE),
)
async def offer(request: Request, meeting: str, grant: Annotated[Grant, publish]) -> Response:
    """Offer Opus, one audio section with ``a=sendonly``, and a data channel to read ``captions`` or ``webvtt`` on."""
    house = house_of(request)
    text = await _text(request, SDP, _ACCEPT_POST)
    check_offer(text)
    peer = await _new_peer(house, MeetingId(meeting), grant, text)
    headers = {"Location": f"{router.prefix}/{meeting}/{peer.id}", "ETag": f'"{peer.etag}"', **_ACCEPT_PATCH}
    response = Response(peer.answer, status.HTTP_201_CREATED, headers, SDP)
    for server in house.settings.ice_servers:
        response.headers.append("Link", _link(server))
    return response


@router.delete("/{meeting}/{peer}", summary="Stop publishing", response_class=Response)
async def stop(request: Request, meeting: str, peer: str, grant: Annotated[Grant, publish]) -> Response:
    house = house_of(request)
    if (others := _elsewhere(house, peer)) is not None:
        await others.hang_up(MeetingId(meeting), _participant(grant), peer)
    else:
        await house.peers.close(_peer(house, meeting, peer, grant).id)
    return Response(status_code=status.HTTP_200_OK)


@router.patch(
    "/{meeting}/{peer}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Add ICE candidates",
    responses={
        412: {"description": "If-Match is not the ETag of this session."},
        415: {"description": "The body is no application/trickle-ice-sdpfrag."},
        422: {"description": "The fragment cannot be read, or asks for an ICE restart."},
        428: {"description": "If-Match is missing."},
    },
    openapi_extra=_body(FRAGMENT, _FRAGMENT_EXAMPLE),
)
async def trickle(
    request: Request,
    meeting: str,
    peer: str,
    grant: Annotated[Grant, publish],
    if_match: Annotated[str | None, Header(description="The ETag of the session.", examples=['"6f1c"'])] = None,
) -> Response:
    """Candidates found after the offer (RFC 8840), with the ETag of the session as ``If-Match``."""
    house = house_of(request)
    others = _elsewhere(house, peer)
    known = None if others else _peer(house, meeting, peer, grant)
    text = await _text(request, FRAGMENT, _ACCEPT_PATCH)
    etag = _etag(if_match)
    if others is not None:
        await others.trickle(MeetingId(meeting), _participant(grant), peer, etag, text)
    if known is not None:
        if etag not in {known.etag, "*"}:
            raise HTTPException(status.HTTP_412_PRECONDITION_FAILED, "If-Match is not the ETag of this session")
        await known.trickle(text)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


def _etag(if_match: str | None) -> str:
    if if_match is None:
        raise HTTPException(
            status.HTTP_428_PRECONDITION_REQUIRED, "send the ETag of the session as If-Match (RFC 9725, section 4.3.1)"
        )
    return if_match.strip().strip('"')


async def _new_peer(house: House, meeting: MeetingId, grant: Grant, sdp: str) -> WhipPeer:
    participant = _participant(grant)
    house.peers.check_room(meeting, participant)  # before a track is given a number
    running = await house.meetings.of(meeting)
    track = await running.join(Participant(participant, grant.name or participant))
    hooks = PeerHooks(meeting, track, running.now, lambda: running.listening, running.feed.read)
    peer = await house.peers.offer(sdp, hooks)
    peer.take(running.publish(peer.source, track))
    return peer


def _participant(grant: Grant) -> ParticipantId:
    if grant.participant is None:
        raise NotAllowed("this token names no participant")
    return grant.participant


def _elsewhere(house: House, peer: str) -> "OtherGateways | None":
    """Whom to ask for a session that is not of this gateway: a proxy sends what belongs to it to any of them."""
    return house.other_gateways if house.peers.get(peer) is None else None


def _peer(house: House, meeting: str, peer: str, grant: Grant) -> WhipPeer:
    found = house.peers.get(peer)
    if found is None or found.hooks.meeting != meeting or found.hooks.track.participant.id != grant.participant:
        raise NotFound("there is no such session: it ended, or it is another participant's")
    return found


async def _text(request: Request, kind: str, accepts: dict[str, str]) -> str:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != kind:
        raise HTTPException(status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, f"the body must be {kind}", accepts)
    return (await request.body()).decode("utf-8", "replace")


def _link(server: IceServer) -> str:
    """RFC 9725, section 4.6."""
    link = f'<{server.url}>; rel="ice-server"'
    if server.username is not None and server.credential is not None:
        link += f'; username="{server.username}"; credential="{server.credential}"; credential-type="password"'
    return link
