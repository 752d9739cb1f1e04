"""The sound of one meeting from a gateway to whoever captions it."""

from collections.abc import AsyncIterator

from pipeline.bus.redis.connection import RedisBus
from pipeline.domain import MeetingId, Participant, ParticipantId, TrackEvent, TrackId


class AudioOutlet:
    """An ``AudioBus`` for sending. Nothing in it waits for Redis, but ``close`` and ``ended``.

    Every event of a track is kept until the owner of the meeting needs it no more, and sent again when Redis comes
    back. Drop rule: of a track at most 60 s of sound are kept; the oldest frame goes, from here and from Redis, and the
    owner marks the hole.
    """

    def __init__(self, bus: RedisBus, meeting: MeetingId, gateway: str = "") -> None:
        """``gateway``: the name of the process, where it is not that of ``bus``."""

    async def send(self, event: TrackEvent) -> None:
        raise NotImplementedError

    def receive(self) -> AsyncIterator[TrackEvent]:
        """Raises ``RuntimeError``: it is for sending."""
        raise NotImplementedError

    def heard(self, now: float) -> None:
        """This gateway lives and has taken all sound until ``now``, meeting time; call it every 0.5 s."""
        raise NotImplementedError

    def set_person(self, participant: Participant, languages: tuple[str, ...] = ()) -> None:
        """Somebody is there by this gateway, or is called otherwise now."""
        raise NotImplementedError

    def drop_person(self, participant: ParticipantId) -> None:
        raise NotImplementedError

    async def ended(self, track: TrackId) -> None:
        """Returns once nothing of a closed track is needed any more, or the outlet is closed."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing more is sent; what waits is written (2 s at most), what is kept is forgotten."""
        raise NotImplementedError
