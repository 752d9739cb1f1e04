"""Brings a database to the tables of this Greffier: Alembic's revisions, run without a command line.

A revision is one file in ``versions/``; it is never changed once released.
"""

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from pipeline.errors import InvalidSetting


def migrate(connection: Connection, newest: str = "head") -> None:
    """Run what is missing up to ``newest``, in the transaction of ``connection``.

    Raises ``InvalidSetting`` for a newer database.
    """
    config = Config()
    config.set_main_option("script_location", "pipeline.store:migrations")
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    found = set(MigrationContext.configure(connection).get_current_heads())
    if found - known:
        raise InvalidSetting(
            "GREFFIER_DATABASE_URL names a database that a newer Greffier made: install that one or name another"
        )
    with EnvironmentContext(
        config, scripts, fn=lambda revision, _context: scripts._upgrade_revs(newest, revision)
    ) as environment:
        # SQLite's DDL is transactional as long as the driver begins no transactions by itself (database.py).
        environment.configure(connection=connection, transactional_ddl=True)
        with environment.begin_transaction():
            environment.run_migrations()
