"""Whether the server lives, and whether it can do its work: for whoever starts and watches it."""

import asyncio
import shutil
from pathlib import Path

from fastapi import APIRouter, Request, Response, status

from api.house import Sfu, house_of
from api.shapes import Health, Readiness
from pipeline.errors import GreffierError

router = APIRouter(tags=["health"])

_LEAST_ROOM = 16 * 1024**2
"""Bytes that must be free: some hours of captions."""


@router.get("/healthz", summary="Is the server alive")
async def alive() -> Health:
    return Health(status="ok")


@router.get(
    "/readyz",
    summary="Can the server do its work",
    responses={503: {"model": Readiness}},
    response_model_exclude_none=True,
)
async def ready(request: Request, response: Response) -> Readiness:
    """200 when the recogniser answers and the store can be written to, else 503; and which SFUs it is at hand for."""
    house = house_of(request)
    try:
        await house.store.check()
        store = await asyncio.to_thread(_has_room, house.settings.home)
    except GreffierError:
        store = False
    engine = house.metrics.engine_works
    if not (engine and store):
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Readiness(
        ready=engine and store, engine=engine, store=store, livekit=_at_hand(house.livekit), janus=_at_hand(house.janus)
    )


def _at_hand(sfu: Sfu | None) -> bool | None:
    return None if sfu is None else sfu.at_hand()


def _has_room(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free >= _LEAST_ROOM
    except OSError:
        return False
