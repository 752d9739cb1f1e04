"""Janus: its VideoRooms, joined over the WebSocket API and heard over WebRTC."""

from media_gateway.janus.room import JanusGateway, JanusRoom
from media_gateway.janus.server import JanusServer
from media_gateway.janus.service import JanusCaptions

__all__ = ["JanusCaptions", "JanusGateway", "JanusRoom", "JanusServer"]
