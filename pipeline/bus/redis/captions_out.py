"""The events of one meeting from its owner to all readers of all processes."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from pipeline.bus.redis.connection import RedisBus
from pipeline.domain import MeetingId
from pipeline.export.event import Event, Reading


class PublishedFeed:
    """An ``EventFeed`` of the holder of the meeting's lease, whose events reach Redis in the order of their numbers.

    They are written by one script that looks at the lease: where it is another's, or another has written since,
    nothing is written and ``superseded`` is set. While nobody holds the lease nothing is written either; what waits is
    written once ``holder`` holds it again.
    """

    superseded: asyncio.Event
    restored: bool
    """Whether Redis held the history of the meeting, and the numbers go on without a hole."""

    @classmethod
    async def open(
        cls,
        bus: RedisBus,
        meeting: MeetingId,
        holder: str,
        reserved_first: int,
        observe: Callable[[Event], None] | None = None,
    ) -> "PublishedFeed":
        """For whoever holds the lease. Raises ``BusFailed``."""
        raise NotImplementedError

    @property
    def newest(self) -> int:
        raise NotImplementedError

    @property
    def readers(self) -> int:
        raise NotImplementedError

    def publish(self, event: Event, key: str | None = None) -> int:
        raise NotImplementedError

    def read(self, after: int | None, *, present: bool = True) -> AsyncGenerator[list[Reading], None]:
        raise NotImplementedError

    def history(self, after: int | None = None) -> list[Reading]:
        raise NotImplementedError

    def close(self) -> None:
        """The meeting is over: readers here end. What waits is still written; mirrors end by the event ``ended``."""
        raise NotImplementedError

    async def flush(self) -> None:
        """Returns once everything published is in Redis, or ``superseded`` is set."""
        raise NotImplementedError

    async def republish(self) -> None:
        """The whole history again, with its numbers: Redis has been emptied, and ``holder`` has its lease again."""
        raise NotImplementedError

    async def close_pump(self) -> None:
        """Nothing more is written."""
        raise NotImplementedError
