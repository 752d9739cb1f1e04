"""What comes on streams, for a whole process over one connection."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool

from pipeline.bus.redis.failures import AWAY
from pipeline.bus.redis.line import Line
from pipeline.errors import BusFailed

_log = logging.getLogger("greffier.bus")

_BLOCK_MS = 1000
_PATIENCE = 2.0
_COUNT = 512
_SOON, _LATE = 0.1, 1.0
_FEW = 50
_REST = 0.01


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream; names and values of its fields are bytes."""

    id: str
    fields: dict[bytes, bytes]


Take = Callable[[Sequence[Entry]], None]
Stop = Callable[[], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Followed:
    key: bytes
    after: bytes
    take: Take


class StreamReader:
    """One blocking XREAD over all streams that are followed, in one ``asyncio.Task``.

    A stream of its own (``wake``) ends the wait when the set changes. With more than 50 streams it rests 10 ms between
    two reads, since each names all of them. After a loss it goes on where it was. Entries are held by nobody here:
    ``take`` puts them where they belong, and must not wait.
    """

    def __init__(self, pool: ConnectionPool, line: Line, wake: str) -> None:
        self._pool = pool
        self._line = line
        self._wake = wake.encode()
        self._followed: dict[bytes, list[_Followed]] = {}
        self._woken_after = b"0"
        self._some = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def follow(self, key: str, after: str, take: Take) -> Stop:
        """``take`` gets what comes to ``key`` after the id ``after`` ("0": everything, "$": from now on), in order,
        until the given-back ``stop`` is awaited. Raises ``BusFailed``."""
        if after == "$":
            last: Any = (await self._line.ask([("XREVRANGE", key, "+", "-", "COUNT", 1)]))[0]
            after = last[0][0].decode() if isinstance(last, list) and last else "0"
        followed = _Followed(key.encode(), after.encode(), take)
        self._followed.setdefault(followed.key, []).append(followed)
        self._some.set()
        try:
            await self._end_wait()
        except BusFailed:
            self._forget(followed)
            raise

        async def stop() -> None:
            self._forget(followed)

        return stop

    def start_again(self) -> None:
        """Redis has been emptied: whatever it holds now is new, whatever its ids."""
        self._woken_after = b"0"
        for followed in self._each():
            followed.after = b"0"

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    def _each(self) -> list[_Followed]:
        return [each for several in self._followed.values() for each in several]

    def _forget(self, followed: _Followed) -> None:
        several = self._followed.get(followed.key, [])
        if followed in several:
            several.remove(followed)
        if not several:
            self._followed.pop(followed.key, None)

    async def _end_wait(self) -> None:
        await self._line.ask([("XADD", self._wake, "MAXLEN", 1, "*", "w", ""), ("EXPIRE", self._wake, 3600)])

    async def _run(self) -> None:
        pause = _SOON
        while True:
            await self._some.wait()
            connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call] # redis-py has no types
            try:
                await connection.connect()  # type: ignore[no-untyped-call] # redis-py has no types
                while True:
                    await self._read(connection)
                    pause = _SOON
                    if len(self._followed) > _FEW:
                        await asyncio.sleep(_REST)
            except AWAY as failure:
                _log.warning("reader.lost", extra={"error": type(failure).__name__})
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LATE)
            finally:
                with suppress(*AWAY):
                    await connection.disconnect(nowait=True)

    async def _read(self, connection: AbstractConnection) -> None:
        """Two who follow one stream from different places are read from the earlier one; each gets only its own."""
        afters = {key: min((each.after for each in several), key=_order) for key, several in self._followed.items()}
        command = ("XREAD", "COUNT", _COUNT, "BLOCK", _BLOCK_MS, "STREAMS", self._wake, *afters)
        await connection.send_command(*command, self._woken_after, *afters.values())
        answer: Any = await connection.read_response(timeout=_BLOCK_MS / 1000 + _PATIENCE)
        for key, entries in answer or ():
            if key == self._wake:
                self._woken_after = entries[-1][0]
                continue
            read = [Entry(name.decode(), dict(zip(pairs[::2], pairs[1::2], strict=True))) for name, pairs in entries]
            for followed in tuple(self._followed.get(key, ())):
                self._give(followed, read, afters[key])

    @staticmethod
    def _give(followed: _Followed, read: list[Entry], after: bytes) -> None:
        behind = _order(followed.after)
        if followed.after != after:
            read = [entry for entry in read if _order(entry.id.encode()) > behind]
        if not read:
            return
        followed.after = read[-1].id.encode()
        try:
            followed.take(read)
        except Exception:  # noqa: BLE001 - one who fails must not end the others
            _log.exception("reader.failed")


def _order(name: bytes) -> tuple[int, int]:
    first, _, second = name.partition(b"-")
    return int(first), int(second or 0)
