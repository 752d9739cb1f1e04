"""aiortc is still what the seam takes it for: when one of these fails, media_gateway/webrtc/seam.py must follow it."""

import inspect
import re
import threading
from importlib.metadata import version

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport

from media_gateway.webrtc import seam


async def connection() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


def test_aiortc_and_aioice_are_the_versions_that_were_read() -> None:
    assert version("aiortc").startswith("1.16.")
    assert version("aioice").startswith("0.13.")


def test_a_receiver_is_asked_for_nothing_that_was_not_read() -> None:
    """What aiortc's own receiver has that others may call; a new name may be one that ours must answer."""
    called = {name for name in vars(RTCRtpReceiver) if not name.startswith(("_RTCRtpReceiver__", "__"))}
    assert called == {
        "track",
        "transport",
        "getCapabilities",
        "getStats",
        "getSynchronizationSources",
        "receive",
        "setTransport",
        "stop",
        "_handle_disconnect",
        "_handle_rtcp_packet",
        "_handle_rtp_packet",
        "_run_rtcp",
        "_send_rtcp",
        "_send_rtcp_nack",
        "_send_rtcp_pli",
        "_set_rtcp_ssrc",
    }


@pytest.mark.parametrize("name", ["receive", "stop", "_set_rtcp_ssrc", "_handle_rtp_packet", "_handle_rtcp_packet"])
def test_ours_takes_what_aiortc_gives(name: str) -> None:
    theirs, ours = getattr(RTCRtpReceiver, name), getattr(seam.PacketReceiver, name)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)


async def test_the_receiver_of_a_transceiver_is_replaced_before_it_starts_a_thread() -> None:
    peer = await connection()
    transceiver = peer.addTransceiver("audio", direction="recvonly")
    receiver = seam.give_packets(transceiver, lambda *_: None)
    assert transceiver.receiver is receiver
    assert peer.getReceivers() == [receiver]
    assert receiver.transport is seam.transport_of(peer)
    assert not [thread for thread in threading.enumerate() if "decoder" in thread.name]
    await peer.close()


async def test_aiortc_that_keeps_it_elsewhere_is_noticed() -> None:
    class Elsewhere:
        def __init__(self, transceiver: object) -> None:
            self.sender = transceiver.sender  # type: ignore[attr-defined]
            self.receiver = transceiver.receiver  # type: ignore[attr-defined]

    peer = await connection()
    with pytest.raises(RuntimeError, match="must follow"):
        seam.give_packets(Elsewhere(peer.addTransceiver("audio")), lambda *_: None)  # type: ignore[arg-type]
    await peer.close()


async def test_loopback_is_left_out_by_aioice_and_added_by_us() -> None:
    assert "127.0.0.1" not in aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False)
    for wanted in (False, True):
        peer = await connection()
        transceiver = peer.addTransceiver("audio", direction="sendonly")
        if wanted:
            seam.listen_on_loopback(transceiver)
        await peer.setLocalDescription(await peer.createOffer())
        assert (" 127.0.0.1 " in peer.localDescription.sdp) is wanted
        await peer.close()


async def test_udp_ports_are_those_that_were_given_while_one_is_free() -> None:
    ports = range(40_321, 40_323)
    peers, found = [], []
    for _ in range(3):
        peer = await connection()
        peers.append(peer)
        transceiver = peer.addTransceiver("audio", direction="sendonly")
        seam.bind_within(transceiver, ports)
        seam.listen_on_loopback(transceiver)
        await peer.setLocalDescription(await peer.createOffer())
        found.append(re.findall(r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+) ", peer.localDescription.sdp))
    assert sorted(found[:2]) == [["40321"], ["40322"]]
    assert found[2] == []
    for peer in peers:
        await peer.close()


def test_srtp_goes_where_reports_are_sent() -> None:
    assert inspect.iscoroutinefunction(RTCDtlsTransport._send_rtp)
    assert list(inspect.signature(RTCDtlsTransport._send_rtp).parameters) == ["self", "data"]


async def test_a_connection_is_sending_while_messages_wait() -> None:
    peer = await connection()
    assert not seam.is_sending(peer)
    peer.createDataChannel("captions")
    assert seam.is_sending(peer)  # that it is opened
    await peer.close()
