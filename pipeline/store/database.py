"""One database: how it is opened and migrated, what is special to SQLite, and what its errors mean."""

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, false, make_url
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, StatementError

from pipeline.errors import GreffierError, InvalidInput, InvalidSetting, StorageFailed, StorageFull
from pipeline.store import tables
from pipeline.store.disk import explained
from pipeline.store.migrations import migrate

VARIABLE = "GREFFIER_DATABASE_URL"
CONNECTIONS = 5
"""One that writes and four that read."""

_BUSY_MS = 5_000
_SQLITE = (
    "PRAGMA journal_mode=WAL",  # readers and the writer do not wait for each other
    "PRAGMA synchronous=FULL",  # in WAL mode, a commit is on the disk when it returns
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",  # what is deleted is overwritten
)
_REASONS = {
    sqlite3.SQLITE_READONLY: "it may only be read",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
    sqlite3.SQLITE_NOTADB: "it is no database",
    sqlite3.SQLITE_BUSY: "another program keeps it locked",
    sqlite3.SQLITE_PERM: "it may not be used",
    sqlite3.SQLITE_AUTH: "it may not be used",
}


def open_database(url: str) -> Engine:
    """An engine on the migrated database at ``url``, a new one where there is none.

    Raises ``InvalidSetting`` when it cannot be used and ``StorageFull`` when there is no room to make it.
    """
    parsed = _parsed(url)
    engine = create_engine(
        parsed,
        pool_size=CONNECTIONS,
        max_overflow=0,
        connect_args={"timeout": _BUSY_MS / 1000},
        hide_parameters=True,  # errors name statements, not what was said
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    try:
        with explained("meetings", VARIABLE):
            _make_file(parsed)
        with writing(engine).begin() as connection:
            migrate(connection)
            change_nothing(connection)
    except (DBAPIError, GreffierError) as error:
        engine.dispose()
        meaning = failure(error)
        if isinstance(meaning, StorageFull | InvalidSetting):
            raise meaning from error
        raise InvalidSetting(str(meaning)) from error
    return engine


def writing(engine: Engine) -> Engine:
    """The same engine for transactions that write: they take their place in line when they begin."""
    return engine.execution_options(writes=True)


def change_nothing(connection: Connection) -> None:
    """A write that is refused where one that changes something would be, but for room."""
    connection.execute(tables.unfinished.delete().where(false()))


def insert_new(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with its key is there; whether it was inserted."""
    return connection.execute(sqlite.insert(table).values(values).on_conflict_do_nothing()).rowcount > 0


def put(connection: Connection, table: Table, values: dict[str, Any]) -> None:
    """Insert a row, in place of the one with its key."""
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in values.items() if name not in keys}
    connection.execute(sqlite.insert(table).values(values).on_conflict_do_update(index_elements=keys, set_=rest))


def failure(error: Exception) -> Exception:
    """What an error of the database means to a caller, without the text it was about; others stay as they are."""
    cause = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    if isinstance(cause, GreffierError | sqlite3.IntegrityError):
        return error
    if isinstance(cause, UnicodeError):
        return InvalidInput("a text holds half a character (a lone surrogate), which cannot be kept: leave it out")
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause)
    return error


def _of_sqlite(error: sqlite3.Error) -> StorageFailed:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest says where it was noticed
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(f"there is no room left to keep meetings: free some ({VARIABLE}), what was kept is safe")
    reason = _REASONS.get(code, getattr(error, "sqlite_errorname", type(error).__name__))
    return StorageFailed(f"the database cannot be used ({reason}): see {VARIABLE}")


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InvalidSetting(f"{VARIABLE} is no database URL: give one like sqlite:////var/lib/greffier.db") from error
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise InvalidSetting(f"{VARIABLE} names {parsed.drivername}, but meetings are kept in SQLite: sqlite:///file")
    if parsed.database in {None, "", ":memory:"}:
        raise InvalidSetting(f"{VARIABLE} names no file: give one like sqlite:////var/lib/greffier.db")
    return parsed


def _make_file(url: URL) -> None:
    """Its folder, and the file itself so that only its owner reads it; SQLite gives its other files the same rights."""
    if url.query.get("uri"):
        return
    path = Path(url.database or "")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 begins no transactions by itself: _on_begin does
    for pragma in _SQLITE:
        connection.execute(pragma)


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
