"""One process's way to Redis: connections, a clock that all share, and word of losses."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import ResponseError

from pipeline.bus.redis import keys
from pipeline.bus.redis.clock import SharedClock
from pipeline.bus.redis.failures import as_bus_failed
from pipeline.bus.redis.line import Answer, Command, Line, Word
from pipeline.bus.redis.pump import Pump
from pipeline.bus.redis.reader import StreamReader
from pipeline.bus.redis.scripts import Script
from pipeline.bus.redis.sent_sound import SentSound
from pipeline.errors import BusFailed, InvalidSetting

_log = logging.getLogger("greffier.bus")

_OPEN_WITHIN = 5.0
_ANSWER_WITHIN = 2.0
_WRITE_WITHIN = 5.0
_BEAT = 0.5
_SOON, _LATE = 0.1, 1.0
_CLOCK_EVERY, _CLOCK_AT_LEAST = 10.0, 50.0
_QUICK = 0.02
_AUDIO_EVERY = 0.02
_ABOUT: tuple[Command, ...] = (("INFO", "server"),)


class RedisBus:
    """One per process. Whatever fails raises ``BusFailed``."""

    def __init__(self, pool: ConnectionPool, process: str) -> None:
        """See ``open``."""
        self.process = process
        self._pool = pool
        self._clock = SharedClock(time.monotonic)
        self._heart = Line(pool, _ANSWER_WITHIN, again=False)
        self._line = Line(pool, _ANSWER_WITHIN)
        self.reader = StreamReader(pool, self._line, keys.of_process(process) + ":wake")
        self.captions = Pump(Line(pool, _WRITE_WITHIN), pause=0.0)
        """Writes what is published in this process."""
        self.audio = Pump(Line(pool, _WRITE_WITHIN, self._greet), pause=_AUDIO_EVERY)
        """Writes what is heard in this process, every 20 ms."""
        self.sent = SentSound()
        self.content = ""
        """A word for what Redis holds: another one after a restart, and when it has been emptied."""
        self._acts: list[Callable[[], Awaitable[None]]] = []
        self._back = asyncio.Event()
        self._answered = float("-inf")
        self._clock_due = float("-inf")
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, url: str, process: str) -> "RedisBus":
        """Raises ``InvalidSetting`` for a URL that is none, ``BusFailed`` when it cannot be reached within 5 s."""
        try:
            pool = ConnectionPool.from_url(
                url,
                protocol=2,
                socket_timeout=None,  # each line has its own
                socket_connect_timeout=_ANSWER_WITHIN,
                retry=Retry(NoBackoff(), 0),
                client_name=process,
                encoding_errors="replace",
                driver_info=None,
            )
        except ValueError:
            raise InvalidSetting(
                "GREFFIER_REDIS_URL is no URL of a Redis: give one such as redis://redis:6379/0"
            ) from None
        bus = cls(pool, process)
        try:
            await bus._begin()
        except BaseException:
            await bus.close()
            raise
        return bus

    def wall(self) -> float:
        """Redis's time in seconds since 1970: the clocks of machines do not matter."""
        return self._clock.wall()

    @property
    def reachable(self) -> bool:
        """Whether Redis answered within the last 2 s."""
        return time.monotonic() - self._answered < 2.0

    def on_return(self, act: Callable[[], Awaitable[None]]) -> Callable[[], None]:
        """``act`` is called once each time Redis is back after a loss, with its content or without, and when it has
        been emptied. Gives back how to cancel that."""
        self._acts.append(act)

        def cancel() -> None:
            with suppress(ValueError):
                self._acts.remove(act)

        return cancel

    async def ping(self) -> None:
        """Raises ``BusFailed``."""
        await self.call("PING")

    async def call(self, *command: Word) -> Any:
        """Raises ``BusFailed``, also for a command that Redis refuses."""
        return (await self.ask([command]))[0]

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The answer of each. Raises ``BusFailed``, also where Redis refuses one: others may be done."""
        answers = await self._line.ask(commands)
        with as_bus_failed():
            for answer in answers:
                if isinstance(answer, ResponseError):
                    raise answer
        return answers

    async def run(self, script: Script, names: Sequence[str], arguments: Sequence[Word]) -> Any:
        """What the script gives back. Raises ``BusFailed``."""
        return await self.call("EVALSHA", script.sha, len(names), *names, *arguments)

    async def close(self) -> None:
        """In order: whatever waits is written (2 s at most), then nothing more is read, nor asked."""
        await asyncio.gather(self.captions.close(), self.audio.close())
        await self.reader.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._line.close()
        await self._heart.close()
        await self._pool.disconnect()

    # --- whether Redis is there, what it holds, what time it is ------------------------------------------------

    async def _begin(self) -> None:
        until = time.monotonic() + _OPEN_WITHIN
        while True:
            try:
                await self._beat(lost=True)
                break
            except BusFailed:
                if time.monotonic() + _LATE > until:
                    raise
                await asyncio.sleep(_SOON)
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._act())]

    async def _watch(self) -> None:
        lost, pause, before = False, _SOON, self.content
        while True:
            await asyncio.sleep(pause if lost else _BEAT)
            try:
                await self._beat(lost=lost)
            except BusFailed as failure:
                if not lost:
                    _log.warning("redis.lost", extra={"error": str(failure)})
                lost, pause = True, min(pause * 2, _LATE) if lost else _SOON
                continue
            if lost or self.content != before:
                _log.warning("redis.back", extra={"kept": self.content == before})
                self._back.set()
            lost, before = False, self.content

    async def _beat(self, *, lost: bool) -> None:
        """Raises ``BusFailed``."""
        await self._learn(self._told, whole=lost)
        if self._clock_due <= time.monotonic():
            await self._look_at_clock()
        self._answered = time.monotonic()

    async def _learn(self, ask: Callable[[Sequence[Command]], Awaitable[list[Any]]], *, whole: bool) -> None:
        """What Redis holds; whether it was started again, too, where that is the ``whole`` question."""
        run, _, life = self.content.partition("/")
        [found, *about] = await ask([("SET", keys.LIFE, uuid.uuid4().hex, "NX", "GET"), *_ABOUT[:whole]])
        if about and (named := re.search(rb"run_id:(\w+)", about[0])):
            run = named[1].decode()
        if found is None:  # it was empty, and holds our word now
            [found] = await ask([("GET", keys.LIFE)])
        word = (found or b"").decode()
        if life and word != life:
            self.reader.start_again()
        self.content = f"{run}/{word}"

    async def _greet(self, line: Line) -> None:
        """Sound that is kept goes first where Redis holds something else than before."""
        before = self.content
        await self._learn(line.exchange, whole=True)
        if self.content != before:
            raise ConnectionLost("Redis was restarted: what was to be written is not all")

    async def _look_at_clock(self) -> None:
        """The quickest of three answers is the truest; while all are slow the clock goes on as it is, for a minute."""
        tries = []
        for _ in range(3):
            asked = time.monotonic()
            [(seconds, micros)] = await self._told([("TIME",)])
            answered = time.monotonic()
            tries.append((answered - asked, asked, answered, int(seconds) + int(micros) / 1e6))
        took, asked, answered, told = min(tries)
        if took < _QUICK or answered - self._clock_due > _CLOCK_AT_LEAST:
            self._clock.learn(asked, answered, told)
            self._clock_due = answered + _CLOCK_EVERY

    async def _told(self, commands: Sequence[Command]) -> list[Any]:
        answers: list[Answer] = await self._heart.ask(commands)
        with as_bus_failed():
            for answer in answers:
                if isinstance(answer, ResponseError):
                    raise answer
        return answers

    async def _act(self) -> None:
        """Losses that come while the acts of one before are under way are one more."""
        while True:
            await self._back.wait()
            self._back.clear()
            for done in await asyncio.gather(*(act() for act in tuple(self._acts)), return_exceptions=True):
                if isinstance(done, BusFailed):
                    continue  # it is lost again, and will be back again
                if isinstance(done, Exception):
                    _log.error("return.failed", exc_info=done)
