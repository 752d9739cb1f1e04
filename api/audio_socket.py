"""Sound of one participant over a WebSocket, for clients without WebRTC.

::

    client  {"token": "...", "codec": "pcm16", "sample_rate": 48000}
    server  {"type": "ready", "track": "..."}
    client  binary messages: PCM16 (little endian, mono), or one Opus packet each

What is wrong closes the socket with a code and a reason (RFC 6455, section 7.4): 1003 for text where binary belongs,
1007 for what is no sound or no hello, 1008 for a token that does not allow this or a hello that does not come, 1009 for
too long a message.
"""

import asyncio
import logging
from contextlib import suppress

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from api.access import Need
from api.denials import NotAllowed, NotSignedIn
from api.house import house_of
from media_gateway.websocket import LONGEST_MESSAGE, Hello, SocketTap, read_hello
from pipeline.domain import MeetingId, Participant, TrackId
from pipeline.errors import GreffierError, InvalidInput, NotFound
from pipeline.running import LiveMeeting

router = APIRouter(prefix="/api/v1/meetings/{meeting}", tags=["sound"])
_log = logging.getLogger("greffier.api")

_NORMAL, _GOING_AWAY, _UNSUPPORTED, _INVALID, _POLICY, _TOO_BIG, _INTERNAL = 1000, 1001, 1003, 1007, 1008, 1009, 1011
_HELLO_SECONDS = 10.0
_LONGEST_REASON = 123
"""Bytes (RFC 6455, section 5.5)."""
_LAST_SOUND_SECONDS = 3.5
"""More than a running meeting takes for the last words of whoever leaves (3 s)."""


class _Refused(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@router.websocket("/audio.ws")
async def audio(websocket: WebSocket, meeting: str) -> None:
    """See the module. The token is in the hello, so that no address holds it."""
    await websocket.accept()
    try:
        await _serve(websocket, MeetingId(meeting))
    except _Refused as refused:
        await _close(websocket, refused.code, refused.reason)
    except WebSocketDisconnect:
        return


async def _serve(websocket: WebSocket, meeting: MeetingId) -> None:
    hello = await _hello(websocket)
    running, tap, publishing, track = await _publish(websocket, meeting, hello)
    taking = asyncio.create_task(_take(websocket, tap))
    try:
        await websocket.send_json({"type": "ready", "track": track})
        await asyncio.wait({taking, publishing}, return_when=asyncio.FIRST_COMPLETED)
        if publishing.done():
            over = running.meeting.ended_at is not None
            raise _Refused(_NORMAL if over else _GOING_AWAY, "the meeting is over" if over else "captions stop here")
        await taking
    finally:
        taking.cancel()
        tap.finish()
        await asyncio.wait({publishing}, timeout=_LAST_SOUND_SECONDS)
        publishing.cancel()
        await asyncio.gather(taking, publishing, return_exceptions=True)


async def _hello(websocket: WebSocket) -> Hello:
    try:
        async with asyncio.timeout(_HELLO_SECONDS):
            message = await websocket.receive()
    except TimeoutError:
        raise _Refused(_POLICY, "no hello came") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", _NORMAL))
    text = message.get("text")
    if text is None:
        raise _Refused(_UNSUPPORTED, "the first message must be the hello, as JSON text")
    try:
        return read_hello(text)
    except InvalidInput as error:
        raise _Refused(_INVALID, str(error)) from error


async def _publish(
    websocket: WebSocket, meeting: MeetingId, hello: Hello
) -> tuple[LiveMeeting, SocketTap, "asyncio.Task[None]", TrackId]:
    house = house_of(websocket)
    try:
        grant = house.access.judge_token(hello.token, Need.PUBLISH, meeting)
        if grant.participant is None:
            raise NotAllowed("this token names no participant")
        running = await house.meetings.of(meeting)
        track = await running.join(Participant(grant.participant, grant.name or grant.participant))
    except (NotSignedIn, NotAllowed, NotFound, InvalidInput) as error:
        raise _Refused(_POLICY, str(error)) from error
    except GreffierError as error:
        _log.error("audio.refused", extra={"error": type(error).__name__})
        raise _Refused(_INTERNAL, str(error)) from error
    tap = SocketTap(hello, track, running.now, lambda: running.listening)
    publishing = asyncio.create_task(running.publish(tap.source, track))
    return running, tap, publishing, track.id


async def _take(websocket: WebSocket, tap: SocketTap) -> None:
    """Until the client leaves."""
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        sound = message.get("bytes")
        if sound is None:
            raise _Refused(_UNSUPPORTED, "after the hello every message must be binary sound")
        if len(sound) > LONGEST_MESSAGE:
            raise _Refused(_TOO_BIG, f"a message holds at most {LONGEST_MESSAGE} bytes of sound")
        try:
            await tap.push(sound)
        except InvalidInput as error:
            raise _Refused(_INVALID, str(error)) from error


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):  # the client may be gone already
        await websocket.close(code, reason.encode()[:_LONGEST_REASON].decode(errors="ignore"))
