"""The application of a process that serves no people, a worker: its health, its metrics, and moshi's dialect."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from api import health, metrics, moshi_dialect
from api.access import Access
from api.channels import Channels
from api.envelope import Envelope
from api.problems import install_problems
from api.settings import Settings
from api.vitals import Vitals


@dataclass(frozen=True, slots=True)
class _Gatehouse:
    """What routes need of a house to let somebody in, and to recognise what those bring."""

    access: Access
    settings: Settings
    channels: Channels | None


def bare_app(vitals: Vitals, access: Access, settings: Settings, channels: Channels | None) -> FastAPI:
    """``channels``: where others may use the recogniser (docs/kyutai.md)."""
    app = FastAPI(title="Greffier", openapi_url=None, docs_url=None, redoc_url=None, lifespan=_lifespan)
    app.state.vitals = vitals
    app.state.house = _Gatehouse(access, settings, channels)
    install_problems(app)
    app.include_router(health.router)
    app.include_router(metrics.router)
    if channels is not None:
        app.include_router(moshi_dialect.router)
    app.add_middleware(Envelope)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    vitals: Vitals = app.state.vitals
    async with vitals.running():
        yield
