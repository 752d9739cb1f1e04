"""Writes to Redis what many meetings of a process have to say, in one go for all of them."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from pipeline.bus.redis.line import Answer, Command, Line
from pipeline.errors import BusFailed

_log = logging.getLogger("greffier.bus")

_SOON, _LATE = 0.1, 1.0
_CLOSE_WITHIN = 2.0


class Outbox(Protocol):
    """What one meeting has to say. It holds it, within its own bounds, until it is answered."""

    def commands(self) -> Sequence[Command]:
        """What is to be written now; a part of it where it is much, and nothing where there is nothing."""

    def answered(self, answers: Sequence[Answer]) -> bool:
        """What Redis said to the last ``commands``; whether there is more to write."""

    def unanswered(self) -> None:
        """The last ``commands`` may be done or not: they are to be written again."""


class Pump:
    """One ``asyncio.Task`` and one connection per process: what ``wake`` named is written at once, what is named while
    that goes on or within ``pause`` seconds goes together. After a failure it tries again, from 0.1 s to 1 s later."""

    def __init__(self, line: Line, pause: float) -> None:
        self._line = line
        self._pause = pause
        self._waiting: dict[Outbox, None] = {}
        self._woken = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task = asyncio.create_task(self._run())

    def wake(self, outbox: Outbox) -> None:
        """It has something to write."""
        self._waiting[outbox] = None
        self._woken.set()
        self._idle.clear()

    def forget(self, outbox: Outbox) -> None:
        """Nothing more of it is written."""
        self._waiting.pop(outbox, None)

    async def close(self) -> None:
        """Once everything is written, or after 2 s."""
        try:
            async with asyncio.timeout(_CLOSE_WITHIN):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("pump.gave_up", extra={"outboxes": len(self._waiting)})
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._line.close()

    async def _run(self) -> None:
        wait = _SOON
        while True:
            await self._woken.wait()
            self._woken.clear()
            outboxes, self._waiting = tuple(self._waiting), {}
            if await self._write(outboxes):
                wait = _SOON
            else:
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LATE)
            if not self._waiting:
                self._idle.set()
            if self._pause:
                await asyncio.sleep(self._pause)

    async def _write(self, outboxes: Sequence[Outbox]) -> bool:
        said = [(outbox, outbox.commands()) for outbox in outboxes]
        commands = [command for _, several in said for command in several]
        try:
            answers = await self._line.ask(commands) if commands else []
        except BusFailed:
            for outbox in outboxes:
                outbox.unanswered()
                self.wake(outbox)
            return False
        at = 0
        for outbox, several in said:
            if outbox.answered(answers[at : at + len(several)]):
                self.wake(outbox)
            at += len(several)
        return True
