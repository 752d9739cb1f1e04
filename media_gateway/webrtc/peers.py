"""WHIP sessions of this process: one browser or encoder each, publishing one audio track (RFC 9725)."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpCodecCapability,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, InvalidStateError, OperationError
from aiortc.rtcicetransport import parse_stun_turn_uri
from aiortc.sdp import candidate_from_sdp

from media_gateway.jitter import JitterBuffer
from media_gateway.opus import OpusDecoder
from media_gateway.outlet import Outlet
from media_gateway.webrtc import seam
from media_gateway.webrtc.channels import SERVED, ReadCaptions
from media_gateway.webrtc.descriptions import Offer, check_offer, finished_answer, read_fragment
from pipeline.domain import MeetingId, ParticipantId, Track
from pipeline.errors import InvalidInput, InvalidSetting, TooMany
from pipeline.ports import AudioSource

logger = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
_TICKS_PER_REPORT = 10
_LAST_SOUND_SECONDS = 3.5
"""More than a running meeting takes for the last words of whoever leaves (3 s)."""
CONNECT_SECONDS = 20.0
"""A session whose connection does not come up in this time is closed."""
_MOST = 4
"""Sessions of one participant in one meeting: some tabs and devices, not the whole machine."""
_OPUS = RTCRtpCodecCapability(mimeType="audio/opus", clockRate=48_000, channels=2)
_REFUSED = (ValueError, KeyError, AssertionError, AttributeError, InternalError, InvalidStateError, OperationError)


@dataclass(frozen=True, slots=True)
class PeerHooks:
    """What a session needs of its meeting: its track, meeting time, whether anybody listens, and the feed."""

    meeting: MeetingId
    track: Track
    now: Callable[[], float]
    listening: Callable[[], bool]
    captions: ReadCaptions


class IceServer(Protocol):
    """A STUN or TURN server (RFC 7064, RFC 7065)."""

    @property
    def url(self) -> str: ...

    @property
    def username(self) -> str | None: ...

    @property
    def credential(self) -> str | None: ...


class WhipPeer:
    """One session. ``answer`` is the SDP answer, ``etag`` names its ICE session; ``source`` ends when it does."""

    def __init__(self, connection: RTCPeerConnection, offer: Offer, hooks: PeerHooks) -> None:
        self.id = secrets.token_urlsafe(16)
        self.etag = secrets.token_hex(8)
        self.answer = ""
        self.began = asyncio.get_running_loop().time()
        self._connection = connection
        self._username = offer.username
        self.hooks = hooks
        self._jitter = JitterBuffer(hooks.track.id, OpusDecoder())
        self._outlet = Outlet(hooks.track, hooks.now)
        self._ssrc: int | None = None
        self._deaf = False
        self._channels: set[asyncio.Task[None]] = set()
        self._served: set[str] = set()  # labels: one channel each
        self._taking: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._receiver: seam.PacketReceiver | None = None
        self.connected = False

    @property
    def source(self) -> AudioSource:
        return self._outlet

    @property
    def ended(self) -> bool:
        return self._outlet.closed

    async def negotiate(self, offer: Offer, *, loopback: bool) -> None:
        """Answers the offer; raises ``InvalidInput`` when it cannot be."""
        transceiver = self._connection.addTransceiver("audio", direction="recvonly")
        transceiver.setCodecPreferences([_OPUS])
        self._receiver = seam.give_packets(transceiver, self._heard)
        if loopback:
            seam.listen_on_loopback(transceiver)
        self._connection.on("datachannel", self._opened)
        self._connection.on("connectionstatechange", self._changed)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            seam.be_passive(transceiver)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except _REFUSED as error:
            raise InvalidInput("the offer cannot be answered: it asks for what is not spoken here") from error
        self.answer = finished_answer(self._connection.localDescription.sdp)

    def take(self, publishing: Coroutine[None, None, None]) -> None:
        """Runs what takes the sound of ``source``; the session ends when that does."""
        self._taking = asyncio.create_task(publishing)
        self._taking.add_done_callback(self._taken)

    def _taken(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()):
            logger.warning("whip.failed", extra={"error": type(error).__name__})
        self.end()

    async def trickle(self, fragment: str) -> None:
        """Takes candidates that came after the offer. Raises ``InvalidInput``, for an ICE restart too."""
        read = read_fragment(fragment)
        if read.username is not None and read.username != self._username:
            raise InvalidInput("ICE restarts are not understood here: publish anew")
        transport = seam.transport_of(self._connection).transport
        for line in read.candidates:
            await transport.addRemoteCandidate(candidate_from_sdp(line))
        if read.complete:
            await transport.addRemoteCandidate(None)

    async def close(self) -> None:
        """Ends the source and frees everything; may be called again, and then waits for the same end."""
        await asyncio.shield(self.end())  # aiortc's own close must run to its end

    def end(self) -> "asyncio.Task[None]":
        """Begins to close, once."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        return self._closing

    async def _close(self) -> None:
        self._outlet.put(self._jitter.finish())
        self._outlet.close()
        self._log_totals()
        for task in self._channels:
            task.cancel()
        await self._connection.close()
        if self._taking is not None:
            await asyncio.wait([self._taking], timeout=_LAST_SOUND_SECONDS)
            self._taking.cancel()

    def _log_totals(self) -> None:
        counts = self._jitter.counts
        totals = {
            "packets": counts.packets,
            "late": counts.late,
            "concealed_seconds": round(counts.concealed, 2),
            "lost_seconds": round(counts.lost, 2),
        }
        logger.info("whip.closed", extra=totals)

    async def tick(self, *, report: bool) -> None:
        """Ten times a second: gives what waits for packets that do not come, and ``report`` tells the sender."""
        if self._ssrc is not None and not self.ended:
            self._outlet.put(self._jitter.flush(self.hooks.now()))
        if report and self._receiver is not None:
            await self._receiver.report()

    def _heard(self, ssrc: int, sequence: int, timestamp: int, payload: bytes) -> None:
        if self.ended:
            return
        if not self.hooks.listening():
            if not self._deaf:
                self._deaf = True
                self._outlet.put(self._jitter.pass_over())
            return
        self._deaf = False
        if ssrc != self._ssrc:
            if self._ssrc is not None:
                self._outlet.put(self._jitter.restart())
            self._ssrc = ssrc
        self._outlet.put(self._jitter.push(sequence, timestamp, payload, self.hooks.now()))

    def _opened(self, channel: RTCDataChannel) -> None:
        serve = SERVED.get(channel.label)
        if serve is not None and channel.label not in self._served:
            self._served.add(channel.label)
            task = asyncio.create_task(serve(channel, self.hooks.captions))
            self._channels.add(task)
            task.add_done_callback(self._channels.discard)

    def _changed(self) -> None:
        state = self._connection.connectionState
        self.connected = self.connected or state == "connected"
        if state in {"failed", "closed"}:
            self.end()


