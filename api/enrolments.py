"""Participants let their voice be known, so that it has their name where it is heard at a shared microphone."""

import asyncio
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from api.access import Need, needs
from api.house import House, house_of
from api.participants import participant_of
from media_gateway.recording import Recording
from pipeline.domain import MeetingId, ParticipantId, Samples
from pipeline.enrolling import LONGEST_CLIP, voice_of_clip
from pipeline.errors import InvalidInput

router = APIRouter(prefix="/api/v1/meetings/{meeting}/participants/{participant}/enrolment", tags=["voices"])

LARGEST_CLIP = 20_000_000
"""Bytes: a minute of any sound that is not wasteful."""
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
Consent = Annotated[bool, Query(description="That this person, asked for it, agrees to be known by their voice.")]


@router.put(
    "",
    status_code=HTTPStatus.NO_CONTENT,
    dependencies=[needs(Need.TAKE_PART)],
    summary="Let a participant's voice be known",
    openapi_extra=_BODY,
    max_body_size=LARGEST_CLIP,
)
async def enrol(request: Request, meeting: str, participant: str, consent: Consent = False) -> Response:
    """The body is a clip of this person alone, in any usual format, of which the first minute counts.

    What the voice sounds like is kept, as numbers, until the enrolment or the meeting is deleted; the clip is not. A
    voice of this meeting that sounds so, and that nobody named, has the participant's name. What voices at shared
    microphones sound like is kept with their meeting all the same, whoever is enrolled.
    """
    house, identity, who = house_of(request), MeetingId(meeting), ParticipantId(participant)
    if not consent:
        raise InvalidInput("ask this person first, then say consent=true")
    await participant_of(house, identity, who)
    if house.voice_model is None:
        raise InvalidInput("voices are not told apart here: GREFFIER_SHARED_ROOMS says so, or their models are missing")
    samples = await asyncio.to_thread(_decoded, await request.body())
    voice = await voice_of_clip(house.voice_model, samples)
    await house.store.keep_enrolment(identity, who, voice)
    return await _told(house, identity)


@router.delete(
    "",
    status_code=HTTPStatus.NO_CONTENT,
    dependencies=[needs(Need.TAKE_PART)],
    summary="Forget a participant's voice",
)
async def forget(request: Request, meeting: str, participant: str) -> Response:
    """It is deleted, with what the voices that had this name by it sounded like; they go by their numbers again.

    While the meeting goes on, what voices sound like is kept anew, without the name, since they are told apart by it.
    """
    house, identity = house_of(request), MeetingId(meeting)
    await house.store.remove_enrolment(identity, ParticipantId(participant))
    return await _told(house, identity)


async def _told(house: House, meeting: MeetingId) -> Response:
    """Readers of a meeting that goes on see who it is."""
    running = await house.meetings.find(meeting)
    if running is not None:
        await running.voices_changed()
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _decoded(clip: bytes) -> Samples:
    """The first minute of it. Raises ``UnreadableMedia``."""
    with tempfile.NamedTemporaryFile(prefix="greffier-clip-") as file:
        file.write(clip)
        file.flush()
        pieces = Recording.open(Path(file.name), "the clip").pieces(LONGEST_CLIP)
        return next(pieces, np.zeros(0, np.int16))
