"""Meetings: create, list and search, show, end, delete; their glossary and languages, pause, and the sample."""

import secrets
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from api.access import Need, needs
from api.house import house_of
from api.shapes import Glossary, LanguageSet, MeetingList, MeetingShape, NewMeeting, SampleShape, meeting_shape
from pipeline.domain import Meeting, MeetingId

router = APIRouter(prefix="/api/v1/meetings", tags=["meetings"])
manage = needs(Need.MEETINGS)

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""No letter of these is taken for another."""


@router.post("", status_code=status.HTTP_201_CREATED, dependencies=[manage], summary="Create a meeting")
async def create(request: Request, response: Response, wanted: NewMeeting) -> MeetingShape:
    house = house_of(request)
    house.check_languages(tuple(wanted.languages))
    meeting = Meeting(
        new_id(12),
        wanted.title,
        house.wall(),
        tuple(wanted.languages),
        tuple(wanted.glossary),
        wanted.keep_audio,
    )
    await house.store.create_meeting(meeting)
    response.headers["Location"] = f"{router.prefix}/{meeting.id}"
    return meeting_shape(meeting, paused=False)


@router.get("", dependencies=[manage], summary="List and search meetings, newest first")
async def find(
    request: Request,
    q: Annotated[str, Query(max_length=500, description="Words of titles, names and what was said.")] = "",
    before: Annotated[float | None, Query(description="Only those created before, in seconds since 1970.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> MeetingList:
    house = house_of(request)
    found = await house.store.meetings(q, before, limit)
    following = found[-1].created_at if len(found) == limit else None
    paused = await house.meetings.paused(found)
    shapes = [meeting_shape(meeting, paused=meeting.id in paused) for meeting in found]
    return MeetingList(meetings=shapes, next=following)


@router.get("/{meeting}", dependencies=[needs(Need.READ)], summary="Show a meeting")
async def show(request: Request, meeting: str) -> MeetingShape:
    house = house_of(request)
    kept = await house.store.meeting(MeetingId(meeting))
    return meeting_shape(kept, paused=kept.id in await house.meetings.paused([kept]))


@router.post("/{meeting}/end", dependencies=[manage], summary="End a meeting")
async def end(request: Request, meeting: str) -> MeetingShape:
    """Answers once the finals of speech already heard are kept, after 3 seconds at most. Again, it does nothing."""
    house = house_of(request)
    await house.meetings.end(MeetingId(meeting))
    return await show(request, meeting)


@router.delete(
    "/{meeting}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[manage],
    summary="Delete a meeting and all that was kept of it",
)
async def delete(request: Request, meeting: str) -> Response:
    house = house_of(request)
    await house.meetings.delete(MeetingId(meeting))
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.get("/{meeting}/glossary", dependencies=[needs(Need.READ)], summary="Show the terms that may be said")
async def glossary(request: Request, meeting: str) -> Glossary:
    return Glossary(terms=list((await house_of(request).store.meeting(MeetingId(meeting))).glossary))


@router.put("/{meeting}/glossary", dependencies=[manage], summary="Replace the terms that may be said")
async def put_glossary(request: Request, meeting: str, wanted: Glossary) -> Glossary:
    """They count for what is said from now on."""
    house = house_of(request)
    terms = tuple(wanted.terms)
    kept = await house.store.meeting(MeetingId(meeting))
    await house.store.update_meeting(replace(kept, glossary=terms))
    if running := await house.meetings.find(MeetingId(meeting)):
        await running.set_glossary(terms)
    return wanted


@router.get("/{meeting}/languages", dependencies=[needs(Need.READ)], summary="Show the languages that may be spoken")
async def languages(request: Request, meeting: str) -> LanguageSet:
    house = house_of(request)
    kept = await house.store.meeting(MeetingId(meeting))
    return LanguageSet(languages=list(kept.languages or house.settings.languages))


@router.put("/{meeting}/languages", dependencies=[manage], summary="Replace the languages that may be spoken")
async def put_languages(request: Request, meeting: str, wanted: LanguageSet) -> LanguageSet:
    """Participants who declared languages of their own keep them."""
    house = house_of(request)
    codes = tuple(wanted.languages)
    house.check_languages(codes)
    kept = await house.store.meeting(MeetingId(meeting))
    await house.store.update_meeting(replace(kept, languages=codes))
    if running := await house.meetings.find(MeetingId(meeting)):
        await running.set_languages(codes)
    return wanted


@router.put("/{meeting}/pause", dependencies=[manage], summary="Pause captions: nobody is listened to")
async def pause(request: Request, meeting: str) -> MeetingShape:
    """Everybody in the meeting is told, and the transcript marks it. Again, it does nothing."""
    running = await house_of(request).meetings.of(MeetingId(meeting))
    await running.pause()
    return await show(request, meeting)


@router.delete("/{meeting}/pause", dependencies=[manage], summary="Resume captions")
async def resume(request: Request, meeting: str) -> MeetingShape:
    running = await house_of(request).meetings.of(MeetingId(meeting))
    await running.resume()
    return await show(request, meeting)


@router.post(
    "/{meeting}/sample",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[manage],
    summary="Play the sample conversation as participants of this meeting",
)
async def sample(request: Request, meeting: str) -> SampleShape:
    """Recorded voices join, speak and leave. While they play, this does nothing more."""
    house = house_of(request)
    script = await house.sample.play(await house.meetings.of(MeetingId(meeting)))
    return SampleShape(voices=[voice.name for voice in script.voices], seconds=round(script.seconds, 1))


def new_id(length: int) -> MeetingId:
    return MeetingId("".join(secrets.choice(_LETTERS) for _ in range(length)))
