"""What is special to PostgreSQL: how long it may take, how writers keep out of each other's way, what errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.engine import ExceptionContext

from pipeline.errors import GreffierError, InvalidInput, InvalidSetting, StorageFailed
from pipeline.store.meanings import CONNECTIONS, VARIABLE, no_room, unusable

Answer = TypeVar("Answer")

_CONNECT_S = 3
_PING_S = 2.0
_ANSWER_S = 6.0
"""What a server may take to let us in, to say that it is there, and to do what it is told; then it is given up.

The captions of a meeting wait for its first write that fails: 5 to 6 s where the server hangs, as for a locked SQLite.
"""
_LOCK_MS = 4_500
_STATEMENT_MS = 5_000
"""What a statement may wait for others, and take in all; then the server ends it."""
_IDLE_MS = 2_500
"""After which the server takes its locks from a process that stands still in the middle of a transaction."""
_MIGRATION_S = 600.0
_MIGRATING = 7_165_905_911
"""The key of the lock that migrations take; locks of this kind are known within one database only."""

_CONNECTION = {
    "connect_timeout": _CONNECT_S,
    "application_name": "greffier",
    "client_encoding": "utf8",
    "prepare_threshold": None,  # tables may change, and a pooler hands a connection on to others
    "tcp_user_timeout": _STATEMENT_MS,  # milliseconds in which a network that is gone is noticed
}
_GONE = {"25006", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04"}
"""A connection to a server that stops, or that became a copy of another, is of no use any more."""
_COLLISIONS = {"40001", "40P01"}
_REASONS = {
    "08": "it does not answer",
    "25006": "it may only be read",
    "28": "it does not let this user in",
    "3D": "there is no database of this name",
    "42501": "its user lacks rights there",
    "53300": "it takes no more connections",
    "55P03": "another program keeps it locked",
    "57014": "it did not answer in time",
    "57P": "it is starting or stopping",
    "58": "its disk fails",
    "XX": "it is damaged",
}


class _Connection(psycopg.Connection[Any]):
    """Gives up a server that says nothing for ``patience`` seconds: one that hangs ends no statement by itself."""

    patience = _PING_S

    def wait(self, gen: PQGen[Answer], interval: float = 0.1, timeout: float | None = None) -> Answer:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if error.sqlstate is None:  # not the server's words: it went away, or said nothing in time
                self.close()
            raise


def engine_on(url: URL) -> Engine:
    """Nothing is asked of the server yet. Raises ``InvalidSetting``."""
    if not url.database:
        raise InvalidSetting(f"{VARIABLE} names no database: give one like postgresql://user:password@host/greffier")
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_pre_ping=True,  # after a restart of the server, the next call finds it
        isolation_level="READ COMMITTED",  # who waited for a lock sees what the other one wrote
        use_native_hstore=False,
        connect_args={name: value for name, value in _CONNECTION.items() if name not in url.query},
        hide_parameters=True,  # errors name statements, not what was said
    )
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    event.listen(engine, "checkin", _on_checkin)
    event.listen(engine, "handle_error", _on_error)
    return engine


def reading(engine: Engine) -> Engine:
    """The same engine for transactions that read: each sees one state of the database."""
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """No other process migrates meanwhile, until the transaction ends, which may take its time.

    Raises ``InvalidSetting`` for a database that cannot keep every letter.
    """
    _be_patient(connection, _MIGRATION_S)
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        connection.execute(text(f"SET LOCAL {name} = {int(_MIGRATION_S * 1000)}"))
    encoding = connection.execute(select(func.current_setting("server_encoding"))).scalar_one()
    if encoding != "UTF8":
        raise InvalidSetting(f"{VARIABLE} names a database in {encoding}: make one in UTF8")
    connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
    yield


def meaning(error: psycopg.Error) -> GreffierError | None:
    """None where an error says nothing of the database: a row that must not be."""
    state = error.sqlstate
    if isinstance(error, psycopg.IntegrityError):
        return None
    if state is None and isinstance(error, psycopg.DataError):
        return InvalidInput("a text holds the character NUL, which cannot be kept: leave it out")
    if state == "53100":
        return no_room()
    if state is None:
        return unusable("it does not answer")
    known = (_REASONS.get(state[:length]) for length in (5, 3, 2))
    return unusable(next((reason for reason in known if reason), f"error {state}"))


def unreached(error: psycopg.Error) -> StorageFailed | None:
    """What the driver says of a server that it could not connect to: where it is and who was to be let in, no password.

    None where the server itself said something.
    """
    if error.sqlstate is not None:
        return None
    return unusable(str(error).partition("\n")[0].removeprefix("connection failed: "))


def collided(error: psycopg.Error) -> bool:
    """Whether two transactions stood in each other's way: this one was undone and may be tried again."""
    return error.sqlstate in _COLLISIONS


def _connect(_dialect: object, _record: object, arguments: Any, named: Any) -> _Connection:
    return _Connection.connect(*arguments, **named)


def _on_connect(connection: psycopg.Connection[Any], _record: object) -> None:
    times = {
        "statement_timeout": _STATEMENT_MS,
        "lock_timeout": _LOCK_MS,
        "idle_in_transaction_session_timeout": _IDLE_MS,
    }
    for name, milliseconds in times.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, str(milliseconds)))
    # A commit is on the disk when it returns, whatever the server, the database and the user are set to.
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.commit()


def _on_begin(connection: Connection) -> None:
    _be_patient(connection, _ANSWER_S)


def _be_patient(connection: Connection, seconds: float) -> None:
    driver: Any = connection.connection.driver_connection
    driver.patience = seconds


def _on_checkin(connection: _Connection | None, _record: object) -> None:
    if connection is not None:  # else it was given up
        connection.patience = _PING_S


def _on_error(context: ExceptionContext) -> None:
    if getattr(context.original_exception, "sqlstate", None) in _GONE:
        context.is_disconnect = True
