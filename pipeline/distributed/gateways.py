"""The gateways that feed one meeting: who is there by which, and what is lost when one of them dies."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.bus.redis.audio_in import AudioInbox
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.people import People
from pipeline.bus.redis.registry import Registry
from pipeline.domain import AudioLost, Participant, ParticipantId, TrackClosed, TrackId
from pipeline.running import RunningMeeting
from pipeline.running.telling import participant_of

_SILENT = 3.0
"""Seconds without a word after which a gateway may be dead."""
_MISSED = 1.5
"""Seconds for which it must be missed then: an emptied Redis knows nobody for a moment."""
_COMES_BACK = 10.0
"""Seconds in which whoever was cut off publishes again; who does not was heard by nobody until that was found out."""
_UNCLAIMED = 5.0
"""Seconds in which a gateway tells of the tracks that an earlier worker knew."""


@dataclass(frozen=True, slots=True)
class _Loss:
    """A track whose gateway died: nobody heard it from ``start`` on, which was found out at ``found``."""

    gateway: str
    track: TrackId
    start: float
    found: float


@dataclass(slots=True)
class Gateways:
    """``left`` are tracks of an earlier worker that no gateway has told of yet. Times are meeting time."""

    bus: RedisBus
    inbox: AudioInbox
    running: RunningMeeting
    left: set[TrackId]
    _begun: float = field(init=False)
    _people: dict[tuple[str, ParticipantId], tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    _missed: dict[str, float] = field(default_factory=dict)
    _dead: set[str] = field(default_factory=set)
    _losses: list[_Loss] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._begun = self.running.now()

    async def meet(self) -> None:
        """Takes in who is there now. Raises ``BusFailed``."""
        self._people = await People.load(self.bus, self.running.meeting.id)
        await self.running.people(
            {
                participant: (Participant(participant, name), languages)
                for (_, participant), (name, languages) in self._people.items()
            }
        )

    async def look(self) -> None:
        """To be called every second. Raises ``BusFailed``."""
        now = self.running.now()
        for gateway in await self._died(now):
            await self._close(gateway, now)
        for loss in tuple(self._losses):
            await self._settle(loss, now)
        if self.left and now - self._begun > _UNCLAIMED:
            for track in self.left - self.inbox.gateway_of.keys():
                await self.inbox.send(TrackClosed(track, now))
            self.left.clear()

    async def settle_all(self) -> None:
        """This worker looks no longer: what is lost ends here."""
        for loss in self._losses:
            await self.inbox.send(AudioLost(loss.track, loss.start, max(loss.found, self.running.now())))
        self._losses.clear()

    async def _died(self, now: float) -> list[str]:
        known = {gateway for gateway, _ in self._people} | set(self.inbox.gateway_of.values())
        silent = {gateway for gateway in known if now - self.inbox.heard.get(gateway, 0.0) > _SILENT}
        self._dead &= silent  # one that speaks again was not, and sends what it has kept
        self._losses = [loss for loss in self._losses if loss.gateway in self._dead]
        doubtful = silent - self._dead
        missed = doubtful - await Registry.alive(self.bus, doubtful) if doubtful else doubtful
        self._missed = {gateway: self._missed.get(gateway, now) for gateway in missed}
        return [gateway for gateway, since in self._missed.items() if now - since > _MISSED]

    async def _close(self, gateway: str, now: float) -> None:
        """What was said until it died becomes final."""
        self._dead.add(gateway)
        for track, (_, opened_at, fed_by) in (await self.inbox.tracks()).items():
            if fed_by == gateway:
                start = self.inbox.heard.get(gateway, opened_at)
                await self.inbox.lose(track, start)
                self._losses.append(_Loss(gateway, track, start, now))
        await People.forget_gateway(self.bus, self.running.meeting.id, gateway)
        await self.meet()

    async def _settle(self, loss: _Loss, now: float) -> None:
        """Nobody heard it until its participant published again, or until it was missed."""
        opened = [
            opened_at
            for track, (_, opened_at, _) in (await self.inbox.tracks()).items()
            if participant_of(track) == participant_of(loss.track) and opened_at > loss.start
        ]
        if opened or now - loss.found > _COMES_BACK:
            await self.inbox.send(AudioLost(loss.track, loss.start, _first(opened, loss.found)))
            self._losses.remove(loss)


def _first(moments: Iterable[float], otherwise: float) -> float:
    return min(moments, default=otherwise)
