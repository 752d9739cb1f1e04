"""Greffier as a moshi-server: whatever speaks to Kyutai's speech recognition may speak to this one (docs/kyutai.md).

The messages are those of ``media_gateway/moshi``. What is wrong is said in an ``Error``, then the socket closes with a
code (RFC 6455, section 7.4): 1007 for what is no message, 1008 for 120 s without one, 1011 for a recogniser that
failed, 1013 for no free channel. Text is ignored, as there.
"""

import asyncio
import logging
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, WebSocket
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocketDisconnect

from api.access import Need, needs
from api.channels import Channel, Channels
from api.house import house_of
from media_gateway import moshi
from media_gateway.recording import Recording
from pipeline.domain import SAMPLE_RATE, Gap, Samples, Word
from pipeline.errors import InvalidInput, NotFound, RecognitionFailed, TooMany

router = APIRouter(prefix="/api", include_in_schema=False)
_log = logging.getLogger("greffier.channels")

_INVALID, _POLICY, _INTERNAL, _TRY_LATER = 1007, 1008, 1011, 1013
_LONGEST_REASON = 123
"""Bytes (RFC 6455, section 5.5)."""
_STALL = 1.0
"""Seconds without sound after which speech has ended: microphones that are muted send nothing."""
_PATIENCE = 120.0
"""Seconds without a message, as in moshi-server."""
_TAKEN = 20.0
"""Seconds that a client may take nothing for."""
_CONTENT_TOO_LARGE = 413


