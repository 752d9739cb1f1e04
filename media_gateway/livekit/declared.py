"""What participants of a LiveKit room say of themselves, in its attributes."""

from dataclasses import replace

from livekit import rtc

from media_gateway import people
from pipeline.domain import Participant

LANGUAGES = "greffier.languages"
SHARED_ROOM = "greffier.shared_room"
_MOST_LANGUAGES = 20
_LONGEST = 200
"""Characters that are read of an attribute, which may hold 64 KiB: every window is recognised with the languages."""


def participant(told: rtc.Participant) -> Participant:
    """Whose attribute says ``true`` shares a microphone with others."""
    shared = told.attributes.get(SHARED_ROOM, "")[:_LONGEST].strip().lower() == "true"
    return replace(people.participant(told.identity, told.name), shared_room=True if shared else None)


def languages(told: rtc.Participant) -> tuple[str, ...]:
    """What the participant declares to speak, as ``fr,en``."""
    said = told.attributes.get(LANGUAGES, "")[:_LONGEST]
    codes = dict.fromkeys(code.strip().lower() for code in said.split(",") if code.strip())
    return tuple(codes)[:_MOST_LANGUAGES]
