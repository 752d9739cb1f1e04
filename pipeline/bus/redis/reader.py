"""What comes on streams, for a whole process over one connection."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream; names and values of its fields are bytes."""

    id: str
    fields: dict[bytes, bytes]


Take = Callable[[Sequence[Entry]], None]
Stop = Callable[[], Awaitable[None]]


class StreamReader:
    """One blocking XREAD over all streams that are followed."""

    async def follow(self, key: str, after: str, take: Take) -> Stop:
        """``take`` gets what comes to ``key`` after the id ``after`` ("0": everything, "$": from now on), in order,
        until the given-back ``stop`` is awaited. It returns at once."""
        raise NotImplementedError
