"""The native part of LiveKit's SDK at the end of the process.

Its threads call into Python. Who calls while the interpreter ends is unwound by it, which Rust answers with ``abort``:
a process whose work was done well then ends with a failure (livekit 1.2.1, CPython 3.11; one in thirty on a busy
machine). The SDK ends its part when the process exits, but does not wait for calls that are on their way.
"""

import atexit
import time
from functools import cache

_LAST_CALLS = 0.3
"""Seconds in which calls that are on their way return."""


@cache
def outlive() -> None:
    """Registers a pause at the end of the process, once. Called before the SDK is used: what is registered first runs
    last, after the SDK's own end."""
    atexit.register(time.sleep, _LAST_CALLS)
