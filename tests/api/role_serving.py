"""A gateway, an API or a worker as tests ask it: everything real but the recogniser, in the event loop of the test."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2 as httpx
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from api.house import House
from api.roles import Role, process_name
from api.serve import listening
from api.server import HouseServer, ProcessServer, address_of
from api.settings import Settings
from api.sharing import open_shared_house
from api.vitals import Vitals
from api.working import open_worker
from pipeline.domain import TrackId, Word
from tests.houses import scripted_recognition, settings_in

SECRET = b"0123456789abcdef" * 4
WAIT = 30.0


def shared_settings(folder: Path, redis_url: str, database_url: str) -> Settings:
    return replace(settings_in(folder, redis_url=redis_url, secret=SECRET), database_url=database_url)


@dataclass(frozen=True, slots=True)
class ServedRole:
    """``http`` sends the key with every request."""

    process: str
    server: ProcessServer
    http: httpx.AsyncClient

    @property
    def house(self) -> House:
        """Of a gateway or an API."""
        app = self.server.config.app
        assert isinstance(app, FastAPI)
        house: House = app.state.house
        return house

    @property
    def vitals(self) -> Vitals:
        app = self.server.config.app
        assert isinstance(app, FastAPI)
        vitals: Vitals = app.state.vitals
        return vitals

    async def metrics(self) -> dict[str, float]:
        """By name, with the values of its labels behind it."""
        answer = await self.http.get("/metrics")
        assert answer.status_code == 200, answer.text
        return {
            sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }


@asynccontextmanager
async def role_serving(
    settings: Settings,
    role: Role,
    key: str = "",
    queue: str = "live",
    script: Mapping[TrackId, Sequence[Word]] | None = None,
) -> AsyncIterator[ServedRole]:
    process = process_name(role)
    async with AsyncExitStack() as opened:
        listener = opened.enter_context(listening("127.0.0.1", 0))
        address = address_of(listener, "127.0.0.1")
        server: ProcessServer
        if role is Role.WORKER:
            server = await opened.enter_async_context(
                open_worker(settings, scripted_recognition(script), queue, process, address)
            )
        else:
            house = await opened.enter_async_context(open_shared_house(settings, role, process))
            server = HouseServer(house, address, None, opens=False)
        running = asyncio.create_task(server.serve([listener]))
        try:
            async with asyncio.timeout(WAIT):
                while not server.started and not running.done():  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.01)
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            async with httpx.AsyncClient(base_url=address, headers=headers, timeout=WAIT) as http:
                yield ServedRole(process, server, http)
        finally:
            server.should_exit = True
            await running
