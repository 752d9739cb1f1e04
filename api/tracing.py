"""Opens the traces of a process, where the settings ask for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from api.settings import Settings
from api.variables import TRACES
from pipeline.errors import InvalidSetting

if TYPE_CHECKING:
    from api.telemetry import Traces


@asynccontextmanager
async def tracing(settings: Settings, role: str, process: str | None = None) -> AsyncIterator["Traces | None"]:
    """None where no traces are asked for. What waits is sent when it closes.

    Raises ``InvalidSetting`` where they are, and OpenTelemetry is not installed.
    """
    if settings.traces is None:
        yield None
        return
    try:
        from api.telemetry import Traces
    except ImportError as error:
        raise InvalidSetting(
            f"{TRACES.name} is set, but OpenTelemetry is not there: uv pip install -c constraints.txt -e '.[traces]'"
        ) from error
    traces = Traces(settings.traces, role, process)
    try:
        yield traces
    finally:
        await traces.close()
