"""A tap that follows a script: what it sends is given beforehand. For tests and load."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from pipeline.domain import TrackEvent


class ScriptedTap:
    """An ``AudioSource`` of the given events; raises ``failure``, where one is given, after the last."""

    def __init__(self, script: Iterable[TrackEvent], failure: Exception | None = None) -> None:
        self._script = script
        self._failure = failure

    async def events(self) -> AsyncIterator[TrackEvent]:
        for event in self._script:
            yield event
            await asyncio.sleep(0)
        if self._failure is not None:
            raise self._failure
