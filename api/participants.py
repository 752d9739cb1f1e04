"""Participants of a meeting: join and get a token, be listed, change one's name and languages, renew the token."""

from typing import Annotated

from fastapi import APIRouter, Request, status

from api.access import Grant, Need, needs
from api.house import House, house_of
from api.meetings import new_id
from api.shapes import (
    CaptionAddresses,
    Changes,
    Joined,
    ListedParticipant,
    Mode,
    NewParticipant,
    ParticipantList,
    ParticipantShape,
    PresenceShape,
    TokenShape,
    wall_clock,
)
from api.tokens import Can, Token
from pipeline.domain import MeetingId, Participant, ParticipantId
from pipeline.errors import InvalidInput, NotFound
from pipeline.export.event import seconds

router = APIRouter(prefix="/api/v1/meetings/{meeting}/participants", tags=["participants"])


@router.post(
    "", status_code=status.HTTP_201_CREATED, dependencies=[needs(Need.MEETINGS)], summary="Join a meeting, get a token"
)
async def join(request: Request, meeting: str, wanted: NewParticipant) -> Joined:
    """Who publishes is listed from now on; who only reads is not, and leaves no trace but the token.

    Give the ``id`` of a participant to join again as the same one, on another device or with a new token.
    """
    house, identity = house_of(request), MeetingId(meeting)
    kept = await house.store.meeting(identity)
    if kept.ended_at is not None and wanted.mode is Mode.PUBLISH:
        raise InvalidInput("this meeting is over: create another to speak in it")
    participant = Participant(ParticipantId(wanted.id or new_id(10)), wanted.name, wanted.shared_room)
    if wanted.mode is Mode.PUBLISH:
        house.check_languages(tuple(wanted.languages))
        await _add(house, identity, participant, tuple(wanted.languages))
    can = {Can.READ, Can.PUBLISH} if wanted.mode is Mode.PUBLISH else {Can.READ}
    token = Token(identity, frozenset(can), participant.id, participant.name)
    text, expires_at = house.access.issue(token)
    base = f"/api/v1/meetings/{meeting}"
    publishes = wanted.mode is Mode.PUBLISH
    return Joined(
        token=text,
        expires_at=wall_clock(expires_at),
        participant=participant.id,
        name=participant.name,
        mode=wanted.mode,
        whip=f"/whip/{meeting}" if publishes else None,
        audio=f"{base}/audio.ws" if publishes else None,
        captions=CaptionAddresses(
            websocket=f"{base}/captions.ws",
            sse=f"{base}/captions.sse",
            webvtt=f"{base}/captions.vtt",
            hls=f"{base}/hls/master.m3u8",
        ),
    )


@router.get("", dependencies=[needs(Need.READ)], summary="List the participants of a meeting")
async def participants(request: Request, meeting: str) -> ParticipantList:
    """Everybody who ever spoke, may speak or was in the room of the meeting, and when they were there."""
    store, identity = house_of(request).store, MeetingId(meeting)
    presences: dict[ParticipantId, list[PresenceShape]] = {}
    for presence in await store.presences(identity):
        left = None if presence.left is None else seconds(presence.left)
        shown = PresenceShape(joined=seconds(presence.joined), left=left)
        presences.setdefault(presence.participant, []).append(shown)
    enrolled = await store.enrolled(identity)
    return ParticipantList(
        participants=[
            ListedParticipant(
                participant=each.id,
                name=each.name,
                shared_room=each.shared_room,
                enrolled=each.id in enrolled,
                present=presences.get(each.id, []),
            )
            for each in await store.participants(identity)
        ]
    )


@router.patch("/{participant}", dependencies=[needs(Need.TAKE_PART)], summary="Change a name, languages or a mark")
async def change(request: Request, meeting: str, participant: str, wanted: Changes) -> ParticipantShape:
    """A new name counts for what is said from now on, a mark for what is heard; what is left out stays as it is."""
    house, identity, who = house_of(request), MeetingId(meeting), ParticipantId(participant)
    known = await participant_of(house, identity, who)
    running = await house.meetings.find(identity)
    if wanted.languages is not None:
        codes = tuple(wanted.languages)
        house.check_languages(codes)
        await house.store.add_participant(identity, known, codes)
        if running is not None:
            await running.set_languages(codes, who)
    if wanted.name is not None:
        await _rename(house, identity, who, wanted.name)
    shared = known.shared_room
    if "shared_room" in wanted.model_fields_set:
        shared = wanted.shared_room
        await house.store.mark_shared_room(identity, who, shared)
        if running is not None:
            await running.voices_changed()
    return ParticipantShape(participant=who, name=wanted.name or known.name, shared_room=shared)


@router.post("/{participant}/token", summary="Renew the token of a participant")
async def renew(
    request: Request, meeting: str, participant: str, grant: Annotated[Grant, needs(Need.TAKE_PART)]
) -> TokenShape:
    """Ask before the old one expires; keys with the scope ``meetings`` may ask at any time, for those who publish."""
    house, identity, who = house_of(request), MeetingId(meeting), ParticipantId(participant)
    if grant.can:
        token = Token(identity, grant.can, who, grant.name)
    else:
        token = Token(identity, frozenset(Can), who, (await participant_of(house, identity, who)).name)
    text, expires_at = house.access.issue(token)
    return TokenShape(token=text, expires_at=wall_clock(expires_at))


async def _add(house: House, meeting: MeetingId, participant: Participant, languages: tuple[str, ...]) -> None:
    """Keeps a participant; one who is there already is renamed where they are heard, too."""
    known = {each.id: each.name for each in await house.store.participants(meeting)}
    if known.get(participant.id, participant.name) != participant.name:
        await _rename(house, meeting, participant.id, participant.name)
    await house.store.add_participant(meeting, participant, languages)
    running = await house.meetings.find(meeting)
    if participant.shared_room is not None and running is not None:
        await running.voices_changed()


async def _rename(house: House, meeting: MeetingId, participant: ParticipantId, name: str) -> None:
    running = await house.meetings.find(meeting)
    if running is not None:
        await running.rename(participant, name)
    else:
        await house.store.rename_participant(meeting, participant, name)


async def participant_of(house: House, meeting: MeetingId, participant: ParticipantId) -> Participant:
    for each in await house.store.participants(meeting):
        if each.id == participant:
            return each
    raise NotFound(f"there is no participant {participant} in this meeting who ever published")
