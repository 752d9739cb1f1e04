"""Which processes there are, and what they say of themselves."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from pipeline.bus.redis import keys
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.reader import Stop
from pipeline.errors import BusFailed

_EVERY = 1.0
_GONE_MS = 3000
_FORGOTTEN = 60.0


class Registry:
    """A process that has said nothing for 3 s is gone."""

    @staticmethod
    async def announce(bus: RedisBus, facts: Callable[[], Mapping[str, object]]) -> Stop:
        """Says every second that ``bus.process`` is there, with what ``facts`` gives; ``stop`` says that it is gone.

        One ``asyncio.Task``, until ``stop``. While Redis is away nothing is said.
        """

        async def say() -> None:
            text, now = json.dumps(dict(facts()), ensure_ascii=False), bus.wall()
            await bus.ask(
                [
                    ("SET", keys.of_process(bus.process), text, "PX", _GONE_MS),
                    ("ZADD", keys.PROCESSES, now, bus.process),
                    ("ZREMRANGEBYSCORE", keys.PROCESSES, "-inf", now - _FORGOTTEN),
                ]
            )

        async def say_on() -> None:
            while True:
                with suppress(BusFailed):
                    await say()
                await asyncio.sleep(_EVERY)

        with suppress(BusFailed):
            await say()
        saying = asyncio.create_task(say_on())

        async def stop() -> None:
            saying.cancel()
            await asyncio.wait([saying])
            with suppress(BusFailed):
                await bus.ask([("DEL", keys.of_process(bus.process)), ("ZREM", keys.PROCESSES, bus.process)])

        return stop

    @staticmethod
    async def alive(bus: RedisBus, processes: Iterable[str]) -> set[str]:
        """Those of ``processes`` that are there. Raises ``BusFailed``."""
        asked = list(processes)
        there = await bus.ask([("EXISTS", keys.of_process(process)) for process in asked])
        return {process for process, found in zip(asked, there, strict=True) if found}

    @staticmethod
    async def all(bus: RedisBus) -> list[dict[str, object]]:
        """What each process says of itself, with its ``process``, by name. Raises ``BusFailed``."""
        named = sorted(name.decode() for name in await bus.call("ZRANGE", keys.PROCESSES, 0, -1))
        said = await bus.ask([("GET", keys.of_process(process)) for process in named])
        there = zip(named, said, strict=True)
        return [json.loads(text) | {"process": process} for process, text in there if text is not None]
