"""Voices that share a participant's microphone: list them, name, merge and part them, say whose a segment is."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response, status
from pydantic import Field

from api.access import Grant, Need, needs
from api.denials import NotAllowed
from api.house import House, house_of
from api.participants import participant_of
from api.shapes import CHANGED, Count, NameOrNone, Shape, like
from api.speakers import Speaker, voices_in
from pipeline.domain import MeetingId, ParticipantId, SegmentId
from pipeline.export.event import seconds
from pipeline.speakers import NOBODY

router = APIRouter(prefix="/api/v1/meetings/{meeting}", tags=["voices"])

_MOST = 10**9
"""No voice has a higher number: a database keeps 32 bits."""
Number = Annotated[int, Path(ge=1, le=_MOST)]

_EXCERPT = {"segment": "3y5d3t9xra.1#4/7", "text": "Je m’appelle Éric.", "start": 12.3, "end": 15.75, "sound": None}
_VOICE = {
    "voice": 2,
    "speaker": "Salle Descartes (voix 2)",
    "name": None,
    "merged_into": None,
    "seconds": 61.2,
    "excerpts": [_EXCERPT],
}


class ExcerptShape(Shape):
    model_config = like(**_EXCERPT)

    segment: str
    text: str
    start: float
    end: float
    sound: str | None = Field(description="Where it can be heard, if the meeting keeps its sound and you may hear it.")


class VoiceShape(Shape):
    """A voice as the transcript has it."""

    model_config = like(**_VOICE)

    voice: int
    speaker: str = Field(description="How the transcript names it.")
    name: str | None = Field(description="What people call it; empty where they said that it goes by its number.")
    merged_into: int | None = Field(description="The voice of this participant that says what it said.")
    seconds: float = Field(description="How long it speaks.")
    excerpts: list[ExcerptShape] = Field(description="Some of the longest pieces of what it said.")


class VoiceList(Shape):
    model_config = like(voices=[_VOICE])

    voices: list[VoiceShape]


class VoiceChanges(Shape):
    """What is left out stays as it is."""

    model_config = like(name="Éric Joanis")

    name: NameOrNone | None = Field(
        default=None,
        description="Who it is, also of the voice that it turned out to be; empty: nobody, whatever enrolments say; "
        "null takes back what people said.",
    )
    merged_into: Annotated[int, Field(ge=1, le=_MOST)] | None = Field(
        default=None, description="The voice that it turned out to be; null parts them again."
    )


class SegmentVoice(Shape):
    model_config = like(voice=2)

    voice: Annotated[int, Field(ge=NOBODY, le=_MOST)] | None = Field(
        description="Whose words they are; 0 for nobody but the participant, null for a new voice."
    )


class Move(SegmentVoice):
    model_config = like(voice=2, count=4)

    count: Count = None


@router.get("/participants/{participant}/voices", summary="List the voices at a participant's microphone")
async def voices(
    request: Request, meeting: str, participant: str, grant: Annotated[Grant, needs(Need.READ)]
) -> VoiceList:
    """Those that said something or were named or merged; each with what it said, to know it by."""
    store, identity = house_of(request).store, MeetingId(meeting)
    kept, transcript = await store.meeting(identity), await store.transcript(identity)
    owner = await participant_of(house_of(request), identity, ParticipantId(participant))
    known = [voice for voice in await store.voices(identity) if voice.participant == owner.id]
    hears = _hears(house_of(request), grant, identity)
    return VoiceList(voices=[_shape(each, hears=hears) for each in voices_in(kept, transcript, [owner], known)])


@router.patch(
    "/participants/{participant}/voices/{voice}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[needs(Need.TAKE_PART)],
    summary="Name a voice, or merge it with another",
)
async def change(request: Request, meeting: str, participant: str, voice: Number, wanted: VoiceChanges) -> Response:
    """It counts for all that the voice said and will say, in captions, transcript and files."""
    house, identity, who = house_of(request), MeetingId(meeting), ParticipantId(participant)
    if "name" in wanted.model_fields_set and not wanted.name:  # its own, and not that of the voice it turns out to be
        await house.store.rename_voice(identity, who, voice, wanted.name)
    if "merged_into" in wanted.model_fields_set:
        await house.store.merge_voices(identity, who, voice, wanted.merged_into)
    if wanted.name:
        await house.store.rename_voice(identity, who, voice, wanted.name)
    await _tell(house, identity)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.put(
    "/segments/{segment:path}/voice",
    dependencies=[needs(Need.MEETINGS)],
    summary="Say which voice said a segment of the transcript",
    responses=CHANGED,
)
async def move(request: Request, meeting: str, segment: str, wanted: Move) -> SegmentVoice:
    """The answer has its number, also of a new one. The segment keeps its words, whatever is heard later."""
    house, identity = house_of(request), MeetingId(meeting)
    number = await house.store.move_segment_to_voice(identity, SegmentId(segment), wanted.voice, wanted.count)
    await _tell(house, identity)
    return SegmentVoice(voice=number)


async def _tell(house: House, meeting: MeetingId) -> None:
    """Readers of a meeting that goes on see who it is."""
    running = await house.meetings.find(meeting)
    if running is not None:
        await running.voices_changed()


def _hears(house: House, grant: Grant, meeting: MeetingId) -> bool:
    """Whether whoever lists voices may download sound."""
    try:
        house.access.check(grant, Need.MEETINGS, {"meeting": meeting})
    except NotAllowed:
        return False
    return True


def _shape(speaker: Speaker, *, hears: bool) -> VoiceShape:
    return VoiceShape(
        voice=speaker.voice,
        speaker=speaker.speaking.name,
        name=speaker.name,
        merged_into=speaker.merged_into,
        seconds=seconds(speaker.seconds),
        excerpts=[
            ExcerptShape(
                segment=each.segment,
                text=each.text,
                start=seconds(each.start),
                end=seconds(each.end),
                sound=each.sound if hears else None,
            )
            for each in speaker.excerpts
        ],
    )
