"""Captions while they are made: as a WebSocket, as server-sent events, and as one growing WebVTT document.

Readers hold a place in the meeting's feed and nothing else (``pipeline/bus/feed``): one that is slow gets the newest
state of each utterance. One that takes nothing for ``_PATIENCE`` seconds is dropped, and may come back with the number
of the last event it had.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Header, Query, Request, Response, WebSocket
from starlette.requests import HTTPConnection
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from api.access import Need, needs
from api.house import House, house_of
from api.past_voices import labels_of
from pipeline.domain import Caption, MeetingId
from pipeline.export.event import Event, Reading, caption_event
from pipeline.export.formats import FORMATS
from pipeline.export.live_cues import HEADER, GrowingDocument, labels_first
from pipeline.running import LiveMeeting
from pipeline.running.telling import CAPTIONS

router = APIRouter(prefix="/api/v1/meetings/{meeting}", tags=["captions"], dependencies=[needs(Need.READ)])

_log = logging.getLogger("greffier.api")
Batches: TypeAlias = AsyncGenerator[list[Reading], None]

_PATIENCE = 10.0
_SLOWEST = 16_000
"""Bytes a second: whoever takes what is there at this pace is not dropped for its length."""
_HEARTBEAT = 15.0
_RETRY_MS = 2000
_NORMAL, _GOING_AWAY = 1000, 1001  # RFC 6455, section 7.4.1

_SSE_EXAMPLE = """\
retry: 2000
id: 5
data: {"type":"snapshot","meeting":"9mx2c89kz6mq","sequence":5,"title":"Weekly point","state":"running",...}

id: 6
data: {"type":"caption","sequence":6,"participant":"3y5d3t9xra","speaker":"Anne","final":false,"committed":" Hello",...}

