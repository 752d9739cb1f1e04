"""What is special to SQLite: one file, one writer at a time, and what its errors mean."""

import os
import sqlite3
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from pipeline.errors import InvalidSetting, StorageFailed
from pipeline.store.disk import explained
from pipeline.store.meanings import CONNECTIONS, VARIABLE, no_room, unusable

_BUSY_MS = 5_000
_PRAGMAS = (
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


def engine_on(url: URL) -> Engine:
    """Makes the file where there is none. Raises ``InvalidSetting``, ``StorageFailed`` and ``StorageFull``."""
    if url.database in {None, "", ":memory:"}:
        raise InvalidSetting(f"{VARIABLE} names no file: give one like sqlite:////var/lib/greffier.db")
    with explained("meetings", VARIABLE):
        _make_file(url)
    engine = create_engine(
        url,
        pool_size=CONNECTIONS,
        max_overflow=0,
        connect_args={"timeout": _BUSY_MS / 1000},
        hide_parameters=True,  # errors name statements, not what was said
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def reading(engine: Engine) -> Engine:
    """As it is: a transaction sees one state of the file."""
    return engine


def alone(_connection: Connection) -> AbstractContextManager[None]:
    """Whoever writes is."""
    return nullcontext()


def collided(_error: sqlite3.Error) -> bool:
    """Transactions that write wait in line."""
    return False


def unreached(_error: sqlite3.Error) -> None:
    """Files answer."""


def meaning(error: sqlite3.Error) -> StorageFailed | None:
    """None where an error says nothing of the database: a row that must not be."""
    if isinstance(error, sqlite3.IntegrityError):
        return None
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest says where it was noticed
    if code == sqlite3.SQLITE_FULL:
        return no_room()
    return unusable(_REASONS.get(code, getattr(error, "sqlite_errorname", type(error).__name__)))


def _make_file(url: URL) -> None:
    """Its folder, and the file itself so that only its owner reads it; SQLite gives its other files the same rights."""
    if url.query.get("uri"):
        return
    path = Path(url.database or "")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 begins no transactions by itself: _on_begin does
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
