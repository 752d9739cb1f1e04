"""A server as tests run it: everything real but the recogniser, on a port of its own, in the event loop of the test."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

from api.house import House
from api.keys import new_key
from api.serve import listening
from api.server import HouseServer, address_of
from api.tokens import Can, Token
from pipeline.access import Scope
from pipeline.domain import MeetingId, ParticipantId, TrackId, Word
from tests.houses import scripted_house

ALL = frozenset(Can)


@dataclass(slots=True)
class Serving:
    """``http`` sends the key of the first run with every request."""

    house: House
    address: str
    key: str
    http: httpx.AsyncClient

    @property
    def sockets(self) -> str:
        return self.address.replace("http:", "ws:")

    async def meeting(self, **wanted: Any) -> MeetingId:
        """A new meeting."""
        answer = await self.http.post("/api/v1/meetings", json=wanted)
        assert answer.status_code == 201, answer.text
        return MeetingId(answer.json()["id"])

    def token(self, meeting: str, participant: str | None = "anne", can: frozenset[Can] = ALL) -> str:
        who = None if participant is None else ParticipantId(participant)
        return self.house.access.issue(Token(MeetingId(meeting), can, who, participant or ""))[0]

    def stranger(self, **headers: str) -> httpx.AsyncClient:
        """A client without the key."""
        return httpx.AsyncClient(base_url=self.address, headers=headers, timeout=10, verify=False)


@asynccontextmanager
async def serving(
    folder: Path, script: Mapping[TrackId, Sequence[Word]] | None = None, **settings: Any
) -> AsyncIterator[Serving]:
    with listening("127.0.0.1", 0) as listener:
        async with scripted_house(folder, script, **settings) as house:
            key = await house.access.first_key() or await _another_key(house)
            address = address_of(listener, "127.0.0.1")
            server = HouseServer(house, address, None, opens=False)
            running = asyncio.create_task(server.serve([listener]))
            try:
                while not server.started and not running.done():  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.01)
                headers = {"Authorization": f"Bearer {key}"}
                async with httpx.AsyncClient(base_url=address, headers=headers, timeout=10, verify=False) as http:
                    yield Serving(house, address, key, http)
            finally:
                server.should_exit = True
                await running


async def _another_key(house: House) -> str:
    """For a folder that another server served from before."""
    key, text = new_key("tests", {Scope.ADMIN}, time.time())
    await house.store.add_key(key)
    return text
