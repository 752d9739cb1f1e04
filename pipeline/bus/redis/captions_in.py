"""The events of one meeting in processes that do not caption it."""

from collections.abc import AsyncGenerator

from pipeline.bus.redis.connection import RedisBus
from pipeline.domain import MeetingId, ParticipantId
from pipeline.export.event import Event, Reading


class MirroredFeed:
    """An ``EventFeed`` with the numbers of the owner's."""

    title: str
    paused: bool
    ended: bool
    people: dict[ParticipantId, tuple[str, bool]]
    """Name, and whether they are there."""

    @classmethod
    async def open(cls, bus: RedisBus, meeting: MeetingId) -> "MirroredFeed":
        """With what Redis holds of it, which may be nothing yet. Raises ``BusFailed``."""
        raise NotImplementedError

    @property
    def newest(self) -> int:
        raise NotImplementedError

    @property
    def readers(self) -> int:
        raise NotImplementedError

    def publish(self, event: Event, key: str | None = None) -> int:
        """Raises ``RuntimeError``: a mirror only shows."""
        raise NotImplementedError

    def read(self, after: int | None, *, present: bool = True) -> AsyncGenerator[list[Reading], None]:
        raise NotImplementedError

    def history(self, after: int | None = None) -> list[Reading]:
        raise NotImplementedError

    def close(self) -> None:
        """Readers end; nothing more is taken. Happens by itself when the meeting has ended."""
        raise NotImplementedError

    async def stop(self) -> None:
        """``close``, and the stream is followed no longer."""
        raise NotImplementedError


async def tell_unowned(bus: RedisBus, meeting: MeetingId, event: Event, newest_known: int) -> bool:
    """Gives readers ``event`` while nobody captions the meeting; False, and nothing told, when somebody does.

    ``newest_known``: the newest number that the caller's mirror has.
    """
    raise NotImplementedError
