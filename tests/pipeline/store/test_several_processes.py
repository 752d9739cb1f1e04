"""Several processes with a store on one PostgreSQL: who writes to a meeting is alone in it; nobody waits for long."""

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text

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
from pipeline.errors import NotFound, StorageFailed
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
