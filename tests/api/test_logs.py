"""Logs are events with fields, one JSON object a line where a program reads them."""

import ast
import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.logs import set_up_logs


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    ours = logging.getLogger("greffier")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    stream = io.StringIO()
    set_up_logs(stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)


@dataclass
class Totals:
    windows: int = 3


ROOT = Path(__file__).resolve().parents[2]
PRIVATE = {"text", "words", "word", "caption", "name", "title", "speaker", "token", "key", "secret", "url", "uri"}
SOURCES = [path for room in ("api", "pipeline", "models", "media_gateway") for path in (ROOT / room).rglob("*.py")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def seen(terminal: Terminal) -> list[str]:
    """Its lines, without their colours."""
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()]


def test_an_event_is_one_line_with_its_fields(written: io.StringIO) -> None:
    logging.getLogger("greffier.session").info("session.closed", extra={"totals": Totals(), "odd": object})
    line = json.loads(written.getvalue())
    assert (line["event"], line["level"], line["logger"]) == ("session.closed", "info", "greffier.session")
    assert line["totals"] == {"windows": 3}
    assert line["time"].endswith("+00:00")


def test_a_trace_is_in_its_line(written: io.StringIO) -> None:
    try:
        raise RuntimeError("oops")
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    assert "RuntimeError: oops" in json.loads(written.getvalue())["trace"]


def test_addresses_with_tokens_are_not_logged(written: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "x", "/captions.ws?token=secret")
    assert written.getvalue() == ""


def test_what_others_say_in_passing_is_left_out(written: io.StringIO) -> None:
    logging.getLogger("aioice.ice").info("Connection state")
    assert written.getvalue() == ""


ROOT = Path(__file__).resolve().parents[2]
PRIVATE = {"text", "words", "word", "caption", "name", "title", "speaker", "token", "key", "secret", "url", "uri"}
SOURCES = [path for room in ("api", "pipeline", "models", "media_gateway") for path in (ROOT / room).rglob("*.py")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_no_field_holds_what_was_said_or_who_said_it() -> None:
    for path in SOURCES:
        for call in ast.walk(ast.parse(path.read_text())):
            match call:
                case ast.keyword(arg="extra", value=ast.Dict(keys=keys)):
                    assert not PRIVATE & {getattr(key, "value", None) for key in keys}, f"{path}, line {call.lineno}"


def test_a_distributed_process_says_which_it_is_in_every_line(written: io.StringIO) -> None:
    set_up_logs(written, role="worker", process="worker-1a2b3c4d")
    logging.getLogger("greffier.worker").info("meeting.taken", extra={"meeting": "m1"})
    logging.getLogger("dramatiq.worker.WorkerThread").error("of another package")
    for line in map(json.loads, written.getvalue().splitlines()):
        assert (line["role"], line["process"]) == ("worker", "worker-1a2b3c4d")


def test_on_a_terminal_only_what_is_amiss_is_said(written: io.StringIO) -> None:
    terminal = Terminal()
    set_up_logs(terminal)
    logging.getLogger("greffier.api").info("request.served")
    logging.getLogger("greffier.store").warning("store.recovered", extra={"meetings": 3})
    said = seen(terminal)
    assert len(said) == 1
    assert re.fullmatch(r"\d\d:\d\d:\d\d \[warning +\] store\.recovered +\[greffier\.store\] meetings=3", said[0])
    assert written.getvalue() == ""
    assert sys.stderr is not terminal


def test_the_terminal_of_a_distributed_process_says_what_happens(written: io.StringIO) -> None:
    terminal = Terminal()
    set_up_logs(terminal, role="worker", process="worker-1a2b3c4d")
    logging.getLogger("greffier.worker").info("meeting.taken")
    assert "meeting.taken" in seen(terminal)[0]
    assert written.getvalue() == ""


def test_a_trace_on_a_terminal_shows_no_values(written: io.StringIO) -> None:
    """They may hold what was spoken."""
    terminal = Terminal()
    set_up_logs(terminal)
    spoken = "".join(("a quiet", " word"))
    try:
        raise RuntimeError(str(len(spoken)))
    except RuntimeError:
        logging.getLogger("greffier.api").exception("request.failed")
    assert "RuntimeError: 12" in terminal.getvalue()
    assert spoken not in terminal.getvalue()
    assert written.getvalue() == ""
