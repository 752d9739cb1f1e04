from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from pipeline.store import migrations
from pipeline.store.database import open_database
from pipeline.store.tables import metadata


def test_migrations_make_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/greffier.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_a_database_that_is_up_to_date_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "greffier.db"
    open_database(f"sqlite:///{path}").dispose()
    before = path.read_bytes()
    open_database(f"sqlite:///{path}").dispose()
    assert path.read_bytes() == before


def test_an_installed_wheel_holds_every_migration() -> None:
    folder = Path(migrations.__file__).parent
    assert (folder / "versions" / "__init__.py").exists(), "setuptools takes packages only"
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {".py", ".pyc"}
