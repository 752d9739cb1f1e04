"""LiveKit's SDK in this process: its end, and what it may log.

At the end, its threads call into Python. Who calls while the interpreter ends is unwound by it, which Rust answers with
``abort``: a process whose work was done well then ends with a failure (livekit 1.2.1, CPython 3.11; one in thirty on a
busy machine). The SDK ends its part when the process exits, but does not wait for calls that are on their way.

Where the SDK fails in what it was told, it logs all of that, names and texts of people included; its native part logs
identities, and any text that participants put into broken packets, as often as they send one.

A connection on its way cannot be called back: cancelled, the SDK ends the process 15 s later (livekit/python-sdks,
issue 784).
"""

import asyncio
import atexit
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache

from livekit.rtc import log

_LAST_CALLS = 0.3
"""Seconds in which calls that are on their way return."""
_NATIVE = "%s:%s:%s - %s"
"""How the SDK logs what its native part says: target, line, module, text (livekit 1.2.1, ``rtc/_ffi_client.py``)."""
_SPARING = 10.0
"""Seconds between records of one line of native code."""

_ending: "set[asyncio.Task[None]]" = set()
"""Connections that nobody waits for any more, until the SDK has made or given up each."""


async def end_when_made(connecting: "asyncio.Task[None]", end: Callable[[], Awaitable[None]], patience: float) -> None:
    """Ends a connection once it is made, without being waited for after ``patience`` seconds; does nothing where it is
    not made after all."""

    async def ended() -> None:
        await asyncio.wait([connecting])
        if connecting.exception() is None:
            await end()

    ending = asyncio.create_task(ended())
    _ending.add(ending)
    ending.add_done_callback(_ending.discard)
    await asyncio.wait([ending], timeout=patience)


@cache
def outlive() -> None:
    """Registers a pause at the end of the process, once. Called before the SDK is used: what is registered first runs
    last, after the SDK's own end."""
    atexit.register(time.sleep, _LAST_CALLS)
    logging.root.addFilter(_without_what_was_told)  # of the SDK's own root logger: records of others pass by
    log.logger.addFilter(_Places().pass_on)


def _without_what_was_told(record: logging.LogRecord) -> bool:
    """``error running user callback for %s: %s`` (livekit 1.2.1, ``rtc/room.py``) says which event it was, no more."""
    if str(record.msg).startswith("error running user callback for") and isinstance(record.args, tuple):
        record.msg, record.args = "error running user callback for %s", record.args[:1]
    return True


@dataclass(slots=True)
class _Places:
    """Of what native code logs, where that stands in it, now and then; ``_said``: when, in steady seconds."""

    _said: dict[tuple[object, ...], float] = field(default_factory=dict)

    def pass_on(self, record: logging.LogRecord) -> bool:
        if record.msg != _NATIVE or not isinstance(record.args, tuple):
            return True
        place, now = record.args[:2], time.monotonic()
        if now - self._said.get(place, float("-inf")) < _SPARING:
            return False
        self._said[place] = now
        record.msg, record.args = "%s:%s", place
        return True
