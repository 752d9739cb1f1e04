"""A publisher for tests: aiortc's, given Opus packets encoded beforehand, behind a network as bad as wanted."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import is_rtcp

from media_gateway.webrtc import seam
from tests.media_gateway.opus_packets import PACKET_SECONDS


@dataclass(slots=True)
class Network:
    """What befalls RTP packets on their way; probabilities in [0, 1]. The same seed gives the same trouble."""

    drop: float = 0.0
    double: float = 0.0
    swap: float = 0.0
    seed: int = 0
    dropped: int = 0


class PacketTrack(MediaStreamTrack):
    """Sends packets at their pace; None is a packet that is not sent while time goes on (muted, or DTX)."""

    kind = "audio"

    def __init__(self, packets: Sequence[bytes | None]) -> None:
        super().__init__()
        self._packets = packets
        self._sent = 0
        self._began: float | None = None
        self.done = asyncio.Event()

    async def recv(self) -> av.Packet:  # type: ignore[override]
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
        while self._sent < len(self._packets) and self._packets[self._sent] is None:
            self._sent += 1
        if self._sent >= len(self._packets):
            self.done.set()
            self.stop()
            raise MediaStreamError
        payload = self._packets[self._sent]
        assert payload is not None
        packet = av.Packet(payload)
        packet.pts = self._sent * 960
        packet.time_base = Fraction(1, 48_000)
        self._sent += 1
        await asyncio.sleep(max(0.0, self._began + self._sent * PACKET_SECONDS - loop.time()))
        return packet


class WhipClient:
    """One publishing page; ``channels`` are opened before the offer is made."""

    def __init__(
        self, packets: Sequence[bytes | None], *, network: Network | None = None, channels: Sequence[str] = ()
    ) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.track = PacketTrack(packets)
        self.connection.addTrack(self.track)
        self.received: dict[str, list[str]] = {label: [] for label in channels}
        self.channels: dict[str, RTCDataChannel] = {}
        for label in channels:
            channel = self.channels[label] = self.connection.createDataChannel(label)
            channel.on("message", self.received[label].append)
        for transceiver in self.connection.getTransceivers():
            seam.listen_on_loopback(transceiver)
        self._network = network

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def answered(self, sdp: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        if self._network is not None:
            transport = seam.transport_of(self.connection)
            vars(transport)["_send_rtp"] = _badly(transport._send_rtp, self._network)

    async def close(self) -> None:
        await self.connection.close()

    async def vanish(self) -> None:
        """Gone without a word: no DTLS alert, no packets, no answer to checks."""
        ice = seam.transport_of(self.connection).transport._connection
        for protocol in list(ice._protocols):
            protocol.transport.close()


def _badly(send: Callable[[bytes], object], network: Network) -> Callable[[bytes], object]:
    chance = random.Random(network.seed)
    late: list[bytes] = []

    async def sent(data: bytes) -> None:
        if is_rtcp(data):
            await send(data)  # type: ignore[misc]
            return
        if chance.random() < network.drop:
            network.dropped += 1
            return
        if chance.random() < network.swap and not late:
            late.append(data)
            return
        await send(data)  # type: ignore[misc]
        if chance.random() < network.double:
            await send(data)  # type: ignore[misc]
        while late:
            await send(late.pop())  # type: ignore[misc]

    return sent
