"""Rooms of SFUs: begin to caption one, end that, see how it stands. The same for every SFU, each below its own name."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response, status

from api.access import Need, needs
from api.house import House, Sfu, house_of
from api.shapes import CaptionedRoomList, CaptionedRoomShape, RoomLanguages
from api.variables import JANUS_URL, LIVEKIT, Variable
from media_gateway.captioned_rooms import CaptionedRooms, RoomState
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
        return CaptionedRoomList(rooms=[_shape(state) for state in rooms(request).all()])

    @router.get("/{room:path}/captions", summary=f"How captions of a room of {title} stand")
    async def show(request: Request, room: Room) -> CaptionedRoomShape:
        """Of a room that was captioned lately, ``why`` says how that ended."""
        return _shape(_state(rooms(request), room))

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
        captioned = rooms(request)
        if any(state.room == room for state in captioned.all()):
            response.status_code = status.HTTP_200_OK
        await captioned.start(room, tuple(wanted.languages) if wanted else ())
        return _shape(_state(captioned, room))

    @router.delete("/{room:path}/captions", status_code=status.HTTP_204_NO_CONTENT, summary=f"Leave a room of {title}")
    async def stop(request: Request, room: Room) -> Response:
        """Its meeting goes on with the next start, or ends once it was empty for a while. Again, it does nothing."""
        await rooms(request).stop(room)
        return Response(status_code=status.HTTP_204_NO_CONTENT)

    return router


def _state(rooms: CaptionedRooms, room: str) -> RoomState:
    found = rooms.state(room)
    if found is None:
        raise NotFound("this room was not captioned lately")
    return found


def _shape(state: RoomState) -> CaptionedRoomShape:
    return CaptionedRoomShape(
        room=state.room, meeting=state.meeting, state=state.state, why=None if state.why is None else state.why.value
    )


livekit = sfu_router("livekit", "LiveKit", LIVEKIT, lambda house: house.livekit)
janus = sfu_router("janus", "Janus", (JANUS_URL,), lambda house: house.janus)
