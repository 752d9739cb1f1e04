import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from pipeline.domain import (
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Presence,
    SegmentId,
    Settled,
    UtteranceId,
    VoiceRun,
)
from pipeline.store import migrations
from pipeline.store.database import open_database
from pipeline.store.sql import SqlStore
from pipeline.store.tables import metadata

WAIT = 30.0


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/greffier.db"
    url: str = request.getfixturevalue("new_postgresql_url")
    return url


def test_migrations_make_the_tables_that_the_code_knows(new_url: str) -> None:
    engine = open_database(new_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_a_database_that_is_up_to_date_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "greffier.db"
    open_database(f"sqlite:///{path}").dispose()
    before = path.read_bytes()
    open_database(f"sqlite:///{path}").dispose()
    assert path.read_bytes() == before


async def test_a_database_of_the_first_tables_keeps_all_it_holds_and_takes_what_is_new(
    new_url: str,
) -> None:
    engine = create_engine(new_url)
    with engine.begin() as connection:
        migrations.migrate(connection, "0001")
        connection.execute(
            text(
                "INSERT INTO meetings (id, title, created_at, languages, glossary, keep_audio, cut, folded)"
                " VALUES ('budget', 'Budget', 100.0, '[\"fr\"]', '[]', false, false, 'budget')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO participants (meeting, id, place, names, languages, folded)"
                " VALUES ('budget', 'anne', 1, '[\"Anne\"]', '[]', 'anne')"
            )
        )
    engine.dispose()
    store = SqlStore.open(new_url)
    budget, anne = MeetingId("budget"), ParticipantId("anne")
    assert await store.meeting(budget) == Meeting(budget, "Budget", 100.0, ("fr",))
    assert await store.participants(budget) == [Participant(anne, "Anne")]
    assert await store.presences(budget) == []
    assert await store.rooms_of(budget) is None
    await store.for_meeting(budget).keep_presences([Presence(anne, 1.0, 2.0)])
    await store.create_room_meeting("livekit", "salle", Meeting(MeetingId("new"), "salle", 200.0))
    assert await store.presences(budget) == [Presence(anne, 1.0, 2.0)]
    await store.close()


async def test_a_database_before_voices_keeps_what_people_corrected(new_url: str) -> None:
    engine = create_engine(new_url)
    tables = (
        ("meetings", "'budget', 'Budget', 100.0, '[]', '[]', false, 900.0, false, 1, 'budget', 0"),
        ("participants", "'budget', 'anne', 1, '[\"Anne\"]', '[]', 'anne'"),
        ("tracks", "'budget', 'anne.1', 'anne', 1"),
        ("finals", """'budget', 'u', 'anne.1', 1, 'fr', 0.0, 'on y', '[[" on", 0, 1, 1], [" y", 1, 2, 1]]'"""),
        ("corrections", "'budget', 'u', 'Ouïe', 'ouie'"),
    )
    with engine.begin() as connection:
        migrations.migrate(connection, "0004")
        for table, values in tables:
            connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({values})")
    engine.dispose()
    store = SqlStore.open(new_url)
    budget = MeetingId("budget")
    assert (await store.meeting(budget)).settled is Settled.NOTHING
    (segment,) = (await store.transcript(budget)).segments
    assert (segment.id, segment.correction) == ("u", "Ouïe")
    assert [meeting.id for meeting in await store.meetings("ouie")] == [budget]
    await store.for_meeting(budget).keep_runs([VoiceRun(UtteranceId("u"), 1, 1, 2)])
    (segment,) = (await store.transcript(budget)).segments
    assert (segment.correction, segment.participant.name) == ("Ouïe", "Anne (voix 2)")
    await store.correct(budget, SegmentId("u"), None)
    assert [each.id for each in (await store.transcript(budget)).segments] == ["u", "u/1"]
    await store.close()


def test_a_process_of_the_version_before_that_writes_meanwhile_is_waited_for(new_postgresql_url: str) -> None:
    engine = create_engine(new_postgresql_url)
    with engine.begin() as connection:
        migrations.migrate(connection, "0004")
        connection.exec_driver_sql(
            "INSERT INTO meetings VALUES ('budget', 'Budget', 100.0, '[]', '[]', false, NULL, false, 1, 'budget', 0)"
        )
    with ThreadPoolExecutor(1) as pool, engine.connect() as old, engine.connect() as watching:
        old.exec_driver_sql("SELECT fence FROM meetings WHERE id = 'budget' FOR NO KEY UPDATE")
        migrated = pool.submit(open_database, new_postgresql_url)
        until = time.monotonic() + WAIT
        here = "(SELECT oid FROM pg_database WHERE datname = current_database())"
        waiting = text(f"SELECT 1 FROM pg_locks WHERE NOT granted AND database = {here}")
        while not watching.execute(waiting).scalar():
            assert time.monotonic() < until
            time.sleep(0.01)
        old.exec_driver_sql("INSERT INTO finals VALUES ('budget', 'u', 'anne.1', 1, 'fr', 0.0, '', '[]')")
        old.exec_driver_sql("INSERT INTO participants VALUES ('budget', 'anne', 1, '[]', '[]', '')")
        old.commit()
        migrated.result(WAIT).dispose()
    engine.dispose()


def test_an_installed_wheel_holds_every_migration() -> None:
    folder = Path(migrations.__file__).parent
    assert (folder / "versions" / "__init__.py").exists(), "setuptools takes packages only"
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {".py", ".pyc"}
