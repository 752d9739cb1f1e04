import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, func, select

from pipeline.errors import NotFound, StorageFailed
from pipeline.store import tables
from pipeline.store.database import open_database
from pipeline.store.writer import Writer


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
async def writer(engine: Engine) -> AsyncIterator[Writer]:
    writer = Writer(engine)
    yield writer
    await writer.close()


def row(identity: str) -> dict[str, object]:
    return {"id": identity, "name": "", "scopes": [], "digest": "", "created_at": 0.0, "ending": ""}


def insert(connection: Connection, identity: str) -> str:
    connection.execute(tables.api_keys.insert().values(row(identity)))
    return identity


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(tables.api_keys)).scalar_one()


def refuse(_connection: Connection) -> None:
    raise NotFound("nothing is there")


class Held:
    """Holds the writer's thread until it is let go."""

    def __init__(self, writer: Writer) -> None:
        self._go = threading.Event()
        self._task = asyncio.ensure_future(writer.write(lambda _connection: self._go.wait(10)))

    async def __aenter__(self) -> None:
        await asyncio.sleep(0.05)

    async def __aexit__(self, *_error: object) -> None:
        self._go.set()
        await self._task


async def test_writes_that_wait_are_committed_together_and_each_gets_its_answer(writer: Writer, engine: Engine) -> None:
    commits = []
    event.listen(engine, "commit", lambda _connection: commits.append(1))
    async with Held(writer):
        names = [f"k{number}" for number in range(50)]
        writes = [asyncio.ensure_future(writer.write(lambda c, name=name: insert(c, name))) for name in names]
        await asyncio.sleep(0.05)
        assert count(engine) == 0
    assert await asyncio.gather(*writes) == names
    assert (count(engine), len(commits)) == (50, 2)


async def test_a_write_is_seen_by_others_when_it_returns(writer: Writer, engine: Engine) -> None:
    for number in range(3):
        await writer.write(lambda connection, number=number: insert(connection, f"k{number}"))
        assert count(engine) == number + 1


async def test_a_write_that_fails_takes_no_other_with_it(writer: Writer, engine: Engine) -> None:
    async with Held(writer):
        first = asyncio.ensure_future(writer.write(lambda connection: insert(connection, "a")))
        wrong = asyncio.ensure_future(writer.write(refuse))
        last = asyncio.ensure_future(writer.write(lambda connection: insert(connection, "b")))
        await asyncio.sleep(0.05)
    with pytest.raises(NotFound, match="nothing is there"):
        await wrong
    assert (await first, await last, count(engine)) == ("a", "b", 2)


async def test_half_of_a_write_is_never_kept(writer: Writer, engine: Engine) -> None:
    def half(connection: Connection) -> None:
        insert(connection, "a")
        refuse(connection)

    with pytest.raises(NotFound):
        await writer.write(half)
    assert count(engine) == 0


async def test_a_write_whose_caller_left_while_it_waited_is_not_made(writer: Writer, engine: Engine) -> None:
    async with Held(writer):
        left = asyncio.ensure_future(writer.write(lambda connection: insert(connection, "a")))
        stayed = asyncio.ensure_future(writer.write(lambda connection: insert(connection, "b")))
        await asyncio.sleep(0.05)
        left.cancel()
        await asyncio.sleep(0)
    await stayed
    assert (left.cancelled(), count(engine)) == (True, 1)


async def test_more_writers_than_there_is_room_for_wait_their_turn(
    writer: Writer, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer._queue, "maxsize", 3)
    async with Held(writer):
        writes = [asyncio.ensure_future(writer.write(lambda c, n=n: insert(c, f"k{n}"))) for n in range(20)]
        await asyncio.sleep(0.05)
    await asyncio.gather(*writes)
    assert count(engine) == 20


async def test_writes_that_a_locked_database_refuses_wait_for_it_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.store.sqlite._BUSY_MS", 300)
    engine = open_database(f"sqlite:///{tmp_path}/locked.db")
    writer = Writer(engine)
    other = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    writes = (writer.write(lambda c, n=n: insert(c, f"k{n}")) for n in range(20))
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert time.monotonic() - began < 3
    assert {type(answer) for answer in answers} == {StorageFailed}
    other.close()
    assert await writer.write(lambda connection: insert(connection, "later")) == "later"
    await writer.close()
    engine.dispose()


async def test_closing_waits_for_what_waits_and_takes_nothing_more(writer: Writer, engine: Engine) -> None:
    async with Held(writer):
        writes = [asyncio.ensure_future(writer.write(lambda c, n=n: insert(c, f"k{n}"))) for n in range(5)]
        await asyncio.sleep(0.05)
        closing = asyncio.ensure_future(writer.close())
        await asyncio.sleep(0.05)
        with pytest.raises(StorageFailed, match="closed"):
            await writer.write(refuse)
    await closing
    await asyncio.gather(*writes)
    assert count(engine) == 5
