"""A meeting goes on while its PostgreSQL is away, and what was refused meanwhile is kept when it is back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.domain import Pause
from pipeline.running import RunningMeeting
from pipeline.store.sql import SqlStore
from tests.pipeline.running.stage import ANNE, BILAL, MEETING, Stage, events, finals, kept, notices, until
from tests.postgresql_server import PostgreSql

WAIT = 60.0


def told(meeting: RunningMeeting, text: str) -> bool:
    return any(text in str(event["committed"]) for event in events(meeting, "caption"))


@pytest.fixture
async def stage(postgresql_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path, database_url=f"{postgresql_url}?connect_timeout=2") as stage:
        yield stage


async def test_what_a_restart_of_the_database_refused_is_kept_when_it_is_back(
    stage: Stage, postgresql: PostgreSql, postgresql_url: str
) -> None:
    meeting = await stage.open()
    anne, bilal = await stage.talker(meeting, ANNE), await stage.talker(meeting, BILAL)
    await stage.say(anne, "one")
    await until(lambda: finals(meeting) == [("Anne", "one")], WAIT)
    await asyncio.to_thread(postgresql.kill)
    try:
        await stage.say(anne, "two three")
        await stage.say(bilal, "four", pause=3.0)
        await until(lambda: told(meeting, "four") and notices(meeting), WAIT)
        await meeting.pause()
        stage.clock.at += 1.0
        await meeting.resume()
        assert notices(meeting) == ["not_kept", "paused", "resumed"]
        assert finals(meeting) == [("Anne", "one")], "nothing is final that is not kept"
    finally:
        await asyncio.to_thread(postgresql.start)
    await until(lambda: "kept" in notices(meeting), WAIT)
    await stage.say(anne, "five")
    expected = [("Anne", "one"), ("Anne", "two three"), ("Bilal", "four"), ("Anne", "five")]
    await until(lambda: finals(meeting) == expected, WAIT)
    other = SqlStore.open(postgresql_url)
    assert await kept(other) == [text for _, text in expected]
    (pause,) = await other.pauses(MEETING)
    assert pause == Pause(pause.start, pause.start + 1.0)
    await other.close()


async def test_captions_do_not_wait_for_a_database_that_hangs_but_for_the_first_write(
    stage: Stage, postgresql: PostgreSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_PING_S", "_ANSWER_S"):
        monkeypatch.setattr(f"pipeline.store.postgresql.{name}", 0.5)
    meeting = await stage.open()
    anne = await stage.talker(meeting, ANNE)
    await stage.say(anne, "one")
    await until(lambda: finals(meeting) == [("Anne", "one")], WAIT)
    await asyncio.to_thread(postgresql.pause)
    try:
        await stage.say(anne, "two")
        await until(lambda: notices(meeting) == ["not_kept"], WAIT)
        for word in ("three", "four"):
            await stage.say(anne, word)
            await until(lambda word=word: told(meeting, word), WAIT)  # type: ignore[misc]
        assert finals(meeting) == [("Anne", "one")]
    finally:
        await asyncio.to_thread(postgresql.resume)
    await until(lambda: len(finals(meeting)) == 4, WAIT)
    assert await kept(stage.store) == ["one", "two", "three", "four"]
