"""Logs of a process: lines for people on a terminal, else a JSON object each with its time, level, event and fields.

Modules log through the standard library, ``getLogger("greffier.x").info("noun.verb", extra={...})``; structlog writes
what comes of it, and what other packages log, in one form.
"""

import dataclasses
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger


def set_up_logs(stream: TextIO = sys.stderr, *, role: str | None = None, process: str | None = None) -> None:
    """Everything from ``INFO`` on as JSON lines; on a terminal, where a person reads, only what is amiss.

    ``role`` and ``process``, which a distributed process has, stand in each of its lines; its terminal says all, too.
    """
    terminal = stream.isatty()
    everywhere = {name: value for name, value in (("role", role), ("process", process)) if value is not None}
    writing = logging.StreamHandler(stream)
    writing.setFormatter(_formatter(everywhere, terminal=terminal))
    root = logging.getLogger()
    root.handlers[:] = [writing]
    root.setLevel(logging.WARNING)
    logging.getLogger("greffier").setLevel(logging.WARNING if terminal and role is None else logging.INFO)
    # At INFO it logs addresses with their queries, where tokens may stand.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_news)


def _formatter(everywhere: dict[str, str], *, terminal: bool) -> ProcessorFormatter:
    def shape(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
        record: logging.LogRecord = line.pop("_record")
        del line["_from_structlog"]
        line.pop("color_message", None)  # of uvicorn: the message once more
        at = datetime.fromtimestamp(record.created, UTC)
        time = f"{at.astimezone():%H:%M:%S}" if terminal else at.isoformat(timespec="milliseconds")
        first = {"time": time, **{name: line.pop(name) for name in ("level", "logger", "event")}}
        return {**first, **line, **everywhere}

    return ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),  # the fields
        ],
        processors=[shape, *(_for_people() if terminal else _for_programs())],
    )


def _for_people() -> list[Processor]:
    # With rich, which may be installed, it would show the variables of each frame, and what was spoken with them.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(timestamp_key="time", exception_formatter=plain)]


def _for_programs() -> list[Processor]:
    return [_trace, structlog.processors.JSONRenderer(ensure_ascii=False, default=_plain)]


def _trace(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    if raised := line.pop("exc_info", None):
        line["trace"] = logging.Formatter().formatException(raised)
    return line


def _is_news(record: logging.LogRecord) -> bool:
    """uvicorn 0.54 takes a WebSocket that was refused with an answer for one that was not answered."""
    return "returned without completing handshake" not in record.msg


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
