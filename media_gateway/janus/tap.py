"""One publisher's microphone, heard through a subscription of its own.

One handle and one PeerConnection per publisher: Janus uses the section of one that left again for another, which aiortc
does not hear.
"""

import asyncio
import logging
from collections.abc import Callable

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from media_gateway.janus.messages import Said
from media_gateway.janus.session import JanusHandle, JanusSession
from media_gateway.webrtc import seam
from media_gateway.webrtc.descriptions import OPUS, UNUSABLE
from media_gateway.webrtc.hearing import Hearing
from pipeline.domain import Track
from pipeline.errors import GatewayFailed
from pipeline.ports import AudioSource

_log = logging.getLogger("greffier.janus")

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0
_OVER = {"hangup", "detached"}


class JanusTap:
    """A ``TrackTap`` with the id ``name``. ``run`` holds the ``subscription``, ``end`` ends the sources.

    ``on_encrypted`` is called when the publisher's sound turns out to be encrypted end to end.
    """

    def __init__(
        self,
        session: JanusSession,
        subscription: dict[str, object],
        name: str,
        configuration: RTCConfiguration,
        on_encrypted: Callable[[], None],
    ) -> None:
        self._session = session
        self._subscription = subscription
        self._id = name
        self._configuration = configuration
        self._on_encrypted = on_encrypted
        self._hearing: Hearing | None = None
        self._receiver: seam.PacketReceiver | None = None
        self._ended = False

    @property
    def id(self) -> str:
        return self._id

    def source(self, track: Track, now: Callable[[], float], listening: Callable[[], bool]) -> AudioSource:
        if self._hearing is not None:
            self._hearing.close()
        self._hearing = Hearing(track, now, listening)
        if self._ended:
            self._hearing.close()
        return self._hearing.source

    async def run(self) -> None:
        """Subscribes, and again when the connection fails, until it is cancelled."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._listen()
            except GatewayFailed as failure:
                _log.warning("janus.unheard", extra={"error": type(failure).__name__})
            lasted = asyncio.get_running_loop().time() - began
            pause = _FIRST_PAUSE_SECONDS if lasted > _LONGEST_PAUSE_SECONDS else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    async def tick(self, *, report: bool) -> None:
        """Ten times a second: gives what waits for packets that do not come, and ``report`` tells the sender."""
        if self._hearing is not None:
            self._hearing.tick()
        if report and self._receiver is not None:
            await self._receiver.report()

    def end(self) -> None:
        """No source gives anything more. Does nothing the second time."""
        if self._ended:
            return
        self._ended = True
        if self._hearing is not None:
            self._hearing.close()
            _log.info("janus.heard", extra=self._hearing.totals())

    async def _listen(self) -> None:
        """Returns when the connection is over. Raises ``GatewayFailed`` when none was made."""
        over = asyncio.Event()

        def told(said: Said) -> None:
            if said.kind in _OVER:
                over.set()

        handle = await self._session.attach(told)
        connection = RTCPeerConnection(self._configuration)

        def changed() -> None:
            if connection.connectionState in {"failed", "closed"}:
                over.set()

        connection.on("connectionstatechange", changed)
        try:
            await self._subscribe(handle, connection)
            await over.wait()
        finally:
            self._receiver = None
            await asyncio.shield(_closed(connection, handle))

    async def _subscribe(self, handle: JanusHandle, connection: RTCPeerConnection) -> None:
        attached = await handle.ask(self._subscription)
        if attached.jsep is None:
            raise GatewayFailed("Janus offered nothing of what its publisher sends")
        if attached.jsep.get("e2ee"):
            self._on_encrypted()
        transceiver = connection.addTransceiver("audio", direction="recvonly")
        transceiver.setCodecPreferences([OPUS])
        receiver = seam.give_packets(transceiver, self._heard)
        try:
            await connection.setRemoteDescription(RTCSessionDescription(attached.jsep["sdp"], "offer"))
            seam.be_passive(transceiver)
            await connection.setLocalDescription(await connection.createAnswer())
        except UNUSABLE as error:
            raise GatewayFailed("what a publisher sends through Janus is no Opus") from error
        answer = connection.localDescription
        await handle.ask({"request": "start"}, {"type": answer.type, "sdp": answer.sdp})
        self._receiver = receiver

    def _heard(self, ssrc: int, sequence: int, timestamp: int, payload: bytes) -> None:
        if self._hearing is not None:
            self._hearing.packet(ssrc, sequence, timestamp, payload)


async def _closed(connection: RTCPeerConnection, handle: JanusHandle) -> None:
    await connection.close()
    await handle.detach()
