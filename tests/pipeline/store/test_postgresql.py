"""A store on PostgreSQL: its server restarts, hangs and refuses, keeps what it should, and no password is shown."""

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import event, text

from pipeline.domain import (
    Caption,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    TrackId,
    UtteranceId,
)
from pipeline.errors import InvalidInput, InvalidSetting, StorageFailed, StorageFull
from pipeline.store.database import failure, open_database
from pipeline.store.sql import SqlStore
from tests.pipeline.record.samples import words
from tests.postgresql_server import PostgreSql

TALK = Meeting(MeetingId("talk"), "Talk", 1.0)
OTHER = Meeting(MeetingId("other"), "Other", 2.0)
ANNE = Participant(ParticipantId("anne"), "Anne")


def said(number: int, *, final: bool = True) -> Caption:
    return Caption(TrackId("anne.1"), UtteranceId(f"u{number}"), 1, final, "fr", words("mot", number, number + 1))


@pytest.fixture
async def store(postgresql_url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore.open(postgresql_url)
    await store.create_meeting(TALK)
    await store.add_participant(TALK.id, ANNE)
    yield store
    await store.close()


@contextmanager
def paused(server: PostgreSql) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


# --- a server that goes away -------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_after_a_restart_of_the_server_the_next_call_finds_it(
    store: SqlStore, postgresql: PostgreSql, end: str
) -> None:
    await asyncio.gather(*(store.meeting(TALK.id) for _ in range(8)))  # all connections are open
    await store.for_meeting(TALK.id).keep_final(said(1))
    await asyncio.to_thread(getattr(postgresql, end))
    try:
        for attempt in (store.for_meeting(TALK.id).keep_final(said(2)), store.finals(TALK.id), store.check()):
            with pytest.raises(StorageFailed, match=r"it does not answer.*GREFFIER_DATABASE_URL"):
                await attempt
    finally:
        await asyncio.to_thread(postgresql.start)
    assert [final.utterance for final in await store.finals(TALK.id)] == ["u1"]
    await store.for_meeting(TALK.id).keep_final(said(2))
    assert await asyncio.gather(*(store.meeting(TALK.id) for _ in range(8))) == [TALK] * 8


async def test_a_server_that_hangs_is_given_up_and_the_event_loop_waits_for_nothing(
    postgresql_url: str, postgresql: PostgreSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqlStore.open(f"{postgresql_url}?connect_timeout=2")
    await store.create_meeting(TALK)
    await store.meeting(TALK.id)
    for name in ("_PING_S", "_ANSWER_S"):
        monkeypatch.setattr(f"pipeline.store.postgresql.{name}", 0.5)
    latest, longest = time.monotonic(), 0.0

    async def watch() -> None:
        nonlocal latest, longest
        while True:
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - latest)
            latest = time.monotonic()

    watching = asyncio.ensure_future(watch())
    with paused(postgresql):
        began = time.monotonic()
        calls = [store.for_meeting(TALK.id).keep_final(said(number)) for number in range(20)]
        answers = await asyncio.gather(*calls, store.finals(TALK.id), store.check(), return_exceptions=True)
        took = time.monotonic() - began
    watching.cancel()
    monkeypatch.undo()
    assert {type(answer) for answer in answers} == {StorageFailed}
    assert took < 20
    assert longest < took * 0.8
    await store.for_meeting(TALK.id).keep_final(said(1))
    assert len(await store.finals(TALK.id)) == 1
    await store.close()


