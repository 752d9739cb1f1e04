"""A real PostgreSQL on this machine, in a cluster of its own, that may be stopped, paused and started at its port."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psutil
import psycopg
import pytest

from pipeline.store.tables import metadata
from tests.server_process import WAIT, ServerProcess, started

USER, PASSWORD = "greffier", "the p@ss/word: of tests"
_IN_URLS = "the%20p%40ss%2Fword%3A%20of%20tests"
_NUMBERS = count(1)


def _binaries() -> Path:
    """Debian keeps them in a folder by version; without them a laptop skips and CI fails."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if not found and (elsewhere := shutil.which("postgres")):
        found = [Path(elsewhere)]
    if not found:
        if os.environ.get("CI"):
            pytest.fail("there is no PostgreSQL: CI needs Debian's postgresql, which .ci/services installs")
        pytest.skip("PostgreSQL is not on this machine: make services installs it")
    return max(found, key=lambda path: path.parts[-3].rjust(3)).parent


@dataclass(slots=True)
class PostgreSql(ServerProcess):
    """Keeps a cluster in ``folder``, which belongs to ``_owner``."""

    binaries: Path

    def url(self, database: str, password: str = _IN_URLS, user: str = USER) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        """As its owner, who may do everything, beside what is tested; each statement for itself."""
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=int(WAIT))

    def new_database(self, options: str = "") -> str:
        """The name of an empty one that is used by nobody else."""
        name = f"greffier_{next(_NUMBERS)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} {options}".encode())
        return name

    def drop(self, database: str) -> None:
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)".encode())

    def empty(self, database: str) -> None:
        """Cuts off whoever is connected, and deletes every row of Greffier's tables."""
        with self.connect(database) as connection:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}".encode())
            for table in reversed(metadata.sorted_tables):
                connection.execute(f"DELETE FROM {table.name}".encode())

    def stop(self) -> None:
        """As for an upgrade: those connected are cut off, and everything is in order."""
        self.end(signal.SIGINT)

    def kill(self) -> None:
        """As when its machine fails, but that its disk keeps everything that was on its way there."""
        self.end(signal.SIGQUIT)

    def pause(self) -> None:
        """It takes connections and says nothing until ``resume``, neither to those who are connected."""
        for process in self._processes():
            process.suspend()

    def resume(self) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        assert self.running is not None
        server = psutil.Process(self.running.pid)
        return [server, *server.children(recursive=True)]

    def _make(self) -> None:
        (self.folder / "password").write_text(PASSWORD)
        shutil.chown(self.folder / "password", *_owner())
        (self.folder / "password").chmod(0o400)
        made = subprocess.run(
            [
                *(*_as_owner(), self.binaries / "initdb", "--no-sync", "--no-instructions", "--encoding=UTF8"),
                *("--locale=C.UTF-8", f"--username={USER}", f"--pwfile={self.folder / 'password'}"),
                *("--auth=scram-sha-256", f"--pgdata={self.folder / 'cluster'}"),
            ],
            cwd=self.folder,
            capture_output=True,
            check=False,
            timeout=WAIT,
        )
        assert made.returncode == 0, made.stderr.decode()

    def command(self) -> list[str | Path]:
        if not (self.folder / "cluster").exists():
            self._make()
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",  # no test fails the disk
            "lc_messages": "C",
            "max_connections": "60",
            "shared_buffers": "32MB",
        }
        given = (f"--{name}={value}" for name, value in options.items())
        return [*_as_owner(), self.binaries / "postgres", "-D", self.folder / "cluster", *given]

    def answers(self) -> bool:
        with suppress(psycopg.OperationalError), self.connect():
            return True
        return False


@contextmanager
def running_postgresql() -> Iterator[PostgreSql]:
    """A server of its own, started, and gone in the end with all it kept."""
    binaries = _binaries()
    with tempfile.TemporaryDirectory(prefix="greffier-postgresql-") as folder:  # pytest's folders let only us in
        shutil.chown(folder, *_owner())
        with started(PostgreSql(Path(folder), binaries)) as server:
            yield server


def _owner() -> tuple[str | int, str | int]:
    """PostgreSQL refuses to be run by root, and Debian's package has a user for it."""
    return ("postgres", "postgres") if os.geteuid() == 0 else (os.geteuid(), os.getegid())


def _as_owner() -> tuple[str, ...]:
    user, group = _owner()
    return ("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups") if os.geteuid() == 0 else ()
