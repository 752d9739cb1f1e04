"""Logs of a server: a sentence on a terminal, else one JSON object a line with its time, level, event and fields."""

import dataclasses
import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
"""What every record carries; the rest are fields of its event."""


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=_plain)


def set_up_logs(stream: TextIO = sys.stderr) -> None:
    """Everything from ``INFO`` on as JSON lines; on a terminal, where a person reads, only what is amiss."""
    terminal = stream.isatty()
    writing = logging.StreamHandler(stream)
    writing.setFormatter(logging.Formatter("greffier: %(message)s") if terminal else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [writing]
    root.setLevel(logging.WARNING)
    logging.getLogger("greffier").setLevel(logging.WARNING if terminal else logging.INFO)
    # At INFO it logs addresses with their queries, where tokens may stand.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """uvicorn 0.54 takes a WebSocket that was refused with an answer for one that was not answered."""
    return "returned without completing handshake" not in record.msg


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
