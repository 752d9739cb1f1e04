"""A store on PostgreSQL: others write there, too, the server restarts, hangs and refuses, and no password is shown."""

import asyncio
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, event, select, text

from pipeline.domain import (
    Caption,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Presence,
    TrackId,
    UtteranceId,
)
from pipeline.errors import InvalidInput, InvalidSetting, NotFound, StorageFailed, StorageFull
from pipeline.store import meetings, postgresql, tables
from pipeline.store.database import failure, open_database
from pipeline.store.sql import SqlStore
from tests.pipeline.record.samples import words
from tests.postgresql_server import PostgreSql

ROOT = Path(__file__).parents[3]
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


@pytest.fixture
async def second(postgresql_url: str, store: SqlStore) -> AsyncIterator[SqlStore]:
    """The store of another process."""
    second = SqlStore.open(postgresql_url)
    yield second
    await second.close()


@contextmanager
def paused(server: PostgreSql) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


# --- several processes ---------------------------------------------------------------------------------------


async def test_event_numbers_and_tracks_are_given_once_however_many_ask(store: SqlStore, second: SqlStore) -> None:
    both = (store, second) * 20
    numbers = await asyncio.gather(*(each.reserve_sequence(TALK.id, 10) for each in both))
    assert sorted(numbers) == list(range(1, 400, 10))
    tracks = await asyncio.gather(*(each.next_track(TALK.id, ANNE.id) for each in both))
    assert sorted(tracks) == sorted(f"anne.{number}" for number in range(1, 41))
    assert list(await store.tracks(TALK.id)) == [f"anne.{number}" for number in range(1, 41)]


async def test_people_who_come_by_several_processes_are_all_listed_with_every_name(
    store: SqlStore, second: SqlStore
) -> None:
    people = [Participant(ParticipantId(f"p{number}"), f"P{number}") for number in range(20)]
    both = (store, second)
    await asyncio.gather(*(both[k % 2].add_participant(TALK.id, person) for k, person in enumerate(people * 2)))
    assert set(await store.participants(TALK.id)) == {ANNE, *people}
    names = [f"Anne {number}" for number in range(20)]
    await asyncio.gather(*(both[k % 2].rename_participant(TALK.id, ANNE.id, name) for k, name in enumerate(names)))
    for name in names:
        assert await second.meetings(name) == [TALK]


async def test_a_final_that_two_processes_keep_is_there_once_and_nothing_stays_unfinished(
    store: SqlStore, second: SqlStore
) -> None:
    both = [each.for_meeting(TALK.id) for each in (store, second)]
    finals = [said(number) for number in range(30)]
    for final in finals:
        await both[0].keep_open([replace(final, final=False)])
        later = replace(final, revision=2)
        await asyncio.gather(
            both[0].keep_final(final), both[1].keep_open([replace(final, final=False)]), both[1].keep_final(later)
        )
    assert [final.utterance for final in await store.finals(TALK.id)] == [final.utterance for final in finals]
    assert await store.unfinished() == {}


async def test_two_processes_that_close_what_is_unfinished_do_it_once(store: SqlStore, second: SqlStore) -> None:
    await store.create_meeting(OTHER)
    for meeting in (TALK.id, OTHER.id):
        await store.for_meeting(meeting).keep_open([said(number, final=False) for number in range(20)])
        await store.for_meeting(meeting).keep_presences([Presence(ANNE.id, 0.5)])
    closed = await asyncio.gather(*(each.close_unfinished() for each in (store, second, store, second)))
    assert Counter(meeting for answer in closed for meeting in answer) == {TALK.id: 1, OTHER.id: 1}
    for meeting in (TALK.id, OTHER.id):
        assert [final.revision for final in await second.finals(meeting)] == [2] * 20
        assert await second.presences(meeting) == [Presence(ANNE.id, 0.5, 20.0)]
        assert (await second.meeting(meeting)).cut


async def test_a_meeting_that_another_process_deletes_keeps_nothing_more(store: SqlStore, second: SqlStore) -> None:
    kept = store.for_meeting(TALK.id)
    keeping = [asyncio.ensure_future(kept.keep_final(said(number))) for number in range(50)]
    await second.delete_meeting(TALK.id)
    answers = await asyncio.gather(*keeping, return_exceptions=True)
    assert {type(answer) for answer in answers} <= {NotFound, type(None)}
    await second.create_meeting(TALK)
    assert await second.finals(TALK.id) == []


async def test_writes_that_stand_in_each_others_way_are_made_again(store: SqlStore, second: SqlStore) -> None:
    await store.create_meeting(OTHER)
    runs, each_holds_one = Counter[str](), threading.Barrier(2)

    async def both_meetings(one: SqlStore, first: MeetingId, then: MeetingId) -> int:
        def write(connection: Connection) -> int:
            runs[first] += 1
            meetings.hold(connection, first)
            if runs.total() <= 2:
                each_holds_one.wait(30)
            return meetings.reserve_sequence(connection, then, 1)

        return await one._write(write)

    assert await asyncio.gather(both_meetings(store, TALK.id, OTHER.id), both_meetings(second, OTHER.id, TALK.id)) == [
        1,
        1,
    ]
    assert sum(runs.values()) > 2, "one of them twice"


async def test_a_process_that_stands_still_in_the_middle_of_a_write_holds_up_nobody_for_long(
    store: SqlStore, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_IDLE_MS", 1_000)
    stalled = open_database(postgresql_url)
    with stalled.connect() as connection:
        meetings.hold(connection, TALK.id)
        await store.for_meeting(TALK.id).keep_final(said(1))
        with pytest.raises(Exception, match="idle-in-transaction") as raised:
            connection.execute(text("SELECT 1"))
        assert isinstance(failure(raised.value), StorageFailed)
    stalled.dispose()
    assert len(await store.finals(TALK.id)) == 1


async def test_a_lock_that_is_never_let_go_of_is_waited_for_a_while_only(
    postgresql_url: str, postgresql: PostgreSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.store.postgresql._LOCK_MS", 200)
    store = SqlStore.open(postgresql_url)
    await store.create_meeting(TALK)
    with postgresql.connect(postgresql_url.rpartition("/")[2]) as other, other.transaction():
        other.execute("SELECT 1 FROM meetings FOR UPDATE")
        with pytest.raises(StorageFailed, match="another program keeps it locked"):
            await store.for_meeting(TALK.id).keep_final(said(1))
        assert await store.meeting(TALK.id) == TALK, "readers wait for nobody"
    await store.for_meeting(TALK.id).keep_final(said(1))
    await store.close()


async def test_a_reader_sees_one_state_of_a_meeting(store: SqlStore, second: SqlStore) -> None:
    def twice(connection: Connection) -> list[int]:
        counted = []
        for _ in range(2):
            counted.append(len(connection.execute(select(tables.finals.c.utterance)).all()))
            asyncio.run_coroutine_threadsafe(second.for_meeting(TALK.id).keep_final(said(1)), loop).result()
        return counted

    loop = asyncio.get_running_loop()
    assert await store._read(twice) == [0, 0]
    assert len(await store.finals(TALK.id)) == 1


def test_processes_that_start_at_once_make_the_tables_once(new_postgresql_url: str) -> None:
    script = "import sys; from pipeline.store.database import open_database; open_database(sys.argv[1]).dispose()"
    command = [sys.executable, "-W", "error", "-c", script, new_postgresql_url]
    started = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate()[1] for process in started] == [b"", b""]
    assert [process.returncode for process in started] == [0, 0]


# --- a server that goes away -------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["stop", "crash"])
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
