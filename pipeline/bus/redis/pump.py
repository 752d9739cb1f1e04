"""Writes to Redis what many meetings of a process have to say, in one go for all of them."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from redis.exceptions import ResponseError

from pipeline.bus.redis.line import Answer, Command, Line
from pipeline.errors import BusFailed

_log = logging.getLogger("greffier.bus")

_SOON, _LATE = 0.1, 1.0
_CLOSE_WITHIN = 2.0
_AT_ONCE = 2000


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
    that goes on or within ``pause`` seconds goes together, some 2,000 commands at a time. After a failure it tries
    again, from 0.1 s to 1 s later."""

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
            if await self._write():
                wait = _SOON
            else:
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LATE)
            if not self._waiting:
                self._woken.clear()
                self._idle.set()
            if self._pause:
                await asyncio.sleep(self._pause)

    async def _write(self) -> bool:
        """What waits, as far as one go is to hold; False where Redis did not take all of it."""
        said: list[tuple[Outbox, Sequence[Command]]] = []
        commands: list[Command] = []
        while self._waiting and len(commands) < _AT_ONCE:
            outbox = next(iter(self._waiting))
            del self._waiting[outbox]
            said.append((outbox, self._asked(outbox)))
            commands += said[-1][1]
        try:
            answers = await self._line.ask(commands)
        except BusFailed:
            for outbox, _ in said:
                outbox.unanswered()
                self.wake(outbox)
            return False
        at, taken = 0, True
        for outbox, several in said:
            taken &= self._answered(outbox, answers[at : at + len(several)])
            at += len(several)
        return taken

    @staticmethod
    def _asked(outbox: Outbox) -> Sequence[Command]:
        try:
            return outbox.commands()
        except Exception:  # noqa: BLE001 - a fault in one meeting must not end the others
            _log.exception("outbox.failed")
            return ()

    def _answered(self, outbox: Outbox, answers: Sequence[Answer]) -> bool:
        refused = next((answer for answer in answers if isinstance(answer, ResponseError)), None)
        if refused is not None:  # it has no room, or is a copy that takes nothing
            _log.error("redis.refused", extra={"error": type(refused).__name__})
            outbox.unanswered()
            self.wake(outbox)
            return False
        try:
            if outbox.answered(answers):
                self.wake(outbox)
        except Exception:  # noqa: BLE001 - a fault in one meeting must not end the others
            _log.exception("outbox.failed")
        return True
