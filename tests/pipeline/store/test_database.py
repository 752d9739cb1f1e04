import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from pipeline.domain import Caption, Meeting, MeetingId, Pause, TrackId, UtteranceId
from pipeline.errors import InvalidSetting, StorageFailed, StorageFull
from pipeline.store.database import open_database
from pipeline.store.sql import SqlStore
from tests.pipeline.record.samples import words

TALK = Meeting(MeetingId("talk"), "Talk", 1.0)
PAGE = 4096


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def said(number: int) -> Caption:
    return Caption(TrackId("a.1"), UtteranceId(f"u{number}"), 1, True, "fr", words("mot " * 400, 0, 1))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore.open(url(tmp_path / "greffier.db"))
    await store.create_meeting(TALK)
    yield store
    await store.close()


def test_a_new_database_is_made_with_its_folder_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "greffier.db"
    open_database(url(path)).dispose()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_commits_wait_for_the_disk_and_readers_for_nobody(tmp_path: Path) -> None:
    engine = open_database(url(tmp_path / "greffier.db"))
    with engine.connect() as connection:
        found = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")}
        found |= {
            name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


def test_an_error_names_its_statement_and_not_what_was_said(tmp_path: Path) -> None:
    engine = open_database(url(tmp_path / "greffier.db"))
    with engine.connect() as connection, pytest.raises(OperationalError) as raised:
        connection.execute(text("INSERT INTO nowhere VALUES (:said)"), {"said": "between us"})
    engine.dispose()
    assert "nowhere" in str(raised.value)
    assert "between us" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "no database URL"),
        ("greffier.db", "no database URL"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql://somebody:secret@host", "names no database"),
        ("postgresql://somebody:se:cret@ho:st/greffier", "no database URL"),
        ("mysql://somebody:secret@host/greffier", "names mysql"),
        ("oracle://host/greffier", "names oracle"),
    ],
)
def test_a_url_that_cannot_be_used_is_named_by_its_setting(given: str, says: str) -> None:
    with pytest.raises(InvalidSetting, match=f"GREFFIER_DATABASE_URL {says}|GREFFIER_DATABASE_URL is {says}") as raised:
        open_database(given)
    assert "secret" not in str(raised.value)


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "minutes.txt"
    path.write_bytes(b"The minutes of our last meeting. " * 100)
    with pytest.raises(InvalidSetting, match=r"no database.*GREFFIER_DATABASE_URL"):
        open_database(url(path))
    assert path.read_bytes() == b"The minutes of our last meeting. " * 100


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="GREFFIER_DATABASE_URL"):
        open_database(url(tmp_path))


def test_a_folder_that_cannot_be_made_is_named_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSetting, match=r"File exists.*GREFFIER_DATABASE_URL"):
        open_database(url(tmp_path / "file" / "greffier.db"))


def test_a_database_that_may_only_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "greffier.db"
    open_database(url(path)).dispose()
    with pytest.raises(InvalidSetting, match=r"only be read.*GREFFIER_DATABASE_URL"):
        open_database(f"sqlite:///file:{path}?mode=ro&uri=true")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_without_the_right_to_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "greffier.db"
    open_database(url(path)).dispose()
    path.chmod(0o400)
    with pytest.raises(InvalidSetting, match="GREFFIER_DATABASE_URL"):
        open_database(url(path))


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "greffier.db"
    open_database(url(path)).dispose()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(PAGE - 100))
    with pytest.raises(InvalidSetting, match=r"damaged.*GREFFIER_DATABASE_URL"):
        open_database(url(path))


async def test_damage_that_is_met_later_is_said_without_what_was_kept(store: SqlStore, tmp_path: Path) -> None:
    for number in range(20):
        await store.for_meeting(TALK.id).keep_final(said(number))
    await store.close()
    path = tmp_path / "greffier.db"
    pages = path.stat().st_size // PAGE
    with path.open("r+b") as file:
        file.seek((pages - 30) * PAGE)
        file.write(b"\xff" * (30 * PAGE))
    again = SqlStore.open(url(path))
    with pytest.raises(StorageFailed, match="damaged") as raised:
        await again.finals(TALK.id)
    assert "mot" not in str(raised.value)
    await again.close()


def test_a_database_of_a_newer_greffier_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "greffier.db"
    open_database(url(path)).dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(InvalidSetting, match="GREFFIER_DATABASE_URL names a database that a newer Greffier made"):
        open_database(url(path))
    assert path.read_bytes() == before


def test_a_database_that_another_program_keeps_locked_is_refused_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "greffier.db"
    open_database(url(path)).dispose()
    monkeypatch.setattr("pipeline.store.sqlite._BUSY_MS", 50)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(InvalidSetting, match="another program keeps it locked"):
        open_database(url(path))
    other.close()


async def test_a_full_disk_is_said_what_was_kept_stays_and_writing_goes_on_when_there_is_room(tmp_path: Path) -> None:
    engine = open_database(url(tmp_path / "greffier.db"))
    engine.dispose()
    most = [60]
    event.listen(engine, "checkout", lambda raw, _record, _proxy: raw.execute(f"PRAGMA max_page_count={most[0]}"))
    store = SqlStore(engine)
    await store.create_meeting(TALK)
    kept = 0
    with pytest.raises(StorageFull, match=r"no room left.*GREFFIER_DATABASE_URL"):
        for kept in range(100):
            await store.for_meeting(TALK.id).keep_final(said(kept))
    assert 0 < kept < 100
    assert len(await store.finals(TALK.id)) == kept
    most[0] = 10_000
    await store.for_meeting(TALK.id).keep_final(said(kept))
    assert len(await store.finals(TALK.id)) == kept + 1
    await store.close()


async def test_two_stores_on_one_file_write_in_turn(store: SqlStore, tmp_path: Path) -> None:
    other = SqlStore.open(url(tmp_path / "greffier.db"))
    for number in range(20):
        await (store, other)[number % 2].for_meeting(TALK.id).keep_pause(Pause(float(number)))
    assert len(await store.pauses(TALK.id)) == 20
    await other.close()
