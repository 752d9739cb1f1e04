"""One database, of SQLite or PostgreSQL: how it is opened and migrated, and what its errors mean."""

import sqlite3
from contextlib import AbstractContextManager
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, Table, false, make_url
from sqlalchemy.dialects import postgresql as of_postgresql
from sqlalchemy.dialects import sqlite as of_sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, StatementError

from pipeline.errors import GreffierError, InvalidInput, InvalidSetting, StorageFailed, StorageFull
from pipeline.store import tables
from pipeline.store.meanings import VARIABLE
from pipeline.store.migrations import migrate

_SQLITE, _POSTGRESQL = "sqlite", "postgresql"
_DATABASES = {
    "sqlite": _SQLITE,
    "sqlite+pysqlite": _SQLITE,
    "postgres": _POSTGRESQL,
    "postgresql": _POSTGRESQL,
    "postgresql+psycopg": _POSTGRESQL,
}
"""By the beginnings of their URLs."""


class _Special(Protocol):
    """What each database does in a way of its own, as functions of a module."""

    def engine_on(self, url: URL) -> Engine:
        """Nothing is migrated. Raises ``InvalidSetting``, ``StorageFailed`` and ``StorageFull``."""

    def reading(self, engine: Engine) -> Engine: ...

    def alone(self, connection: Connection) -> AbstractContextManager[None]:
        """No other process migrates meanwhile, until the transaction ends. Raises ``InvalidSetting``."""

    def meaning(self, error: Any) -> GreffierError | None:
        """None where an error says nothing of the database: a row that must not be."""

    def collided(self, error: Any) -> bool: ...

    def unreached(self, error: Any) -> StorageFailed | None:
        """Where and why the database cannot be reached, for whoever starts the server; no password."""


def open_database(url: str) -> Engine:
    """An engine on the migrated database at ``url``; SQLite makes a new one where there is none.

    Raises ``InvalidSetting`` when it cannot be used and ``StorageFull`` when there is no room to make it.
    """
    engine = None
    try:
        engine = _engine(url)
        with writing(engine).begin() as connection, _special(engine.dialect.name).alone(connection):
            migrate(connection)
            change_nothing(connection)
    except (DBAPIError, GreffierError) as error:
        if engine is not None:
            engine.dispose()
        raise _refusal(error) from error
    return engine


def reach_database(url: str) -> None:
    """Raises ``InvalidSetting`` where the database at ``url`` does not let this server in. Nothing is migrated."""
    existing_database(url).dispose()


def existing_database(url: str) -> Engine:
    """An engine on the database at ``url`` as it is, for reading. Raises ``InvalidSetting`` where it lets nobody in."""
    engine = _engine(url)
    try:
        engine.connect().close()
    except DBAPIError as error:
        engine.dispose()
        raise _refusal(error) from error
    return engine


def address(url: str) -> str:
    """What may be shown of ``url``: no user, no password. Raises ``InvalidSetting``."""
    whole = _parsed(url)
    return URL.create(whole.drivername, host=whole.host, port=whole.port, database=whole.database).render_as_string()


def writing(engine: Engine) -> Engine:
    """The same engine for transactions that write: in SQLite they take their place in line when they begin."""
    return engine.execution_options(writes=True)


def reading(engine: Engine) -> Engine:
    """The same engine for transactions that read: each sees one state of the database."""
    return _special(engine.dialect.name).reading(engine)


def change_nothing(connection: Connection) -> None:
    """A write that is refused where one that changes something would be, but for room."""
    connection.execute(tables.unfinished.delete().where(false()))


def insert_new(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with its key is there; whether it was inserted."""
    inserted = _insert(connection, table).values(values).on_conflict_do_nothing()
    return connection.execute(inserted, execution_options={"preserve_rowcount": True}).rowcount > 0


def put(connection: Connection, table: Table, values: dict[str, Any]) -> None:
    """Insert a row, in place of the one with its key."""
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in values.items() if name not in keys}
    inserted = _insert(connection, table).values(values)
    connection.execute(inserted.on_conflict_do_update(index_elements=keys, set_=rest))


def failure(error: Exception) -> Exception:
    """What an error of the database means to a caller, without the text it was about; others stay as they are."""
    cause, special = _cause(error)
    if isinstance(cause, UnicodeError):
        return InvalidInput("a text holds half a character (a lone surrogate), which cannot be kept: leave it out")
    return (special and special.meaning(cause)) or error


def collided(error: Exception) -> bool:
    """Whether two transactions stood in each other's way: this one was undone and may be tried again."""
    cause, special = _cause(error)
    return special is not None and special.collided(cause)


def _engine(url: str) -> Engine:
    parsed = _parsed(url)
    return _special(_DATABASES[parsed.drivername]).engine_on(parsed)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # which may quote a part of a password
        example = "sqlite:////var/lib/greffier.db or postgresql://user:password@host/greffier"
        raise InvalidSetting(f"{VARIABLE} is no database URL: give one like {example}") from None
    if parsed.drivername not in _DATABASES:
        raise InvalidSetting(f"{VARIABLE} names {parsed.drivername}, but meetings are kept in SQLite or PostgreSQL")
    return parsed


def _special(database: str) -> _Special:
    """Drivers are loaded by those alone who use them."""
    if database == _SQLITE:
        from pipeline.store import sqlite

        return sqlite
    from pipeline.store import postgresql

    return postgresql


def _insert(connection: Connection, table: Table) -> of_sqlite.Insert | of_postgresql.Insert:
    return of_sqlite.insert(table) if connection.dialect.name == _SQLITE else of_postgresql.insert(table)


def _cause(error: Exception) -> tuple[BaseException, _Special | None]:
    """The driver's own error where it is one, and whose."""
    cause = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    if isinstance(cause, sqlite3.Error):
        return cause, _special(_SQLITE)
    return cause, _special(_POSTGRESQL) if hasattr(cause, "sqlstate") else None


def _refusal(error: Exception) -> GreffierError:
    """``error`` as whoever starts the server is told of it."""
    cause, special = _cause(error)
    meaning = (special and special.unreached(cause)) or failure(error)
    return meaning if isinstance(meaning, StorageFull | InvalidSetting) else InvalidSetting(str(meaning))
