"""``greffier status`` says who is there and who waits, and ends with 1 where somebody should see to something."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from api.cli import main
from api.roles import Role
from api.settings import Settings
from api.status import Captioning, Status, as_json, look, render
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.wanted import want
from pipeline.distributed.offers import Offers, broker_at
from pipeline.domain import Meeting, MeetingId
from pipeline.store.sql import SqlStore
from tests.api.role_serving import role_serving, shared_settings
from tests.postgresql_server import PostgreSql
from tests.redis_server import RedisServer

WAIT = 30.0
COUNCIL, BOARD = MeetingId("council"), MeetingId("board")


@pytest.fixture
def settings(tmp_path: Path, redis_server: RedisServer, postgresql_url: str) -> Settings:
    return shared_settings(tmp_path, redis_server.url, postgresql_url)


async def looked(settings: Settings) -> Status:
    assert settings.redis_url is not None
    return await look(settings.redis_url, settings.database_url, offer_seconds=0.1)


async def create(settings: Settings, *meetings: MeetingId) -> None:
    store = await asyncio.to_thread(SqlStore.open, settings.database_url)
    for meeting in meetings:
        await store.create_meeting(Meeting(meeting, "A title that nobody is to see", time.time() - 90))
    await store.close()


async def test_all_is_well_where_each_role_is_there_and_a_worker_has_room(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        for role in (Role.API, Role.GATEWAY, Role.WORKER):
            await stack.enter_async_context(role_serving(settings, role))
        await stack.enter_async_context(role_serving(settings, Role.WORKER, queue="batch"))
        await create(settings, BOARD)
        found = await looked(settings)
    assert found.amiss == []
    assert (found.redis, found.database) == (True, True)
    assert sorted((facts["role"], facts.get("queue")) for facts in found.processes) == [
        ("api", None),
        ("gateway", None),
        ("worker", "batch"),
        ("worker", "live"),
    ]
    [board] = found.meetings
    assert (board.state, board.worker) == (Captioning.EMPTY, None)
    page = render(found)
    assert "redis     answers" in page
    assert "worker live" in page
    assert "0/8" in page
    assert "board    empty" in page
    assert "1 min" in page or "2 min" in page
    assert page.endswith("all is well")
    assert "title" not in page + as_json(found)


async def test_a_meeting_that_a_worker_captions_has_its_name(settings: Settings) -> None:
    await create(settings, COUNCIL)
    assert settings.redis_url is not None
    bus, offers = await RedisBus.open(settings.redis_url, "test-1"), Offers(broker_at(settings.redis_url))
    try:
        async with role_serving(settings, Role.WORKER) as worker:
            await want(bus, [COUNCIL])
            await offers.send(COUNCIL)
            async with asyncio.timeout(WAIT):
                while (found := await looked(settings)).meetings[0].state is not Captioning.CAPTIONED:
                    await want(bus, [COUNCIL])
            assert found.meetings[0].worker == worker.process
            assert f"council  captioned  {worker.process}" in render(found)
            assert not [said for said in found.amiss if "wait" in said]
    finally:
        await offers.close()
        await bus.close()


async def test_meetings_that_wait_for_a_worker_are_amiss(settings: Settings) -> None:
    await create(settings, COUNCIL, BOARD)
    assert settings.redis_url is not None
    bus = await RedisBus.open(settings.redis_url, "test-1")
    try:
        await want(bus, [COUNCIL])
        found = await looked(settings)
    finally:
        await bus.close()
    assert {meeting.id: meeting.state for meeting in found.meetings} == {
        "council": Captioning.WAITING,
        "board": Captioning.EMPTY,
    }
    assert found.amiss == [
        "there is no api",
        "there is no gateway",
        "there is no worker",
        "1 meeting waits for a worker",
    ]
    assert render(found).index("council") < render(found).index("board")


async def test_a_worker_without_room_is_amiss(settings: Settings) -> None:
    async with role_serving(settings, Role.WORKER) as worker:
        await worker.server._stop()
        async with asyncio.timeout(WAIT):
            while "no worker for live meetings has room" not in (found := await looked(settings)).amiss:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    assert "worker live, draining" in render(found)


def test_the_command_ends_with_1_where_something_is_amiss_and_speaks_json(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settings.redis_url is not None
    monkeypatch.setenv("GREFFIER_REDIS_URL", settings.redis_url)
    monkeypatch.setenv("GREFFIER_DATABASE_URL", settings.database_url)
    assert main(["status", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["redis"], said["database"], said["processes"], said["meetings"]) == (True, True, [], [])
    assert said["queues"]["live"] == {"waiting": 0, "dead": 0}
    assert said["amiss"][0] == "there is no api"


def test_without_redis_in_the_settings_it_says_which_lack(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GREFFIER_REDIS_URL", raising=False)
    monkeypatch.delenv("GREFFIER_DATABASE_URL", raising=False)
    assert main(["status"]) == 64
    assert "GREFFIER_REDIS_URL" in capsys.readouterr().err


async def test_a_redis_that_is_away_is_amiss_and_passwords_are_not_shown(settings: Settings) -> None:
    found = await looked(replace(settings, redis_url="redis://:swordfish@127.0.0.1:1/0"))
    assert (found.redis, found.database) == (False, True)
    assert "redis     does not answer" in render(found)
    assert found.amiss
    assert "swordfish" not in render(found) + as_json(found)


async def test_a_database_that_is_away_is_amiss(settings: Settings, postgresql: PostgreSql) -> None:
    gone = settings.database_url.replace(f":{postgresql.port}/", ":1/")
    found = await looked(replace(settings, database_url=gone))
    assert (found.redis, found.database) == (True, False)
    assert "database  does not answer" in render(found)
    assert gone not in render(found)


def test_of_many_meetings_a_terminal_sees_those_that_wait_first() -> None:
    from api.status import OpenMeeting

    found = Status(redis=True, database=True)
    found.meetings = [OpenMeeting(f"m{number}", Captioning.CAPTIONED, "worker-1", 60.0) for number in range(30)]
    found.meetings.append(OpenMeeting("last", Captioning.WAITING, None, 4.0))
    lines = render(found).splitlines()
    assert lines[5].startswith("last")
    assert "and 11 more (--json)" in lines


async def test_looking_makes_no_tables(settings: Settings, postgresql: PostgreSql, new_postgresql_url: str) -> None:
    found = await looked(replace(settings, database_url=new_postgresql_url))
    assert found.database is False
    with postgresql.connect(new_postgresql_url.rpartition("/")[2]) as connection:
        counted = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert counted == (0,)
