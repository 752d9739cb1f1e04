"""Rooms of SFUs: begin to caption one, end that, see how it stands. The same for every SFU, each below its own name."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response, status

from api.access import Need, needs
from api.house import House, Sfu, house_of
from api.shapes import CaptionedRoomList, CaptionedRoomShape, RoomLanguages
from api.variables import JANUS_URL, LIVEKIT, Variable
from media_gateway.captioned_rooms import CaptionedElsewhere, CaptionedRooms, RoomState
from pipeline.errors import NotFound

_LONGEST_NAME = 256
Room = Annotated[str, Path(min_length=1, max_length=_LONGEST_NAME, description="As the SFU calls it.")]
_FAILS: dict[int | str, dict[str, Any]] = {
    404: {"description": "This server is not set for this SFU, or there is no such room."},
    503: {"description": "The SFU cannot be reached, or refuses; try again."},
}


def sfu_router(
    provider: str, title: str, variables: tuple[Variable, ...], sfu_of: Callable[[House], Sfu | None]
) -> APIRouter:
    """The routes of one SFU; where the house has none, they say which ``variables`` are to be set."""
    prefix = f"/api/v1/{provider}/rooms"
    router = APIRouter(prefix=prefix, tags=[provider], dependencies=[needs(Need.MEETINGS)], responses=_FAILS)

    def rooms(request: Request) -> CaptionedRooms:
        found = sfu_of(house_of(request))
        if found is None:
            names = " and ".join(variable.name for variable in variables)
            raise NotFound(f"this server knows no {title}: set {names}")
        return found.rooms

    @router.get("", summary=f"List the rooms of {title} that are captioned")
    async def listed(request: Request) -> CaptionedRoomList:
        states = [*rooms(request).all(), *await _elsewhere(request, rooms(request))]
        return CaptionedRoomList(rooms=[_shape(state) for state in states])

    @router.get("/{room:path}/captions", summary=f"How captions of a room of {title} stand")
    async def show(request: Request, room: Room) -> CaptionedRoomShape:
        """Of a room that was captioned lately, ``why`` says how that ended."""
        return _shape(await _found(request, rooms(request), room))

    @router.post(
        "/{room:path}/captions",
        status_code=status.HTTP_201_CREATED,
        summary=f"Begin to caption a room of {title}",
        responses={200: {"model": CaptionedRoomShape, "description": "It is captioned already."}},
    )
    async def start(
        request: Request, response: Response, room: Room, wanted: RoomLanguages | None = None
    ) -> CaptionedRoomShape:
        """Answers once Greffier is in the room. The room's open meeting goes on, else there is a new one.

        The body may be left out: languages are then those of the meeting, or of the server.
        """
        state, begins = await _started(request, rooms(request), room, tuple(wanted.languages) if wanted else ())
        response.status_code = status.HTTP_201_CREATED if begins else status.HTTP_200_OK
        return _shape(state)

    @router.delete("/{room:path}/captions", status_code=status.HTTP_204_NO_CONTENT, summary=f"Leave a room of {title}")
    async def stop(request: Request, room: Room) -> Response:
        """Its meeting goes on with the next start, or ends once it was empty for a while. Again, it does nothing."""
        await _stopped(request, rooms(request), room)
        return Response(status_code=status.HTTP_204_NO_CONTENT)

    return router


async def _found(request: Request, captioned: CaptionedRooms, room: str) -> RoomState:
    state = captioned.state(room)
    if state is None or state.why is not None:
        state = await _of_another(request, captioned, room) or state
    return _known(state)


async def _started(
    request: Request, captioned: CaptionedRooms, room: str, languages: tuple[str, ...]
) -> tuple[RoomState, bool]:
    """The room as it stands now, and whether its captions begin."""
    begins = all(state.room != room for state in captioned.all())
    try:
        await captioned.start(room, languages)
    except CaptionedElsewhere:
        if (there := await _of_another(request, captioned, room)) is None:
            raise
        return there, False
    return _known(captioned.state(room)), begins


async def _stopped(request: Request, captioned: CaptionedRooms, room: str) -> None:
    await captioned.stop(room)
    if (others := house_of(request).other_gateways) is not None:
        await others.leave_room(captioned.gateway.provider, room)


async def _elsewhere(request: Request, captioned: CaptionedRooms) -> list[RoomState]:
    """The rooms that other gateways caption."""
    others = house_of(request).other_gateways
    return [] if others is None else await others.rooms(captioned.gateway.provider)


async def _of_another(request: Request, captioned: CaptionedRooms, room: str) -> RoomState | None:
    return next((state for state in await _elsewhere(request, captioned) if state.room == room), None)


def _known(state: RoomState | None) -> RoomState:
    if state is None:
        raise NotFound("this room was not captioned lately")
    return state


def _shape(state: RoomState) -> CaptionedRoomShape:
    return CaptionedRoomShape(
        room=state.room, meeting=state.meeting, state=state.state, why=None if state.why is None else state.why.value
    )


livekit = sfu_router("livekit", "LiveKit", LIVEKIT, lambda house: house.livekit)
janus = sfu_router("janus", "Janus", (JANUS_URL,), lambda house: house.janus)
