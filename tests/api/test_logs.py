"""Logs are events with fields, one JSON object a line where a program reads them."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass

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


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_only_what_is_amiss_is_said(written: io.StringIO) -> None:
    terminal = Terminal()
    set_up_logs(terminal)
    logging.getLogger("greffier.api").info("request.served")
    logging.getLogger("greffier.store").warning("store.recovered")
    assert terminal.getvalue() == "greffier: store.recovered\n"
    assert written.getvalue() == ""
    assert sys.stderr is not terminal
