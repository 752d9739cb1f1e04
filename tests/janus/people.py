"""Participants of a VideoRoom for tests: aiortc's, publishing recorded speech and reading captions."""

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from media_gateway.janus.messages import Said
from media_gateway.janus.server import JanusServer
from media_gateway.janus.session import JanusHandle, JanusSession
from tests.media_gateway.opus_packets import PACKET_SECONDS

ANNE = ("fr_pv_leopard.wav", "fr_cv_17301936.mp3")
"""What Anne says at first, and when she has come again."""
BRUNO = ("en_ibm_tornado.flac", "en_pv_quilter.wav", "en_fleurs_luna.wav")
"""What Bruno says before he is muted, after, and once Janus is back."""


def _connection() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


class Microphone(MediaStreamTrack):
    """Sends what it is told to ``say`` at the pace of speech, and otherwise nothing at all, as a muted one does."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packets: deque[bytes] = deque()
        self._began = asyncio.get_running_loop().time()
        self._sent = 0  # slots of 20 ms since it began
        self._said = asyncio.Event()
        self._more = asyncio.Event()

    async def say(self, packets: Sequence[bytes]) -> None:
        """Returns when all is said."""
        self._sent = max(self._sent, round((asyncio.get_running_loop().time() - self._began) / PACKET_SECONDS))
        self._packets.extend(packets)
        self._said.clear()
        self._more.set()
        await self._said.wait()

    async def recv(self) -> av.Packet:  # type: ignore[override]
        while not self._packets:
            self._more.clear()
            await self._more.wait()
        packet = av.Packet(self._packets.popleft())
        packet.pts, packet.time_base = self._sent * 960, Fraction(1, 48_000)
        self._sent += 1
        await asyncio.sleep(max(0.0, self._began + self._sent * PACKET_SECONDS - asyncio.get_running_loop().time()))
        if not self._packets:
            self._said.set()
        return packet


@dataclass
class Person:
    """Joins with ``come``; ``captions`` is what the feed of captions sent, with the time at which it came."""

    server: JanusServer
    room: int | str
    name: str
    id: int | str | None = None
    captions: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    microphone: Microphone | None = None
    _hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    _session: JanusSession | None = None
    _handle: JanusHandle | None = None
    _connection: RTCPeerConnection | None = None
    _readers: dict[int | str, RTCPeerConnection] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def come(self, *, speaks: bool = True) -> "Person":
        """Joins, and publishes its microphone if it ``speaks``."""
        self._session = await JanusSession.open(self.server)
        self._handle = await self._session.attach(self._told)
        wanted = {} if self.id is None else {"id": self.id}
        body = {"request": "join", "ptype": "publisher", "display": self.name} | wanted
        joined = await self._handle.ask(body | self.server.entrance(self.room))
        self.id = joined.content["id"]
        if speaks:
            await self.publish()
        return self

    async def publish(self, jsep: dict[str, Any] | None = None) -> None:
        """``jsep`` is what the offer says beside its description."""
        assert self._handle is not None
        self._connection = _connection()
        self.microphone = Microphone()
        self._connection.addTrack(self.microphone)
        await self._connection.setLocalDescription(await self._connection.createOffer())
        offer = self._connection.localDescription
        answer = await self._handle.ask({"request": "publish"}, {"type": offer.type, "sdp": offer.sdp} | (jsep or {}))
        assert answer.jsep is not None
        connected = asyncio.Event()
        self._connection.on("connectionstatechange", connected.set)
        await self._connection.setRemoteDescription(RTCSessionDescription(answer.jsep["sdp"], "answer"))
        async with asyncio.timeout(20):
            while self._connection.connectionState != "connected":
                connected.clear()
                await connected.wait()

    async def unpublish(self) -> None:
        assert self._connection is not None
        self._hung_up.clear()
        await self.ask(request="unpublish")
        await self._hung_up.wait()
        await self._connection.close()

    async def say(self, packets: Sequence[bytes]) -> None:
        assert self.microphone is not None
        await self.microphone.say(packets)

    async def ask(self, **body: Any) -> Said:
        assert self._handle is not None
        return await self._handle.ask(body)

    async def leave(self) -> None:
        await self.ask(request="leave")
        await self.close()

    async def vanish(self) -> None:
        """Gone without a word."""
        assert self._session is not None
        self._session._socket.transport.abort()
        await self.close()

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        for connection in [self._connection, *self._readers.values()]:
            if connection is not None:
                await connection.close()
        self._readers.clear()
        if self._session is not None:
            await self._session.close()

    def _told(self, said: Said) -> None:
        if said.kind == "hangup":
            self._hung_up.set()
        for publisher in said.content.get("publishers") or ():
            data = [each for each in publisher["streams"] if each["type"] == "data"]
            if publisher.get("display") == "captions" and data and publisher["id"] not in self._readers:
                connection = self._readers[publisher["id"]] = _connection()
                task = asyncio.create_task(self._read(publisher["id"], connection))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _read(self, feed: int | str, connection: RTCPeerConnection) -> None:
        """Subscribes to a feed of captions; Janus sends nothing to whoever opens no channel itself."""
        assert self._session is not None
        handle = await self._session.attach(lambda _: None)
        body = {"request": "join", "ptype": "subscriber", "streams": [{"feed": feed}]}
        offer = await handle.ask(body | self.server.entrance(self.room))
        assert offer.jsep is not None
        await connection.setRemoteDescription(RTCSessionDescription(offer.jsep["sdp"], "offer"))
        own = connection.createDataChannel("JanusDataChannel")
        own.on("open", self.reading.set)
        connection.on("datachannel", self._opened)
        if connection.sctp is not None:
            connection.sctp.transport._set_role("server")
        await connection.setLocalDescription(await connection.createAnswer())
        answer = connection.localDescription
        await handle.ask({"request": "start"}, {"type": answer.type, "sdp": answer.sdp})

    def _opened(self, channel: RTCDataChannel) -> None:
        loop = asyncio.get_running_loop()
        channel.on("message", lambda text: self.captions.append((loop.time(), json.loads(text))))
