"""Writes to one database, in order, those that wait together in one transaction."""

import asyncio
import queue
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from pipeline.errors import StorageFailed, StorageFull
from pipeline.store.database import collided, failure, writing

Result = TypeVar("Result")
Write = Callable[[Connection], Any]

_MOST_WAITING = 1_000
_MOST_TOGETHER = 100
_FULL_PAUSE_S = 0.01
_TRIES = 5
_COLLISION_PAUSE_S = 0.1


@dataclass(slots=True)
class _Waiting:
    write: Write
    done: "Future[Any]"

    def settle(self, result: object, error: Exception | None) -> None:
        if error is None:
            self.done.set_result(result)
        else:
            self.done.set_exception(error)


@dataclass(slots=True)
class Writer:
    """Runs writes in a thread of its own: a commit waits for the disk, which the event loop must not do.

    What waits while one commit is on its way is committed together by the next (group commit), so that many writers
    share the wait for the disk. A call returns when its write is durable. At most ``_MOST_WAITING`` writes wait in
    the queue, further callers wait for room: nothing is dropped.
    """

    engine: Engine
    _queue: "queue.Queue[_Waiting | None]" = field(default_factory=lambda: queue.Queue(_MOST_WAITING))
    _thread: threading.Thread = field(init=False)
    closed: bool = False

    def __post_init__(self) -> None:
        self.engine = writing(self.engine)
        self._thread = threading.Thread(target=self._run, name="greffier-writer", daemon=True)
        self._thread.start()

    async def write(self, write: Callable[[Connection], Result]) -> Result:
        """What ``write`` returns, once it is committed; it may be run again after it was rolled back."""
        waiting = _Waiting(write, Future())
        while True:
            self.check()
            try:
                self._queue.put_nowait(waiting)
                break
            except queue.Full:
                await asyncio.sleep(_FULL_PAUSE_S)
        result: Result = await asyncio.wrap_future(waiting.done)
        return result

    def check(self) -> None:
        """Raises ``StorageFailed`` once it is closed."""
        if self.closed:
            raise StorageFailed("the database is closed")

    async def close(self) -> None:
        """Returns when everything that was waiting is committed."""
        if not self.closed:
            self.closed = True
            await asyncio.to_thread(self._queue.put, None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            together, last = self._all_waiting(first)
            self._commit([waiting for waiting in together if waiting.done.set_running_or_notify_cancel()])
            if last:
                return

    def _all_waiting(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """The writes to commit together, and whether the writer was closed behind them."""
        together = [first]
        while len(together) < _MOST_TOGETHER:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                break
            if waiting is None:
                return together, True
            together.append(waiting)
        return together, False

    def _commit(self, together: list[_Waiting], tries: int = _TRIES) -> None:
        """A group in which one write fails is rolled back, and its writes are made one by one.

        Not where the database itself fails: each would wait for it as long as the group did. A group that stood in the
        way of another process's is made again.
        """
        try:
            with self.engine.begin() as connection:
                results = [waiting.write(connection) for waiting in together]
        except Exception as error:  # noqa: BLE001 - it is handed to whoever waits for the write
            if tries > 1 and collided(error):
                time.sleep(random.uniform(0.0, _COLLISION_PAUSE_S))  # noqa: S311 - the other one's turn, or ours
                self._commit(together, tries - 1)
                return
            meaning = failure(error)
            out_of_order = isinstance(meaning, StorageFailed) and not isinstance(meaning, StorageFull)
            for waiting in together:
                if len(together) == 1 or out_of_order:
                    waiting.settle(None, meaning)
                else:
                    self._commit([waiting])
            return
        for waiting, result in zip(together, results, strict=True):
            waiting.settle(result, None)
