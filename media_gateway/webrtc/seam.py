"""The one place that knows the inside of aiortc 1.16 and aioice; ``tests/media_gateway/webrtc/test_seam.py`` holds it.

aiortc's audio receiver hands packets to a jitter buffer that discards five frames for one lost packet and to a decoder
thread per track, whose switches cost more than decoding. Here packets leave right after SRTP, on the event loop.
"""

import asyncio
import errno
import random
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aioice.ice
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpTransceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import AnyRtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket, RtpPacket

LOOPBACK = "127.0.0.1"
_CLOCK_RATE = 48_000

OnPacket = Callable[[int, int, int, bytes], None]
"""Takes SSRC, sequence number, timestamp and payload of each RTP packet of the negotiated codec."""


class PacketReceiver(RTCRtpReceiver):
    """An audio receiver that gives packets away as they come and starts no thread.

    What aiortc calls on a receiver: ``receive``, ``stop``, ``setTransport``, ``_set_rtcp_ssrc``,
    ``_handle_rtp_packet``, ``_handle_rtcp_packet`` and ``_handle_disconnect``.
    """

    def __init__(self, transport: RTCDtlsTransport, on_packet: OnPacket) -> None:
        super().__init__("audio", transport)
        self._on_packet = on_packet
        self._payload_types: frozenset[int] = frozenset()
        self._registered = False
        self._own_ssrc: int | None = None
        self._streams: dict[int, StreamStatistics] = {}  # bounded: _most_streams
        self._sender_reports: dict[int, tuple[int, float]] = {}  # middle of its NTP time, arrival

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        if not self._registered:
            self._registered = True
            self._payload_types = frozenset(codec.payloadType or 0 for codec in parameters.codecs)
            self.transport._register_rtp_receiver(self, parameters)

    async def stop(self) -> None:
        if self._registered:
            self._registered = False
            self.transport._unregister_rtp_receiver(self)

    def _set_rtcp_ssrc(self, ssrc: int) -> None:
        self._own_ssrc = ssrc

    def _handle_disconnect(self) -> None:
        """The connection's state tells."""

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        del arrival_time_ms
        if packet.payload_type not in self._payload_types:
            return
        stream = self._streams.get(packet.ssrc)
        if stream is None:
            # A sender that starts anew changes its SSRC; only the newest is reported on.
            self._sender_reports.clear()
            self._streams.clear()
            stream = self._streams[packet.ssrc] = StreamStatistics(_CLOCK_RATE)
        stream.add(packet)
        self._on_packet(packet.ssrc, packet.sequence_number, packet.timestamp, packet.payload)

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket):
            self._sender_reports[packet.ssrc] = (packet.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF, time.monotonic()

    async def report(self) -> None:
        """Tells the sender what was lost (RFC 3550, section 6.4.2): browsers send in-band copies only when told."""
        if self._own_ssrc is None or not self._streams or self.transport.state != "connected":
            return
        reports = [self._report_on(ssrc, stream) for ssrc, stream in self._streams.items()]
        try:
            await self.transport._send_rtp(bytes(RtcpRrPacket(ssrc=self._own_ssrc, reports=reports)))
        except ConnectionError:
            return

    def _report_on(self, ssrc: int, stream: StreamStatistics) -> RtcpReceiverInfo:
        last, arrived = self._sender_reports.get(ssrc, (0, 0.0))
        return RtcpReceiverInfo(
            ssrc=ssrc,
            fraction_lost=stream.fraction_lost,
            packets_lost=stream.packets_lost,
            highest_sequence=stream.cycles + (stream.max_seq or 0),
            jitter=stream.jitter,
            lsr=last,
            dlsr=int((time.monotonic() - arrived) * 65536) & 0xFFFFFFFF if last else 0,
        )


def give_packets(transceiver: RTCRtpTransceiver, on_packet: OnPacket) -> PacketReceiver:
    """Puts a ``PacketReceiver`` in the place of the receiver of a transceiver that is not negotiated yet."""
    receiver = PacketReceiver(transceiver.receiver.transport, on_packet)
    receiver._set_rtcp_ssrc(transceiver.sender._ssrc)
    vars(transceiver)["_RTCRtpTransceiver__receiver"] = receiver
    if transceiver.receiver is not receiver:
        raise RuntimeError("aiortc keeps a transceiver's receiver elsewhere: media_gateway/webrtc/seam.py must follow")
    return receiver


def listen_on_loopback(transceiver: RTCRtpTransceiver) -> None:
    """Adds 127.0.0.1, which aioice leaves out, to the addresses of its ICE candidates."""
    connection = transceiver.receiver.transport.transport._connection
    gather = connection.get_component_candidates

    async def with_loopback(component: int, addresses: list[str], timeout: int = 5) -> Any:  # noqa: ASYNC109 - aioice's own signature
        return await gather(component, [*addresses, LOOPBACK], timeout)

    vars(connection)["get_component_candidates"] = with_loopback


@dataclass(frozen=True, slots=True)
class _LoopOfPorts:
    """The event loop as aioice uses it where it binds its sockets: on ``ports`` in place of any that is free."""

    ports: range

    async def create_datagram_endpoint(self, factory: Callable[[], Any], local_addr: tuple[str, int]) -> Any:
        loop = asyncio.get_running_loop()
        for port in random.sample(self.ports, len(self.ports)):
            try:
                return await loop.create_datagram_endpoint(factory, local_addr=(local_addr[0], port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        raise OSError(errno.EADDRINUSE, "every one of the UDP ports is taken")


def bind_within(transceiver: RTCRtpTransceiver, ports: range) -> None:
    """Takes the UDP ports of the connection from ``ports``; aioice itself knows no way to say so.

    Where all are taken on an address, there are no candidates with that address.
    """
    connection = transceiver.receiver.transport.transport._connection
    known = vars(asyncio) | {"get_running_loop": lambda: _LoopOfPorts(ports)}
    within = vars(aioice.ice) | {"asyncio": types.SimpleNamespace(**known)}
    theirs = aioice.ice.Connection.get_component_candidates
    ours = types.FunctionType(theirs.__code__, within, argdefs=theirs.__defaults__)
    vars(connection)["get_component_candidates"] = types.MethodType(ours, connection)


def be_passive(transceiver: RTCRtpTransceiver) -> None:
    """Lets the other side begin DTLS where it left that open: our hello, come too early, is repeated a second later."""
    transport = transceiver.receiver.transport
    if transport._role == "auto":
        transport._set_role("server")


def transport_of(connection: RTCPeerConnection) -> RTCDtlsTransport:
    """The one transport of a bundled connection."""
    return connection.getTransceivers()[0].receiver.transport


def is_sending(connection: RTCPeerConnection) -> bool:
    """Whether messages of its data channels are still to be sent, or to be acknowledged."""
    sctp = connection.sctp
    return sctp is not None and bool(sctp._data_channel_queue or sctp._outbound_queue or sctp._sent_queue)
