"""The sound of one meeting, for whoever captions it."""

from collections.abc import AsyncIterator, Callable, Mapping

from pipeline.bus.redis.connection import RedisBus
from pipeline.domain import MeetingId, Track, TrackEvent, TrackId


class AudioInbox:
    """An ``AudioBus`` for receiving; one receiver."""

    heard: dict[str, float]
    """By gateway: the meeting time until which it has taken all sound."""
    gateway_of: dict[TrackId, str]
    """By which gateway a track comes."""
    on_people: Callable[[], None] | None
    """Called when who is there has changed (``People.load``)."""

    @classmethod
    async def open(cls, bus: RedisBus, meeting: MeetingId, holder: str) -> "AudioInbox":
        """``holder`` of the meeting's lease. Raises ``BusFailed``."""
        raise NotImplementedError

    async def tracks(self) -> dict[TrackId, tuple[Track, float, str]]:
        """The tracks that are open, or of which sound is still needed: each with when it opened and its gateway."""
        raise NotImplementedError

    async def send(self, event: TrackEvent) -> None:
        """An event of this process's own, behind those that have come."""
        raise NotImplementedError

    def receive(self) -> AsyncIterator[TrackEvent]:
        """First what the stream still holds, then what comes; ends after ``close``."""
        raise NotImplementedError

    async def report(self, needed: Mapping[TrackId, float]) -> bool:
        """Nothing of each track before its moment is needed; ``inf``: nothing at all, and the track is over.

        False, and nothing reported, where the lease is not ``holder``'s. Raises ``BusFailed``.
        """
        raise NotImplementedError

    async def lose(self, track: TrackId, at_end: float) -> None:
        """The gateway of ``track`` has died: its sound is lost from where it was last ``heard`` to ``at_end``, and the
        track is closed. Should it send again after all, the track is open again."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing more comes; what is in the stream now can still be received, then ``receive`` ends."""
        raise NotImplementedError
