"""One connection to Redis that many share: what they ask at one time goes in one go."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

from pipeline.bus.redis.failures import AWAY, as_bus_failed
from pipeline.bus.redis.scripts import SCRIPTS
from pipeline.errors import BusFailed

_log = logging.getLogger("greffier.bus")

Word = bytes | str | int | float
Command = tuple[Word, ...]
Answer = object
"""Bytes, a number, None, a list of answers, or the ``ResponseError`` of a command that Redis refused."""

_WAITING = 20_000


@dataclass(slots=True)
class _Question:
    commands: Sequence[Command]
    answered: "asyncio.Future[list[Answer]]"


class Line:
    """Connects when it is asked, and again after a failure. One ``asyncio.Task``, until ``close``.

    A connection that was lost is made again once, so commands must bear to be done twice. A failure fails whatever was
    asked in that go: it may have been done all the same. More than 20,000 questions that wait fail at once.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        timeout: float,
        greet: "Callable[[Line], Awaitable[None]] | None" = None,
        *,
        again: bool = True,
    ) -> None:
        """``timeout`` of one go in seconds; ``greet`` may use ``exchange`` at each new connection before others do.

        Where ``again`` is False a lost connection is a failure.
        """
        self._pool = pool
        self._timeout = timeout
        self._greet = greet
        self._again = again
        self._connection: AbstractConnection | None = None
        self._waiting: list[_Question] = []
        self._woken = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def ask(self, commands: Sequence[Command]) -> list[Answer]:
        """The answer of each. Raises ``BusFailed``."""
        if not commands:
            return []
        if len(self._waiting) >= _WAITING or self._task.done():
            raise BusFailed("Redis (GREFFIER_REDIS_URL) is asked more than it answers, or no more")
        question = _Question(commands, asyncio.get_running_loop().create_future())
        self._waiting.append(question)
        self._woken.set()
        return await question.answered

    async def close(self) -> None:
        """What was not answered fails."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._drop()
        self._fail(self._waiting)

    async def exchange(self, commands: Sequence[Command]) -> list[Answer]:
        """At once, past those who wait; raises what redis-py does. Scripts that Redis does not know are loaded."""
        if self._connection is None:
            self._connection = self._pool.make_connection()  # type: ignore[no-untyped-call] # redis-py has no types
            await self._connection.connect()
            if self._greet is not None:
                await self._greet(self)
        answers = await self._say(self._connection, commands)
        unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            await self._say(self._connection, [("SCRIPT", "LOAD", script.text) for script in SCRIPTS])
            again = await self._say(self._connection, [commands[index] for index in unknown])
            for index, answer in zip(unknown, again, strict=True):
                answers[index] = answer
        return answers

    @staticmethod
    async def _say(connection: AbstractConnection, commands: Sequence[Command]) -> list[Answer]:
        await connection.send_packed_command(connection.pack_commands(commands))
        answers: list[Answer] = []
        for _ in commands:
            try:
                answers.append(await connection.read_response())
            except ResponseError as refused:
                answers.append(refused)
        return answers

    async def _run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            questions, self._waiting = self._waiting, []
            try:
                await self._answer(questions)
            except BusFailed as failure:
                await self._drop()
                self._fail(questions, failure)
            except Exception:  # noqa: BLE001 - a command that cannot be said must not silence the others
                _log.exception("line.failed")
                await self._drop()
                self._fail(questions, BusFailed("Redis was asked something that cannot be said"))
            except BaseException:  # cancelled: nobody else will tell them
                self._fail(questions)
                raise

    async def _answer(self, questions: list[_Question]) -> None:
        commands = [each for question in questions for each in question.commands]
        with as_bus_failed():
            async with asyncio.timeout(self._timeout):
                answers = await self._exchanged(commands)
        if any(isinstance(answer, ReadOnlyError) for answer in answers):
            await self._drop()  # it is a copy now: by its name we may find the one that is not
        at = 0
        for question in questions:
            if not question.answered.done():
                question.answered.set_result(answers[at : at + len(question.commands)])
            at += len(question.commands)

    async def _exchanged(self, commands: Sequence[Command]) -> list[Answer]:
        """Redis closes connections when it restarts: that is seen only now, and may be over."""
        again = self._again and self._connection is not None
        try:
            return await self.exchange(commands)
        except ConnectionLost:
            if not again:
                raise
        await self._drop()
        return await self.exchange(commands)

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*AWAY):
                await connection.disconnect(nowait=True)

    @staticmethod
    def _fail(questions: list[_Question], failure: BusFailed | None = None) -> None:
        for question in questions:
            if not question.answered.done():
                question.answered.set_exception(failure or BusFailed("Redis is not asked any more: we are closing"))
