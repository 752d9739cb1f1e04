"""A worker: takes meetings that are offered, as many as it has room for, and hands them over when it ends.

How a process is made of it (``greffier worker --queues live``)::

    bus = await RedisBus.open(url, f"worker-{token}")
    offers = Offers(broker_at(url))
    worker = LiveWorker(bus, offers, equipment, talkers, empty_after=600.0, observe=metrics.watch)
    await worker.start()                     # takes offers from now on
    ...
    await worker.close()                     # SIGTERM: hands everything over; then offers.close(), bus.close()

``equipment`` is as in embedded mode; what of it belongs to one process alone (``new_bus``, ``new_feed``,
``new_keeper``, ``wall``) is replaced where a meeting is taken.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.leases import RedisLeases, holder_of
from pipeline.bus.redis.registry import Registry
from pipeline.bus.redis.wanted import offer_waits
from pipeline.distributed.housekeeping import Housekeeping
from pipeline.distributed.offers import Offers, Verdict, put_back_for
from pipeline.distributed.owned import Outcome, OwnedMeeting
from pipeline.distributed.taking import Taking
from pipeline.domain import MeetingId
from pipeline.errors import BusFailed
from pipeline.export.event import Event
from pipeline.running import Equipment

_log = logging.getLogger("greffier.worker")

_NOT_AGAIN = 30.0
"""Seconds for which a worker leaves to others a meeting that did not work here."""
_MOVES_EVERY = 300.0
"""Seconds in which a meeting moves once for want of words: music that is taken for speech has none anywhere."""
_AT_ONCE = 8
_TAKEN_WITHIN = 1.0
_COMING_WITHIN = 3.0
_LOOK = 0.02
_OFFER_LASTS = 2.0
"""Seconds beyond its delay for which an offer that was put back is counted on."""


@dataclass(slots=True)
class LiveWorker:
    """``talkers_possible`` is how many may talk at once; ``observe`` makes a watch for the events of one more meeting;
    ``elsewhere`` counts those who talk in none of its meetings and have the same recogniser.

    ``failovers`` counts meetings taken that another session had captioned before, ``watchdog_resets`` tracks that had
    speech without words and began anew, ``moved`` meetings that went to another worker for it, ``superseded`` those
    that another worker had taken meanwhile.
    """

    bus: RedisBus
    offers: Offers
    equipment: Equipment
    talkers_possible: int
    empty_after: float = 600.0
    observe: Callable[[], Callable[[Event], None]] | None = None
    elsewhere: Callable[[], int] = lambda: 0
    draining: bool = False
    failovers: int = 0
    watchdog_resets: int = 0
    moved: int = 0
    superseded: int = 0
    _taking: Taking = field(init=False)
    _owned: dict[MeetingId, OwnedMeeting] = field(default_factory=dict)
    _running: dict[MeetingId, "asyncio.Task[None]"] = field(default_factory=dict)
    _coming: set[MeetingId] = field(default_factory=set)
    _not_before: dict[MeetingId, float] = field(default_factory=dict)
    _housekeeping: "asyncio.Task[None] | None" = None

    def __post_init__(self) -> None:
        self._taking = Taking(
            self.bus, self.equipment, self.observe, self.empty_after, self._may_move, self._count_reset
        )

    async def start(self) -> None:
        """Takes offers from now on."""
        self.offers.serve(self._consider, lambda: self.load)
        housekeeping = Housekeeping(self.bus, self.equipment.store, self.empty_after, self._end_left)
        self._housekeeping = asyncio.create_task(housekeeping.run())

    async def close(self) -> None:
        """No more offers are taken; every meeting is handed over, all at once. Again, it does nothing."""
        self.draining = True
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            await asyncio.wait([self._housekeeping])
        await self.offers.pause()  # meetings go on meanwhile; what is offered from now on is taken by others
        places, takers = asyncio.Semaphore(_AT_ONCE), asyncio.Event()
        takers.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(_COMING_WITHIN):
                while self._coming:  # noqa: ASYNC110 - a database may be slow
                    await asyncio.sleep(_LOOK)
        await asyncio.gather(*(self._hand_over(owned, places, takers) for owned in self._owned.values()))

    # --- how it is --------------------------------------------------------------------------------------------

    @property
    def meetings_held(self) -> int:
        return len(self._owned)

    @property
    def talkers_held(self) -> int:
        """Those who speak now, at least one for each meeting in which somebody spoke within a minute."""
        return len(self._coming) + sum(owned.talkers for owned in self._owned.values()) + self.elsewhere()

    @property
    def load(self) -> float:
        """Talkers held over talkers possible: what an autoscaler follows."""
        return self.talkers_held / self.talkers_possible

    @property
    def lag(self) -> float:
        """Seconds for which the speech that has waited longest has been waiting for recognition."""
        return max((owned.lag for owned in self._owned.values()), default=0.0)

    def owned(self, meeting: MeetingId) -> OwnedMeeting | None:
        """The meeting where this worker captions it."""
        return self._owned.get(meeting)

    # --- what comes -------------------------------------------------------------------------------------------

    async def _consider(self, meeting: MeetingId) -> Verdict:
        """Raises ``BusFailed``, ``StorageFailed``."""
        if meeting in self._owned or meeting in self._coming:
            return Verdict.DROPPED
        if not self._has_room_for(meeting):
            await offer_waits(self.bus, meeting, put_back_for(self.load) + _OFFER_LASTS)
            return Verdict.FULL
        owned = await self._take(meeting)
        return Verdict.DROPPED if owned is None else Verdict.TAKEN

    def _has_room_for(self, meeting: MeetingId) -> bool:
        left_alone = self._not_before.get(meeting, 0.0) > _steady()
        return not self.draining and not left_alone and self.talkers_held < self.talkers_possible

    async def _take(self, meeting: MeetingId) -> OwnedMeeting | None:
        self._coming.add(meeting)
        try:
            owned = await self._taking.take(meeting)
        finally:
            self._coming.discard(meeting)
        if owned is not None:
            self.failovers += owned.taken_over
            self._owned[meeting] = owned
            self._running[meeting] = asyncio.create_task(self._own(owned))
            _log.info("meeting.taken", extra={"meeting": meeting, "taken_over": owned.taken_over})
        return owned

    async def _own(self, owned: OwnedMeeting) -> None:
        outcome = await owned.run()
        del self._owned[owned.id], self._running[owned.id]
        self.superseded += outcome is Outcome.SUPERSEDED
        if outcome in {Outcome.WORDLESS, Outcome.BROKEN}:
            self._leave_alone(owned.id)
        if outcome.goes_on and not owned.ended:
            await self._offer(owned.id)

    async def _offer(self, meeting: MeetingId) -> None:
        """At once: gateways would see it a moment later."""
        try:
            await offer_waits(self.bus, meeting, _OFFER_LASTS)
            await self.offers.send(meeting)
        except BusFailed:
            _log.warning("meeting.unoffered", extra={"meeting": meeting})

    async def _hand_over(self, owned: OwnedMeeting, places: asyncio.Semaphore, takers: asyncio.Event) -> None:
        """No more at once than others take at once: each is captioned here until its turn comes.

        Nobody waits any more once one was not taken: then there is nobody with room.
        """
        async with places:
            running = self._running.get(owned.id)
            owned.leave(Outcome.HANDED_OVER)
            if running is not None:
                await asyncio.wait([running])
            if owned.ended or not takers.is_set():
                return
            try:
                async with asyncio.timeout(_TAKEN_WITHIN):
                    while await holder_of(self.bus, owned.id) is None:  # noqa: ASYNC110 - a lease tells nobody
                        await asyncio.sleep(_LOOK)
            except (TimeoutError, BusFailed):
                takers.clear()

    def _leave_alone(self, meeting: MeetingId) -> None:
        now = _steady()
        self._not_before = {name: until for name, until in self._not_before.items() if until > now}
        self._not_before[meeting] = now + _NOT_AGAIN

    # --- what its meetings ask --------------------------------------------------------------------------------

    async def _may_move(self, meeting: MeetingId) -> bool:
        """Whether somebody else has room, and the meeting has not moved lately. Raises ``BusFailed``."""
        others = [
            each
            for each in await Registry.all(self.bus)
            if each.get("role") == "worker" and "talkers_possible" in each and each["process"] != self.bus.process
        ]
        if not any(isinstance(load := each.get("load"), int | float) and load < 1.0 for each in others):
            return False
        once = RedisLeases(self.bus, secrets.token_hex(8))
        if not await once.acquire(f"moved:{meeting}", _MOVES_EVERY):
            return False
        self.moved += 1
        return True

    def _count_reset(self) -> None:
        self.watchdog_resets += 1

    async def _end_left(self, meeting: MeetingId) -> None:
        """Nobody wants it any more and nobody captions it: what is unfinished becomes final, and it ends."""
        if meeting not in self._owned and meeting not in self._coming:
            owned = await self._take(meeting)
            if owned is not None:
                owned.wishes.take({"do": "end"})


def _steady() -> float:
    return asyncio.get_running_loop().time()
