"""WHIP: browsers and encoders publish one audio track each and read captions on the same connection."""

from media_gateway.webrtc.descriptions import check_offer
from media_gateway.webrtc.peers import PeerHooks, WhipPeer, WhipPeers

__all__ = ["PeerHooks", "WhipPeer", "WhipPeers", "check_offer"]