class _Refused(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@router.get("/build_info")
async def answers() -> dict[str, str]:
    """moshi-server tells more of how it was built; clients ask whether somebody answers."""
    return {"server": "greffier", "version": version("greffier")}


@router.websocket("/asr-streaming", dependencies=[needs(Need.RECOGNITION)])
async def stream(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        await _serve(websocket, _channels_of(websocket))
    except WebSocketDisconnect:
        return
    except _Refused as refused:
        with suppress(RuntimeError, WebSocketDisconnect):  # the client may be gone already
            await websocket.send_bytes(moshi.packed(moshi.failure(str(refused))))
            await websocket.close(refused.code, str(refused).encode()[:_LONGEST_REASON].decode(errors="ignore"))


async def _serve(websocket: WebSocket, channels: Channels) -> None:
    client = _Client(websocket)
    try:
        async with channels.open(client) as (channel, running):
            hearing = asyncio.create_task(_hear(client, channel))
            try:
                await asyncio.wait({hearing, running}, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    raise _Refused(_INTERNAL, "the recogniser failed")
                await hearing
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)
    except TooMany as error:
        raise _Refused(_TRY_LATER, str(error)) from error


class _Client:
    """A ``Listener`` at the other end of a socket. One that takes nothing for 20 s is let go of."""

    def __init__(self, websocket: WebSocket) -> None:
        self.websocket = websocket
        self._telling = asyncio.Lock()

    async def said(self, word: Word) -> None:
        await self.tell(*moshi.spoken(word))

    async def unheard(self, gap: Gap) -> None:
        await self.tell(moshi.failure(f"nothing was recognised from {gap.start:.2f} to {gap.end:.2f} s: {gap.reason}"))

    async def tell(self, *messages: Mapping[str, Any]) -> None:
        """Returns once there is room for more; does nothing when the client has gone, which ``next`` tells."""
        try:
            async with asyncio.timeout(_TAKEN), self._telling:
                for message in messages:
                    await self.websocket.send_bytes(moshi.packed(message))
        except TimeoutError:
            _log.info("channel.dropped")
            abort: Callable[[], None] = getattr(self.websocket.state, "abort", lambda: None)
            abort()
        except (RuntimeError, WebSocketDisconnect):
            pass

    async def next(self) -> bytes | None:
        """The next message, None for one in text. Raises ``WebSocketDisconnect``."""
        message = await self.websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        content: bytes | None = message.get("bytes")
        return content


async def _hear(client: _Client, channel: Channel) -> None:
    """Until the client leaves, or is refused."""
    await client.tell(moshi.ready())
    sound = moshi.StreamedSound()
    steps = 0
    while True:
        packed = await _next(client, channel, sound)
        try:
            message = moshi.read_message(packed)
            pieces = sound.push(message) if isinstance(message, moshi.Audio | moshi.OggOpus) else ()
        except InvalidInput as error:
            raise _Refused(_INVALID, str(error)) from error
        match message:
            case moshi.Init():
                await client.tell(moshi.ready())
            case moshi.Marker(id=number):
                await _finish(channel, sound.rest())
                await client.tell(moshi.marker(number))
        for place, piece in enumerate(pieces):
            await channel.hear(piece)
            buffered = sound.buffered + (len(pieces) - 1 - place) * round(moshi.STEP_SECONDS * moshi.RATE)
            await client.tell(moshi.step(steps, channel.silence, buffered))
            steps += 1
            await asyncio.sleep(0)  # however much comes at once, others are heard in between


async def _next(client: _Client, channel: Channel, sound: moshi.StreamedSound) -> bytes:
    """The next message; when none comes for a while, what was being said is finished meanwhile."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    receiving = asyncio.ensure_future(client.next())
    try:
        while True:
            stalling = loop.time() - began < _STALL
            left = began + (_STALL if stalling else _PATIENCE) - loop.time()
            await asyncio.wait([receiving], timeout=max(0.0, left))
            if receiving.done():
                packed = await receiving
                if packed is not None:
                    return packed
                receiving = asyncio.ensure_future(client.next())
            elif stalling:
                await channel.hear(sound.rest())
                await channel.end_speech()
            elif loop.time() - began >= _PATIENCE:
                raise _Refused(_POLICY, f"nothing came for {_PATIENCE:.0f} s")
    finally:
        receiving.cancel()


async def _finish(channel: Channel, rest: Samples) -> None:
    await channel.hear(rest)
    await channel.end_speech()
    await channel.captioned()


# --- a whole recording -----------------------------------------------------------------------------------------------


@router.post("/asr-streaming", dependencies=[needs(Need.RECOGNITION)], max_body_size=sys.maxsize)
async def whole(request: Request) -> Sequence[Mapping[str, Any]]:
    """The ``Word`` and ``EndWord`` messages of a recording, the body of the request, as JSON.

    It holds a channel like a stream; files of any usual container are taken.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording"
        await _receive(request, path, house_of(request).settings.upload_limit)
        recording = await asyncio.to_thread(Recording.open, path, "the body")
        heard = _Heard()
        async with _channels_of(request).open(heard) as (channel, running):
            hearing = asyncio.create_task(_hear_all(recording, channel))
            try:
                await asyncio.wait({hearing, running}, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    raise RecognitionFailed("the recogniser failed")
                await hearing
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)
    return heard.messages


class _Heard:
    """A ``Listener`` that remembers."""

    def __init__(self) -> None:
        self.messages: list[Mapping[str, Any]] = []

    async def said(self, word: Word) -> None:
        self.messages += moshi.spoken(word)

    async def unheard(self, gap: Gap) -> None:
        raise RecognitionFailed(f"nothing was recognised from {gap.start:.2f} to {gap.end:.2f} s: {gap.reason}")


async def _receive(request: Request, path: Path, limit: int) -> None:
    with path.open("wb") as file:
        async for piece in request.stream():
            if file.tell() + len(piece) > limit:
                raise HTTPException(_CONTENT_TOO_LARGE)
            await asyncio.to_thread(file.write, piece)


async def _hear_all(recording: Recording, channel: Channel) -> None:
    pieces = recording.pieces(5.0)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        count = round(moshi.STEP_SECONDS * SAMPLE_RATE)
        for begin in range(0, len(piece), count):
            await channel.hear(piece[begin : begin + count])
            await asyncio.sleep(0)
    await channel.end_speech()
    await channel.captioned()


def _channels_of(connection: Request | WebSocket) -> Channels:
    channels = house_of(connection).channels
    if channels is None:  # the routes are there where a recogniser is (api/app.py)
        raise NotFound("this process has no recogniser")
    return channels
