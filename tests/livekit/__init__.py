"""Greffier in rooms of a real livekit-server."""
