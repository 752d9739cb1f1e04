"""``greffier keys`` makes keys that work, shows none of them again, and removes them."""

from pathlib import Path

import pytest

from api.cli import main
from api.keys import id_of, matches
from pipeline.access import Scope
from pipeline.store.sql import SqlStore


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GREFFIER_HOME", str(tmp_path))
    return tmp_path


def test_a_key_is_printed_once_and_kept_as_a_digest(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "add", " Our\nsite ", "--scope", "meetings", "read"]) == 0
    text = capsys.readouterr().out.strip()
    assert id_of(text)
    assert text.encode() not in (home / "greffier.db").read_bytes()
    assert main(["keys", "list"]) == 0
    line = capsys.readouterr().out
    assert text not in line
    assert line.split()[0] == id_of(text)
    assert f"...{text[-4:]}" in line
    assert line.rstrip().endswith("meetings,read  Our site")


async def test_it_is_the_key_that_a_server_knows(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    await asyncio.to_thread(main, ["keys", "add", "x", "--scope", "admin"])
    text = capsys.readouterr().out.strip()
    store = SqlStore.open(f"sqlite:///{home / 'greffier.db'}")
    (key,) = await store.keys()
    await store.close()
    assert matches(key, text)
    assert key.scopes == {Scope.ADMIN}


def test_a_removed_key_is_gone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["keys", "add", "x", "--scope", "read"])
    key = id_of(capsys.readouterr().out.strip())
    assert main(["keys", "remove", str(key)]) == 0
    assert main(["keys", "list"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["keys", "remove", str(key)]) == 66
    assert "there is no key" in capsys.readouterr().err


def test_a_key_needs_a_name_and_a_scope(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "add", "\n", "--scope", "read"]) == 64
    assert "the name of a key" in capsys.readouterr().err
    for wrong in (["keys", "add", "x"], ["keys", "add", "x", "--scope", "all"], ["keys"]):
        with pytest.raises(SystemExit) as refused:
            main(wrong)
        assert refused.value.code == 2