async def test_a_statement_that_takes_too_long_is_ended(
    postgresql_url: str, postgresql: PostgreSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.store.postgresql._STATEMENT_MS", 1_000)
    store = SqlStore.open(postgresql_url)
    with pytest.raises(StorageFailed, match="did not answer in time"):
        await store._read(lambda connection: connection.execute(text("SELECT pg_sleep(60)")))
    assert await store.meetings() == []
    await store.close()


async def test_a_server_that_became_a_copy_of_another_is_looked_for_again(
    new_postgresql_url: str, postgresql: PostgreSql
) -> None:
    name = new_postgresql_url.rpartition("/")[2]
    store = SqlStore.open(new_postgresql_url)
    with postgresql.connect() as owner:
        owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        store._engine.dispose()  # as its restart would
        with pytest.raises(StorageFailed, match="it may only be read"):
            await store.check()
        owner.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
    await store.check()
    await store.close()


async def test_of_several_hosts_the_one_that_may_be_written_to_is_found(
    postgresql_url: str, postgresql: PostgreSql
) -> None:
    where, name = f"127.0.0.1:{postgresql.port}", postgresql_url.rpartition("/")[2]
    hosts = f"host=127.0.0.1:1&host={where}&target_session_attrs=read-write"
    store = SqlStore.open(postgresql_url.replace(f"@{where}/{name}", f"@/{name}?{hosts}"))
    await store.create_meeting(TALK)
    assert await store.meetings() == [TALK]
    await store.close()


# --- what it is set to -------------------------------------------------------------------------------------


def test_a_commit_waits_for_the_disk_whatever_the_database_is_set_to(postgresql: PostgreSql) -> None:
    name = postgresql.new_database()
    with postgresql.connect() as owner:
        owner.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
        owner.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'".encode())
    engine = open_database(postgresql.url(name))
    with engine.connect() as connection:
        asked = ("synchronous_commit", "statement_timeout", "lock_timeout", "transaction_isolation", "client_encoding")
        found = [connection.execute(text(f"SHOW {setting}")).scalar() for setting in asked]
    engine.dispose()
    postgresql.drop(name)
    assert found == ["on", "5s", "4500ms", "read committed", "UTF8"]


def test_a_database_that_cannot_keep_every_letter_is_refused(postgresql: PostgreSql) -> None:
    name = postgresql.new_database("ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
    with pytest.raises(InvalidSetting, match="GREFFIER_DATABASE_URL names a database in LATIN1: make one in UTF8"):
        open_database(postgresql.url(name))
    postgresql.drop(name)


def test_a_database_of_a_newer_greffier_is_refused(new_postgresql_url: str, postgresql: PostgreSql) -> None:
    open_database(new_postgresql_url).dispose()
    with postgresql.connect(new_postgresql_url.rpartition("/")[2]) as owner:
        owner.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(InvalidSetting, match="GREFFIER_DATABASE_URL names a database that a newer Greffier made"):
        open_database(new_postgresql_url)


def test_a_user_without_rights_is_refused(new_postgresql_url: str, postgresql: PostgreSql) -> None:
    with postgresql.connect() as owner:
        owner.execute("CREATE ROLE guest LOGIN PASSWORD 's3cret'")
    url = postgresql.url(new_postgresql_url.rpartition("/")[2], user="guest", password="s3cret")
    with pytest.raises(InvalidSetting, match=r"its user lacks rights there.*GREFFIER_DATABASE_URL"):
        open_database(url)
    with postgresql.connect() as owner:
        owner.execute("DROP ROLE guest")


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("postgresql://anne:s3cret@127.0.0.1:1/greffier", "Connection refused"),
        ("postgresql://anne:s3cret@nowhere.invalid/greffier", "nowhere.invalid"),
        ("postgresql://greffier:s3cret@127.0.0.1:{port}/postgres", "password authentication failed"),
        ("postgresql://anne:s3cret@127.0.0.1:{port}/postgres?sslmode=require", "SSL"),
        ("postgresql://anne:s3cret@127.0.0.1:{port}/postgres?colour=red", "colour"),
        ("postgresql://anne:s3@cret:x@127.0.0.1/greffier", "no database URL"),
    ],
)
def test_what_cannot_be_reached_is_said_without_a_password(postgresql: PostgreSql, said: str, names: str) -> None:
    with pytest.raises(InvalidSetting, match="GREFFIER_DATABASE_URL") as refused:
        open_database(said.format(port=postgresql.port))
    assert names in str(refused.value)
    assert "cret" not in "".join(traceback.format_exception(refused.value)).replace(said, "")


async def test_no_password_and_nothing_that_was_said_is_in_what_is_shown(postgresql_url: str, store: SqlStore) -> None:
    secret = "ss%2Fword"
    assert secret in postgresql_url
    assert "ss/word" not in repr(store._engine) + repr(store._engine.url)
    with store._engine.connect() as connection, pytest.raises(Exception, match="nowhere") as raised:
        connection.execute(text("INSERT INTO nowhere VALUES (:said)"), {"said": "between us"})
    assert "between us" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (psycopg.errors.TooManyConnections, "it takes no more connections"),
        (psycopg.errors.InvalidPassword, "it does not let this user in"),
        (psycopg.errors.InvalidCatalogName, "there is no database of this name"),
        (psycopg.errors.AdminShutdown, "it is starting or stopping"),
        (psycopg.errors.CannotConnectNow, "it is starting or stopping"),
        (psycopg.errors.IoError, "its disk fails"),
        (psycopg.errors.DataCorrupted, "it is damaged"),
        (psycopg.errors.UndefinedTable, "error 42P01"),
        (psycopg.OperationalError, "it does not answer"),
    ],
)
def test_an_error_of_the_server_says_what_to_look_at(error: type[psycopg.Error], says: str) -> None:
    meaning = failure(error("words of the server"))
    assert (type(meaning), str(meaning)) == (
        StorageFailed,
        f"the database cannot be used ({says}): see GREFFIER_DATABASE_URL",
    )


def test_a_full_disk_of_the_server_is_a_full_disk() -> None:
    assert isinstance(failure(psycopg.errors.DiskFull("could not extend file")), StorageFull)


async def test_a_title_may_hold_the_character_that_postgresql_does_not_keep(store: SqlStore) -> None:
    await store.create_meeting(replace(OTHER, title="a\x00b"))
    assert (await store.meeting(OTHER.id)).title == "a␀b"
    assert await store.meetings("a\x00B") == [replace(OTHER, title="a␀b")]
    with pytest.raises(InvalidInput, match="NUL"):
        await store._read(lambda connection: connection.execute(text("SELECT :said"), {"said": "\x00"}))


async def test_no_connection_is_left_behind(postgresql_url: str, postgresql: PostgreSql) -> None:
    store = SqlStore.open(postgresql_url)
    opened: list[object] = []
    event.listen(store._engine, "connect", lambda raw, _record: opened.append(raw))
    await asyncio.gather(*(store.meetings() for _ in range(30)))
    assert 1 <= len(opened) <= 5
    await store.close()
    with postgresql.connect() as owner:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        until = time.monotonic() + 30
        while owner.execute(asked, (postgresql_url.rpartition("/")[2],)).fetchone() != (0,):
            assert time.monotonic() < until
            await asyncio.sleep(0.02)