class WhipPeers:
    """All WHIP sessions of this process.

    ``loopback`` offers 127.0.0.1 as well, for pages on this machine. Raises ``InvalidSetting`` for the address of an
    ICE server that is none.
    """

    def __init__(self, ice_servers: Sequence[IceServer] = (), *, loopback: bool = False) -> None:
        for server in ice_servers:
            _check_address(server.url)
        servers = [RTCIceServer(each.url, each.username, each.credential) for each in ice_servers]
        self._configuration = RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._loopback = loopback
        self._peers: dict[str, WhipPeer] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._peers)

    async def offer(self, sdp: str, hooks: PeerHooks) -> WhipPeer:
        """A new session, answered. Raises ``InvalidInput``, and ``TooMany`` as ``check_room`` does."""
        offer = check_offer(sdp)
        self.check_room(hooks.meeting, hooks.track.participant.id)
        peer = WhipPeer(RTCPeerConnection(self._configuration), offer, hooks)
        self._peers[peer.id] = peer  # it counts from here on: offers may come at once
        try:
            await peer.negotiate(offer, loopback=self._loopback)
        except BaseException:
            self._peers.pop(peer.id, None)
            await peer.close()
            raise
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._tick())
        return peer

    def of(self, meeting: MeetingId, participant: ParticipantId) -> int:
        """How many sessions a participant has in a meeting, those that are being answered too."""
        every = [peer.hooks for peer in self._peers.values() if not peer.ended]
        return sum((each.meeting, each.track.participant.id) == (meeting, participant) for each in every)

    def check_room(self, meeting: MeetingId, participant: ParticipantId) -> None:
        """Raises ``TooMany`` when a participant has as many sessions in a meeting as one may have."""
        if self.of(meeting, participant) >= _MOST:
            raise TooMany("this participant publishes four times already: stop one session first")

    def get(self, peer: str) -> WhipPeer | None:
        return self._peers.get(peer)

    async def close(self, peer: str) -> None:
        known = self._peers.pop(peer, None)
        if known is not None:
            await known.close()

    async def close_all(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        peers = list(self._peers.values())
        self._peers.clear()
        await asyncio.gather(*(peer.close() for peer in peers), *self._leaving)

    async def _tick(self) -> None:
        """One timer for all; ends with the last session."""
        ticks = 0
        while self._peers:
            await asyncio.sleep(_TICK_SECONDS)
            ticks += 1
            now = asyncio.get_running_loop().time()
            for peer in list(self._peers.values()):
                if peer.ended or not (peer.connected or now - peer.began < CONNECT_SECONDS):
                    self._let_go(peer)
                    continue
                try:
                    await peer.tick(report=ticks % _TICKS_PER_REPORT == 0)
                except Exception:  # whatever befalls one session stays with it
                    logger.exception("whip.broken")
                    self._let_go(peer)

    def _let_go(self, peer: WhipPeer) -> None:
        """Ends a session without waiting for its end."""
        self._peers.pop(peer.id, None)
        leaving = peer.end()
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)


def _check_address(url: str) -> None:
    try:
        parse_stun_turn_uri(url)
    except ValueError as error:
        raise InvalidSetting(
            f"no ICE server has the address {url}: write stun:host:port or turn:host:port?transport=udp"
        ) from error
