"""Offers checked before anything is made for them, answers as WHIP wants them, and trickled candidates. Pure.

SDP is RFC 8866, WHIP RFC 9725, trickle ICE by SDP fragments RFC 8840.
"""

import re
from dataclasses import dataclass

from aiortc import RTCRtpCodecCapability
from aiortc.exceptions import InternalError, InvalidStateError, OperationError
from aiortc.sdp import MediaDescription, SessionDescription, candidate_from_sdp

from pipeline.errors import InvalidInput

LONGEST_OFFER = 64 * 1024
"""Characters; browsers send some 2 to 6 thousand."""
OPUS = RTCRtpCodecCapability(mimeType="audio/opus", clockRate=48_000, channels=2)
UNUSABLE = (ValueError, KeyError, AssertionError, AttributeError, InternalError, InvalidStateError, OperationError)
"""What aiortc raises for a description that it cannot use."""
_FMTP = "minptime=10;useinbandfec=1;stereo=0"
"""What we ask of Opus: copies against loss, one channel (RFC 7587, section 6.1)."""
_MALFORMED = (ValueError, IndexError, KeyError, AssertionError, AttributeError, TypeError, StopIteration)


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that can be answered; ``username`` is that of its ICE session."""

    sdp: str
    username: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a PATCH brings: candidates as lines without ``candidate:``, and whether they were the last."""

    candidates: tuple[str, ...]
    complete: bool
    username: str | None


def check_offer(sdp: str) -> Offer:
    """Raises ``InvalidInput`` that says what of the offer cannot be answered."""
    if len(sdp) > LONGEST_OFFER:
        raise InvalidInput(f"the offer is longer than {LONGEST_OFFER} characters")
    if not sdp.startswith("v=0"):
        raise InvalidInput("the offer is no SDP: it must begin with v=0 (RFC 8866)")
    sdp = _without_names(sdp)
    try:
        description = SessionDescription.parse(sdp)
    except _MALFORMED as error:
        raise InvalidInput("the offer is no SDP that can be read (RFC 8866)") from error
    _check_audio(description)
    names = [_checked_transport(media) for media in description.media]
    bundled = {mid for group in description.group if group.semantic == "BUNDLE" for mid in group.items}
    if len(description.media) > 1 and not {media.rtp.muxId for media in description.media} <= bundled:
        raise InvalidInput("the offer does not bundle its media: add a=group:BUNDLE with every mid (RFC 9143)")
    return Offer(sdp, names[0])


def _check_audio(description: SessionDescription) -> None:
    kinds = [media.kind for media in description.media]
    if kinds.count("audio") != 1:
        raise InvalidInput(f"the offer has {kinds.count('audio')} audio tracks: one session publishes exactly one")
    if others := set(kinds) - {"audio", "application"}:
        raise InvalidInput(f"the offer has media of another kind than audio: {', '.join(sorted(others))[:40]}")
    if kinds.count("application") > 1:
        raise InvalidInput("the offer has more than one section for data channels")
    audio = next(media for media in description.media if media.kind == "audio")
    if not any(codec.mimeType.lower() == "audio/opus" for codec in audio.rtp.codecs):
        raise InvalidInput("the offer has no Opus: it is the codec that is understood here")
    if audio.direction not in {None, "sendonly", "sendrecv"}:
        raise InvalidInput(f"the offer sends no audio: its direction is {audio.direction}")


def _checked_transport(media: MediaDescription) -> str:
    """The user name of its ICE session."""
    ice = media.ice
    if ice is None or not ice.usernameFragment or not ice.password:
        raise InvalidInput("the offer has no ICE user name or password")
    if media.dtls is None or not media.dtls.fingerprints:
        raise InvalidInput("the offer has no DTLS fingerprint or no a=setup")
    if media.kind == "audio" and not media.rtcp_mux:
        raise InvalidInput("the offer does not multiplex RTCP: add a=rtcp-mux")
    return ice.usernameFragment


def _without_names(sdp: str) -> str:
    """Leaves out candidates named by mDNS: to look them up takes a second, and their checks reach us all the same."""
    return "".join(line for line in sdp.splitlines(keepends=True) if not _is_named(line))


def _is_named(line: str) -> bool:
    return line.startswith("a=candidate:") and ".local " in line


def finished_answer(sdp: str) -> str:
    """aiortc's answer with the parameters of Opus, which it leaves out."""
    return re.sub(r"(?mi)^a=rtpmap:(\d+) opus/48000/2(?=\r?$)", rf"\g<0>\r\na=fmtp:\1 {_FMTP}", sdp)


def read_fragment(text: str) -> Fragment:
    """Raises ``InvalidInput`` when a candidate of it cannot be read."""
    if len(text) > LONGEST_OFFER:
        raise InvalidInput(f"the SDP fragment is longer than {LONGEST_OFFER} characters")
    lines = [line.strip() for line in text.splitlines()]
    candidates = tuple(
        line.removeprefix("a=candidate:") for line in lines if line.startswith("a=candidate:") and not _is_named(line)
    )
    for candidate in candidates:
        try:
            candidate_from_sdp(candidate)
        except _MALFORMED as error:
            raise InvalidInput("a candidate of the SDP fragment cannot be read (RFC 8839)") from error
    names = [line.removeprefix("a=ice-ufrag:") for line in lines if line.startswith("a=ice-ufrag:")]
    complete = "a=end-of-candidates" in lines
    if not candidates and not complete and not names and not any(line.startswith("a=candidate:") for line in lines):
        raise InvalidInput("the SDP fragment holds no candidate (RFC 8840)")
    return Fragment(candidates, complete, names[0] if names else None)
