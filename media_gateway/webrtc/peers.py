"""WHIP sessions of this process: one browser or encoder each, publishing one audio track (RFC 9725)."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from media_gateway.webrtc import seam
from media_gateway.webrtc.channels import SERVED, ReadCaptions
from media_gateway.webrtc.descriptions import OPUS, UNUSABLE, Offer, check_offer, finished_answer, read_fragment
from media_gateway.webrtc.hearing import Hearing
from media_gateway.webrtc.ice import IceServer, configuration_with
from pipeline.domain import MeetingId, ParticipantId, Track
from pipeline.errors import InvalidInput, TooMany
from pipeline.ports import AudioSource

_log = logging.getLogger("greffier.whip")

_TICK_SECONDS = 0.1
_TICKS_PER_REPORT = 10
_LAST_SOUND_SECONDS = 3.5
"""More than a running meeting takes for the last words of whoever leaves (3 s)."""
CONNECT_SECONDS = 20.0
"""A session whose connection does not come up in this time is closed."""
_MOST = 4
"""Sessions of one participant in one meeting: some tabs and devices, not the whole machine."""


@dataclass(frozen=True, slots=True)
class PeerHooks:
    """What a session needs of its meeting: its track, meeting time, whether anybody listens, and the feed."""

    meeting: MeetingId
    track: Track
    now: Callable[[], float]
    listening: Callable[[], bool]
    captions: ReadCaptions


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
        self._hearing = Hearing(hooks.track, hooks.now, hooks.listening)
        self._channels: set[asyncio.Task[None]] = set()
        self._served: set[str] = set()  # labels: one channel each
        self._taking: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._receiver: seam.PacketReceiver | None = None
        self.connected = False

    @property
    def source(self) -> AudioSource:
        return self._hearing.source

    @property
    def ended(self) -> bool:
        return self._hearing.closed

    async def negotiate(self, offer: Offer, *, loopback: bool, ports: range | None) -> None:
        """Answers the offer; raises ``InvalidInput`` when it cannot be."""
        transceiver = self._connection.addTransceiver("audio", direction="recvonly")
        transceiver.setCodecPreferences([OPUS])
        self._receiver = seam.give_packets(transceiver, self._hearing.packet)
        if ports is not None:
            seam.bind_within(transceiver, ports)
        if loopback:
            seam.listen_on_loopback(transceiver)
        self._connection.on("datachannel", self._opened)
        self._connection.on("connectionstatechange", self._changed)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            seam.be_passive(transceiver)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except UNUSABLE as error:
            raise InvalidInput("the offer cannot be answered: it asks for what is not spoken here") from error
        self.answer = finished_answer(self._connection.localDescription.sdp)

    def take(self, publishing: Coroutine[None, None, None]) -> None:
        """Runs what takes the sound of ``source``; the session ends when that does."""
        self._taking = asyncio.create_task(publishing)
        self._taking.add_done_callback(self._taken)

    def _taken(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()):
            _log.warning("whip.failed", extra={"error": type(error).__name__})
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
        self._hearing.close()
        _log.info("whip.closed", extra=self._hearing.totals())
        for task in self._channels:
            task.cancel()
        await self._connection.close()
        if self._taking is not None:
            await asyncio.wait([self._taking], timeout=_LAST_SOUND_SECONDS)
            self._taking.cancel()

    async def tick(self, *, report: bool) -> None:
        """Ten times a second: gives what waits for packets that do not come, and ``report`` tells the sender."""
        self._hearing.tick()
        if report and self._receiver is not None:
            await self._receiver.report()

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

    ``loopback`` offers 127.0.0.1 as well, for pages on this machine; each session takes one of ``ports``, where they
    are given, on each address of the machine. Raises ``InvalidSetting`` for the address of an ICE server that is none.
    """

    def __init__(
        self, ice_servers: Sequence[IceServer] = (), *, loopback: bool = False, ports: range | None = None
    ) -> None:
        self._configuration = configuration_with(ice_servers)
        self._loopback = loopback
        self._ports = ports
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
            await peer.negotiate(offer, loopback=self._loopback, ports=self._ports)
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
                except Exception:  # noqa: BLE001 - whatever befalls one session stays with it
                    _log.exception("whip.broken")
                    self._let_go(peer)

    def _let_go(self, peer: WhipPeer) -> None:
        """Ends a session without waiting for its end."""
        self._peers.pop(peer.id, None)
        leaving = peer.end()
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
