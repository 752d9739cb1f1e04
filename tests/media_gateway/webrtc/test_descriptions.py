"""Offers that can be answered pass; for all others it is said why not, and nothing crashes on the way."""

import random

import pytest
from aiortc import MediaStreamTrack

from media_gateway.webrtc.descriptions import LONGEST_OFFER, check_offer, finished_answer, read_fragment
from pipeline.errors import InvalidInput
from tests.media_gateway.whip_client import WhipClient


class Camera(MediaStreamTrack):
    kind = "video"


CHROMIUM = """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 8d0ee3a5-3f5c-4bd9-9a26-3f2f4b2d9d77.local 50000 typ host generation 0 network-cost 999
a=candidate:2 1 udp 2113937151 192.0.2.7 50001 typ host generation 0 network-cost 999
a=ice-ufrag:EsAw
a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y
a=ice-options:trickle
a=fingerprint:sha-256 DA:7B:57:DC:28:CE:04:4F:31:79:85:C4:31:67:EB:27:58:29:ED:77:2A:0D:24:AE:ED:AD:30:BC:BD:F1:9C:02
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendonly
a=msid:- 1f0a
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:1 cname:x
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:EsAw
a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y
a=ice-options:trickle
a=fingerprint:sha-256 DA:7B:57:DC:28:CE:04:4F:31:79:85:C4:31:67:EB:27:58:29:ED:77:2A:0D:24:AE:ED:AD:30:BC:BD:F1:9C:02
a=setup:actpass
a=mid:1
a=sctp-port:5000
a=max-message-size:262144
""".replace("\n", "\r\n")


def test_what_a_browser_offers_passes_without_the_candidates_that_have_names() -> None:
    offer = check_offer(CHROMIUM)
    assert offer.username == "EsAw"
    assert ".local" not in offer.sdp
    assert "192.0.2.7" in offer.sdp
    assert offer.sdp.count("\r\n") == CHROMIUM.count("\r\n") - 1


async def test_what_aiortc_offers_passes() -> None:
    client = WhipClient([], channels=["captions"])
    assert check_offer(await client.offer()).username
    await client.close()


AUDIO = CHROMIUM.index("m=audio")
CHANNELS = CHROMIUM.index("m=application")


@pytest.mark.parametrize(
    ("sdp", "said"),
    [
        ("", "no SDP"),
        ("hello", "no SDP"),
        ('{"type": "offer"}', "no SDP"),
        ("v=0\r\nm=audio", "cannot be read|no SDP that can be read"),
        (CHROMIUM[:AUDIO], "0 audio tracks"),
        (CHROMIUM[:AUDIO] + CHROMIUM[CHANNELS:], "0 audio tracks"),
        (CHROMIUM + CHROMIUM[AUDIO:CHANNELS].replace("mid:0", "mid:2"), "2 audio tracks"),
        (CHROMIUM + CHROMIUM[CHANNELS:], "more than one section for data channels"),
        (CHROMIUM.replace("opus", "opux"), "no Opus"),
        (CHROMIUM.replace("a=sendonly", "a=recvonly"), "sends no audio: its direction is recvonly"),
        (CHROMIUM.replace("a=sendonly", "a=inactive"), "sends no audio"),
        (CHROMIUM.replace("a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\n", ""), "no ICE user name or password"),
        (CHROMIUM.replace("a=setup:actpass\r\n", ""), "no DTLS fingerprint or no a=setup"),
        (CHROMIUM.replace("a=fingerprint", "a=fingerprints"), "no DTLS fingerprint or no a=setup"),
        (CHROMIUM.replace("a=rtcp-mux\r\n", ""), "does not multiplex RTCP"),
        (CHROMIUM.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"), "does not bundle"),
        (CHROMIUM.replace("49.9", "") + "a=x" * LONGEST_OFFER, "longer than"),
    ],
)
def test_what_cannot_be_answered_is_told_why(sdp: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        check_offer(sdp)


def test_a_camera_beside_the_microphone_is_refused() -> None:
    video = CHROMIUM[AUDIO:CHANNELS].replace("m=audio", "m=video").replace("mid:0", "mid:2")
    with pytest.raises(InvalidInput, match="another kind than audio: video"):
        check_offer(CHROMIUM + video)


def test_no_text_crashes_it() -> None:
    """Lines that are cut, doubled, left out or changed in one place: answered or refused, nothing else."""
    chance = random.Random(0)
    lines = CHROMIUM.split("\r\n")
    for _ in range(3_000):
        mangled = list(lines)
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(1, len(mangled))
            line = mangled[place]
            cut = chance.randrange(len(line) + 1)
            mangled[place] = chance.choice([line[:cut], line + line, "", line[:cut] + "\x00é9:/ " + line[cut:]])
        try:
            check_offer("\r\n".join(mangled))
        except InvalidInput:
            continue


def test_an_answer_asks_for_copies_against_loss_and_one_channel() -> None:
    answer = "m=audio 9 X 96\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\na=mid:0\r\n"
    assert finished_answer(answer) == (
        "m=audio 9 X 96\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 minptime=10;useinbandfec=1;stereo=0\r\n"
        "a=rtpmap:0 PCMU/8000\r\na=mid:0\r\n"
    )


def test_a_fragment_gives_its_candidates() -> None:
    fragment = read_fragment(
        "a=ice-ufrag:EsAw\r\na=ice-pwd:p\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
        "a=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host\r\n"
        "a=candidate:2 1 udp 2113937151 8d0e.local 50000 typ host\r\na=end-of-candidates\r\n"
    )
    assert fragment.candidates == ("1 1 udp 2113937151 192.0.2.7 50000 typ host",)
    assert fragment.complete
    assert fragment.username == "EsAw"
    alone = read_fragment("a=candidate:2 1 udp 2113937151 8d0e.local 50000 typ host")
    assert alone.candidates == ()
    assert not alone.complete


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no candidate"),
        ("hello", "holds no candidate"),
        ("a=candidate:1 1 udp\r\n", "cannot be read"),
        ("a=candidate:1 one udp 2113937151 192.0.2.7 50000 typ host\r\n", "cannot be read"),
        ("a=candidate:" + "1" * LONGEST_OFFER, "longer than"),
    ],
)
def test_a_fragment_that_cannot_be_read_is_told_why(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_fragment(text)
