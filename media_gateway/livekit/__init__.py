"""LiveKit: its rooms as Greffier hears them and shows captions there, and its agent workers."""

from media_gateway.livekit.access import LiveKitServer, agent_identity
from media_gateway.livekit.room import LiveKitGateway, LiveKitRoom
from media_gateway.livekit.transcription import LegacyMode

__all__ = ["LegacyMode", "LiveKitGateway", "LiveKitRoom", "LiveKitServer", "agent_identity"]
