"""Whose voices are known in a meeting, as the page of its transcript shows it, and of whom one may become known."""

from collections.abc import Collection
from dataclasses import dataclass

from api.enrolments import LARGEST_CLIP
from api.house import House
from pipeline.domain import Meeting, Participant
from pipeline.speakers import KnownVoice


@dataclass(frozen=True, slots=True)
class KnownVoices:
    """``people`` of the meeting whose voice is known (True), or may become so; ``largest_clip``."""

    people: tuple[tuple[Participant, bool], ...]
    largest: int


async def known_voices(
    house: House, meeting: Meeting, people: Collection[Participant], voices: Collection[KnownVoice]
) -> KnownVoices | None:
    """None where no voice of ``meeting`` can have a name by them: it is over, and nobody shared a microphone."""
    enrolled = await house.store.enrolled(meeting.id)
    if not people or not (meeting.ended_at is None or voices or enrolled):
        return None
    largest = largest_clip(house)
    return KnownVoices(tuple((each, each.id in enrolled) for each in people if largest or each.id in enrolled), largest)


def largest_clip(house: House) -> int:
    """Bytes of a clip by which a voice becomes known here; 0 where none does, since voices are not told apart."""
    return LARGEST_CLIP if house.voice_model is not None else 0