"""
_VTT_EXAMPLE = "WEBVTT\n\n3y5d3t9xra.1#1.1\n00:00:01.000 --> 00:00:02.500\n<v Anne>Hello everybody.\n\n"


class PatientResponse(StreamingResponse):
    """A stream whose reader is dropped when it takes nothing for ``_PATIENCE`` seconds."""

    def __init__(self, content: AsyncGenerator[str, None], media_type: str) -> None:
        super().__init__(content, media_type=media_type, headers={"X-Accel-Buffering": "no"})
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        patience = _PATIENCE

        async def patient(message: Message) -> None:
            nonlocal patience
            async with asyncio.timeout(patience):
                await send(message)
            patience = _PATIENCE + len(message.get("body", b"")) / _SLOWEST  # it waits to be taken when more comes

        try:
            await super().__call__(scope, receive, patient)
        except TimeoutError:
            _let_go(HTTPConnection(scope))
        finally:
            await self._content.aclose()  # at once, as it counts as a reader


def _let_go(connection: HTTPConnection) -> None:
    """Frees what waits to be taken; the server gives ``abort``, other servers of ASGI do not."""
    _log.info("reader.dropped")
    abort: Callable[[], None] = getattr(connection.state, "abort", lambda: None)
    abort()


@router.websocket("/captions.ws")
async def socket(websocket: WebSocket, meeting: str, after: int | None = None) -> None:
    """``{"type": "snapshot", ...}``, then one event per message; ``?after=N`` goes on after the event numbered N."""
    house, identity = house_of(websocket), MeetingId(meeting)
    running = await _running(house, identity)
    if running is None:
        past = await _past(house, identity)
        await websocket.accept()
        await websocket.send_text(_json(past))
        await websocket.close(_NORMAL, "the meeting is over")
        return
    await websocket.accept()
    sending = asyncio.create_task(_send(websocket, running, after))
    listening = asyncio.create_task(_until_gone(websocket))
    try:
        await asyncio.wait({sending, listening}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        listening.cancel()
        await asyncio.gather(sending, listening, return_exceptions=True)


async def _send(websocket: WebSocket, running: LiveMeeting, after: int | None) -> None:
    """Runs until the feed ends, which closes the socket, or the reader takes nothing any more."""
    snapshot = _snapshot(running, after)
    newest = running.feed.newest
    patience = _PATIENCE + len(snapshot) / _SLOWEST  # it waits to be taken when more comes
    try:
        async with asyncio.timeout(_PATIENCE):
            await websocket.send_text(snapshot)
        async with aclosing(running.feed.read(newest)) as batches:
            async for batch in batches:
                async with asyncio.timeout(patience):
                    for reading in batch:
                        await websocket.send({"type": "websocket.send", "text": reading.text})
                patience = _PATIENCE
        over = running.meeting.ended_at is not None
        await websocket.close(_NORMAL if over else _GOING_AWAY)
    except TimeoutError:
        _let_go(websocket)


async def _until_gone(websocket: WebSocket) -> None:
    """Readers have nothing to say; what they say is dropped."""
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return


@router.get(
    "/captions.sse",
    summary="Captions as server-sent events",
    response_class=StreamingResponse,
    responses={200: {"description": "The stream.", "content": {"text/event-stream": {"example": _SSE_EXAMPLE}}}},
)
async def events(
    request: Request,
    meeting: str,
    after: Annotated[int | None, Query(description="Go on after the event of this number.")] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """The snapshot, then one event at a time, ``id`` its number (HTML Standard, section 9.2)."""
    house, identity = house_of(request), MeetingId(meeting)
    if last_event_id is not None and re.fullmatch(r"[0-9]{1,18}", last_event_id):
        after = int(last_event_id)
    running = await _running(house, identity)
    stream = _stream(running, after) if running is not None else _once(_sse(_json(await _past(house, identity))))
    return PatientResponse(stream, "text/event-stream")


async def _stream(running: LiveMeeting, after: int | None) -> AsyncGenerator[str, None]:
    snapshot = _snapshot(running, after)
    newest = running.feed.newest
    yield f"retry: {_RETRY_MS}\n{_sse(snapshot, newest)}"
    async with aclosing(_with_heartbeats(running.feed.read(newest))) as batches:
        async for batch in batches:
            yield "".join(_sse(reading.text, reading.sequence) for reading in batch) or ": still here\n\n"


async def _with_heartbeats(batches: Batches) -> Batches:
    """``batches``, and an empty one whenever none came for a while: proxies close what is silent."""
    coming: asyncio.Future[list[Reading]] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(batches))
            done, _ = await asyncio.wait({coming}, timeout=_HEARTBEAT)
            if not done:
                yield []
                continue
            batch, coming = coming.result(), None
            yield batch
    except StopAsyncIteration:
        return
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait([coming])
        await batches.aclose()


@router.get(
    "/captions.vtt",
    summary="Captions as a WebVTT document that grows",
    response_class=StreamingResponse,
    responses={200: {"description": "The document.", "content": {"text/vtt": {"example": _VTT_EXAMPLE}}}},
)
async def webvtt(request: Request, meeting: str) -> Response:
    """Cues from the beginning on, each once its words are committed; after the meeting, the file."""
    house, identity = house_of(request), MeetingId(meeting)
    running = await _running(house, identity)
    if running is not None:
        return PatientResponse(_growing(running), "text/vtt")
    transcript = await house.store.transcript(identity)
    text = await asyncio.to_thread(FORMATS["vtt"], transcript)
    return Response(text, media_type="text/vtt")


async def _growing(running: LiveMeeting) -> AsyncGenerator[str, None]:
    yield HEADER
    document = GrowingDocument()
    async with aclosing(running.feed.read(None)) as batches:
        async for batch in batches:
            for reading in labels_first(batch):
                if blocks := document.event(reading.event):
                    yield blocks
                await asyncio.sleep(0)  # hours of history take seconds, and others are served between


def _snapshot(running: LiveMeeting, after: int | None) -> str:
    """The snapshot as JSON, of texts that are written already: a thousand readers may come back at once."""
    captions = (each.text for each in running.feed.history(after) if each.event["type"] in CAPTIONS)
    head = running.snapshot(running.feed.newest) | {"events": []}
    return _json(head).removesuffix("]}") + ",".join(captions) + "]}"


async def _once(text: str) -> AsyncGenerator[str, None]:
    yield text


async def _running(house: House, meeting: MeetingId) -> LiveMeeting | None:
    """The running meeting, which a reader starts too; None when it is over. Raises ``NotFound``."""
    if found := house.meetings.running(meeting):
        return found
    if (await house.store.meeting(meeting)).ended_at is not None:
        return None
    return await house.meetings.of(meeting)


async def _past(house: House, meeting: MeetingId) -> Event:
    """The snapshot of a meeting that is over: all that was final in it, and which voices said it."""
    kept = await house.store.meeting(meeting)
    people = {each.id: each.name for each in await house.store.participants(meeting)}
    tracks = await house.store.tracks(meeting)
    finals = await house.store.finals(meeting)
    labels = await labels_of(house.store, meeting, finals)

    def event(number: int, final: Caption) -> dict[str, Any]:
        owner = tracks.get(final.track)
        named = {"participant": owner.id if owner else final.track, "speaker": owner.name if owner else ""}
        stamped = {"type": "caption", "sequence": number, "meeting": meeting}
        return stamped | caption_event(final, final.words[-1].end if final.words else 0.0) | named

    events = [event(number, final) for number, final in enumerate(finals, 1)]
    for label in labels.values():
        events.append({"type": "voices", "sequence": len(events) + 1, "meeting": meeting, "sent_at": 0.0} | label)
    return {
        "type": "snapshot",
        "meeting": meeting,
        "sent_at": 0.0,
        "sequence": len(events),
        "title": kept.title,
        "state": "ended",
        "paused": False,
        "participants": [{"participant": name, "speaker": people[name], "present": False} for name in people],
        "events": events,
    }


def _sse(text: str, number: int | None = None) -> str:
    identity = "" if number is None else f"id: {number}\n"
    return f"{identity}data: {text}\n\n"  # JSON on one line


def _json(event: Event) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))
