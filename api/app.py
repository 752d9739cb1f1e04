"""The application: its routes, what surrounds them, and how it starts and stops."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

from api import (
    audio_socket,
    captions,
    enrolments,
    health,
    hls,
    meetings,
    metrics,
    minutes,
    moshi_dialect,
    pages,
    participants,
    recordings,
    session,
    sfu,
    sound,
    transcripts,
    voices,
    whip,
)
from api.envelope import Envelope
from api.house import House
from api.problems import install_problems
from api.roles import Role
from api.schema import install_schema
from api.vitals import house_vitals

_log = logging.getLogger("greffier.server")

BODY_LIMIT = 1_000_000
"""Bytes of a request; what takes more or less says so on its route (``max_body_size``)."""
STATIC = Path(__file__).parent / "web" / "static"
_OF_ALL = (health.router, metrics.router)
_OF_SPEAKERS = (whip.router, audio_socket.router, sfu.livekit, sfu.janus)
_PEOPLE = (participants, voices, enrolments)
_OF_READERS = tuple(
    room.router for room in (session, meetings, *_PEOPLE, captions, transcripts, minutes, sound, hls, recordings, pages)
)
_ROUTES = {
    Role.SERVE: (*_OF_ALL, *_OF_READERS, *_OF_SPEAKERS, moshi_dialect.router),
    Role.GATEWAY: (*_OF_ALL, *_OF_SPEAKERS),
    Role.API: (*_OF_ALL, *_OF_READERS),
}
"""What each process answers; docs/deploy.md says which of them a proxy sends a path to."""


def create_app(house: House) -> FastAPI:
    app = _answering(house.role)
    app.state.house = house
    app.state.vitals = house_vitals(house)
    app.state.error_page = pages.error_page
    install_problems(app)
    if house.role is Role.API:  # it stands for gateways, too, which are behind the same address
        app.openapi = _answering(Role.SERVE).openapi  # type: ignore[method-assign] # FastAPI documents it so
    if house.role is not Role.GATEWAY:
        app.mount("/static", StaticFiles(directory=STATIC), name="static")
    if house.settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=house.settings.origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "Last-Event-ID"],
            expose_headers=["Location", "ETag", "Link", "Accept-Post", "WWW-Authenticate", "Content-Disposition"],
        )
    app.add_middleware(Envelope)
    if house.traces is not None:
        app.add_middleware(house.traces.app)
    return app


def _answering(role: Role) -> FastAPI:
    """What a process of that role answers, with its OpenAPI document."""
    app = FastAPI(
        title="Greffier",
        version=version("greffier"),
        openapi_url=None if role is Role.GATEWAY else "/api/v1/openapi.json",
        docs_url=None,  # its pages take their scripts from elsewhere
        redoc_url=None,
        lifespan=_lifespan,
    )
    install_schema(app)
    for router in _ROUTES[role]:
        app.include_router(router, max_body_size=BODY_LIMIT)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    house: House = app.state.house
    await house.meetings.start()
    await house.jobs.start()
    async with app.state.vitals.running():
        try:
            for each in house.sfus:
                for service in each.services:
                    await service.start()
            yield
        finally:
            await wind_down(house)


async def wind_down(house: House) -> None:
    """Stops in the order in which nothing is lost; called again, it does nothing more."""
    await house.sample.close()
    # No more rooms: what SFUs ask for from now on waits for the next process, or goes to another one.
    await _all(service.close() for each in house.sfus for service in each.services)
    if house.role is Role.SERVE:
        await _end_captions(house)
    else:
        await _leave_captions(house)
    # A recording that is being transcribed is taken up again at the next start.
    await house.jobs.close()
    # The recogniser and the store, which all of these use, are closed by whoever opened the house.


async def _end_captions(house: House) -> None:
    """Of the process that captions its meetings itself."""
    # Meetings first, 3 s at most: what was heard becomes final and is stored, readers are sent it, then feeds end.
    await house.meetings.close()
    # Rooms are left once they were shown those finals.
    await _all(each.rooms.close() for each in house.sfus)
    # Nobody listens to connections any more.
    await house.peers.close_all()


async def _leave_captions(house: House) -> None:
    """Of a process whose meetings go on: others caption them, and people come back to another one."""
    # Sound ends first, with what was said until then on its way. Another gateway is let into the rooms.
    await _all(each.rooms.close() for each in house.sfus)
    await house.peers.close_all()
    # Then what waits is written, and readers end.
    await house.meetings.close()


async def _all(closing: Iterable[Awaitable[None]]) -> None:
    """What cannot be closed keeps nothing else from it: what was said in meetings is still to become final."""
    for failure in await asyncio.gather(*closing, return_exceptions=True):
        if isinstance(failure, Exception):
            _log.error("sfu.unclosed", exc_info=failure)
