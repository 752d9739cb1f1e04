"""LiveKit's SDK in this process: its end, and what it may log.

At the end, its threads call into Python. Who calls while the interpreter ends is unwound by it, which Rust answers with
``abort``: a process whose work was done well then ends with a failure (livekit 1.2.1, CPython 3.11; one in thirty on a
busy machine). The SDK ends its part when the process exits, but does not wait for calls that are on their way.

Where the SDK fails in what it was told, it logs all of that, names and texts of people included.
"""

import atexit
import logging
import time
from functools import cache

_LAST_CALLS = 0.3
"""Seconds in which calls that are on their way return."""


@cache
def outlive() -> None:
    """Registers a pause at the end of the process, once. Called before the SDK is used: what is registered first runs
    last, after the SDK's own end."""
    atexit.register(time.sleep, _LAST_CALLS)
    logging.getLogger().addFilter(_without_what_was_told)  # of the SDK's own root logger: records of others pass by


def _without_what_was_told(record: logging.LogRecord) -> bool:
    """``error running user callback for %s: %s`` (livekit 1.2.1, ``rtc/room.py``) says which event it was, no more."""
    if str(record.msg).startswith("error running user callback for") and isinstance(record.args, tuple):
        record.msg, record.args = "error running user callback for %s", record.args[:1]
    return True
