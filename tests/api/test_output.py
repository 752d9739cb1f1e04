"""Files appear whole or not at all; a full disk and a reader who went away are told apart."""

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from api import output
from api.output import check_writable, fetch_progress, opened, progress, writing, written
from pipeline.errors import InvalidInput, StorageFull


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


# --- files -------------------------------------------------------------------------------------------------


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with written(path) as file:
        file.write("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_could_not_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")

    def half() -> None:
        with written(path) as file:
            file.write("new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_growing_file_keeps_what_was_written_whatever_happens(tmp_path: Path) -> None:
    def grow() -> None:
        with opened(tmp_path / "out.jsonl") as file:
            file.write("line\n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        grow()
    assert (tmp_path / "out.jsonl").read_text() == "line\n"


def test_what_goes_wrong_elsewhere_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), opened(tmp_path / "out.jsonl"):
        raise PermissionError


@pytest.mark.parametrize("how", [opened, written])
def test_a_dash_is_standard_output(how: object, capsys: pytest.CaptureFixture[str]) -> None:
    with how(Path("-")) as file:  # type: ignore[operator]
        file.write("told")
    assert capsys.readouterr().out == "told"
    assert not sys.stdout.closed


@pytest.mark.parametrize("how", [opened, written])
def test_a_full_device_is_said_to_be_full(how: object) -> None:
    with pytest.raises(StorageFull, match="no room left to write /dev/full"), how(Path("/dev/full")) as file:  # type: ignore[operator]
        file.write("x")
    assert Path("/dev/full").exists()


@pytest.mark.parametrize("how", [opened, written])
def test_a_file_that_cannot_be_made_is_named(how: object, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "out.json"
    with pytest.raises(InvalidInput, match=r"missing/out\.json cannot be written: No such file"), how(path):  # type: ignore[operator]
        pass


def test_a_disk_that_fills_up_leaves_no_part_behind(tmp_path: Path) -> None:
    def fill() -> None:
        with written(tmp_path / "out.json"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageFull, match=r"out\.json"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_reader_who_went_away_is_no_error_of_the_file() -> None:
    with pytest.raises(BrokenPipeError), writing(Path("-")):
        raise BrokenPipeError


def test_what_could_not_be_written_in_the_end_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(Path("-"))
    check_writable(tmp_path / "new.json")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InvalidInput, match="is a folder"):
        check_writable(tmp_path)
    with pytest.raises(InvalidInput, match="there is no folder"):
        check_writable(tmp_path / "missing" / "out.json")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InvalidInput, match="permission denied"):
        check_writable(tmp_path / "new.json")


# --- progress ----------------------------------------------------------------------------------------------


def test_a_terminal_shows_a_bar_that_is_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    for share in (0.0, 0.5, 1.2):
        progress("meeting.mp4", share)
    first, second, third = screen.getvalue().split("\r\x1b[K")[1:]
    assert first == f"meeting.mp4 [{'.' * 30}]   0%"
    assert second == f"meeting.mp4 [{'#' * 15}{'.' * 15}]  50%"
    assert third == f"meeting.mp4 [{'#' * 30}] 100%\n"


def test_elsewhere_each_thing_is_named_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "_told", set())
    for done in (0, 0, 50, 100):
        fetch_progress("wheel", done, 100)
    fetch_progress("calibration", 0, 0)
    assert capsys.readouterr().err == "greffier: wheel\ngreffier: calibration\n"
