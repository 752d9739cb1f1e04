"""One meeting that this worker captions, from the moment it was taken until it is let go of."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pipeline.bus.redis.audio_in import AudioInbox
from pipeline.bus.redis.captions_out import PublishedFeed
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.reader import Stop
from pipeline.bus.redis.wanted import expire_meeting, wanted
from pipeline.distributed.gateways import Gateways
from pipeline.distributed.held_lease import HeldLease
from pipeline.distributed.watchdog import Watchdog
from pipeline.distributed.wishes import Wishes
from pipeline.domain import MeetingId, TrackId
from pipeline.errors import GreffierError, NotFound
from pipeline.ports import KeptMeetings
from pipeline.running import RunningMeeting

_log = logging.getLogger("greffier.owned")

_BEAT = 0.5
_LOOK = 1.0
_LOOKS = 2
"""How often gateways and engine are looked at for each look whether somebody wants the meeting."""
_PEOPLE = 5.0
_FLUSH = 2.0
_SPOKE = 60.0
_DAY, _WEEK = 86_400.0, 7 * 86_400


class Outcome(Enum):
    """Why a worker captions a meeting no longer."""

    ENDED = "ended"
    DELETED = "deleted"
    HANDED_OVER = "handed_over"
    WORDLESS = "wordless"
    """There was speech and no words: another worker is to try."""
    BROKEN = "broken"
    SUPERSEDED = "superseded"
    CUT_OFF = "cut_off"
    """Redis was away for so long that nobody can say whose it is."""

    @property
    def goes_on(self) -> bool:
        """Whether the meeting is to be offered again."""
        return self in {Outcome.HANDED_OVER, Outcome.WORDLESS, Outcome.BROKEN}


@dataclass(slots=True, eq=False)
class OwnedMeeting:
    """Made by ``taking.take``. ``taken_over``: another session had captioned it before.

    ``may_move`` is asked, once there were no words for 20 s, whether another worker is to try; ``on_reset`` is told of
    each track that begins anew. ``unfollow`` ends the wishes.
    """

    bus: RedisBus
    store: KeptMeetings
    running: RunningMeeting
    feed: PublishedFeed
    inbox: AudioInbox
    lease: HeldLease
    wishes: Wishes
    unfollow: Stop
    gateways: Gateways
    taken_over: bool
    empty_after: float
    may_move: Callable[[MeetingId], Awaitable[bool]]
    on_reset: Callable[[], None]
    _decided: "asyncio.Future[Outcome]" = field(init=False)
    _people_changed: asyncio.Event = field(default_factory=asyncio.Event)
    _watchdog: Watchdog = field(default_factory=Watchdog)
    _reported: dict[TrackId, float] = field(default_factory=dict)
    _spoke_at: float = field(init=False)
    _wanted_at: float = field(init=False)
    _renewed_at: float = float("-inf")

    def __post_init__(self) -> None:
        self._decided = asyncio.get_running_loop().create_future()
        self._spoke_at = self._wanted_at = self._steady()
        self.inbox.on_people = self._people_changed.set

    @property
    def id(self) -> MeetingId:
        return self.running.meeting.id

    @property
    def ended(self) -> bool:
        """Whether the meeting takes no more sound, wherever it is."""
        return self.running.meeting.ended_at is not None

    @property
    def talkers(self) -> int:
        """Who speaks now, at least one while somebody has spoken within a minute."""
        if self.running.over:
            return 0
        recent = self._steady() - self._spoke_at < _SPOKE
        return max(self.running.session.core.talking, int(recent))

    @property
    def lag(self) -> float:
        """Seconds for which the speech that has waited longest has been waiting for recognition."""
        return self.running.session.core.behind(self.running.now())

    def leave(self, outcome: Outcome) -> None:
        """Another worker is to go on, or nobody; ``run`` says so soon."""
        if not self._decided.done():
            self._decided.set_result(outcome)

    async def run(self) -> Outcome:
        back = self.bus.on_return(self._go_on)
        try:
            outcome = await self._kept_up()
        except ExceptionGroup as failures:
            _log.exception("owned.failed", extra={"meeting": self.id, "errors": len(failures.exceptions)})
            outcome = Outcome.BROKEN
        finally:
            back()
            await self.unfollow()
        await self._let_go(outcome)
        return outcome

    async def _kept_up(self) -> Outcome:
        async with asyncio.TaskGroup() as group:
            keeping_up = [
                group.create_task(work)
                for work in (self._hold(), self._watch_fence(), self._beat(), self._look(), self._meet(), self._obey())
            ]
            outcome = await self._decided
            for task in keeping_up:
                task.cancel()
        return outcome

    # --- what goes on meanwhile -------------------------------------------------------------------------------

    async def _hold(self) -> None:
        await self.lease.run()
        self.leave(Outcome.CUT_OFF if self.lease.away else Outcome.SUPERSEDED)

    async def _watch_fence(self) -> None:
        """The script that writes captions, and the store, say when the meeting is another's."""
        waiting = [asyncio.create_task(event.wait()) for event in (self.feed.superseded, self.running.superseded)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            self.leave(Outcome.SUPERSEDED)
        finally:
            for task in waiting:
                task.cancel()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT)
            if self.running.session.core.talking:
                self._spoke_at = self._steady()
            if self.running.broken:
                self.leave(Outcome.BROKEN)
            await self._attempt(self._report())
            if self.running.over and self.running.finished:
                self.leave(Outcome.ENDED)

    async def _report(self) -> None:
        """How far the sound is no longer needed: gateways keep what comes after."""
        needed = self.running.needed()
        if needed != self._reported and await self.inbox.report(needed):
            self._reported = dict(needed)

    async def _look(self) -> None:
        while True:
            for _ in range(_LOOKS):
                await asyncio.sleep(_LOOK)
                await self._attempt(self.gateways.look())
                await self._attempt(self._look_for_words())
            await self._attempt(self._look_for_somebody())
            if self._steady() - self._renewed_at > _DAY:
                await self._attempt(self._renew_keys())

    async def _look_for_words(self) -> None:
        session = self.running.session
        wordless = session.silent_for(self.running.now())
        for track in self._watchdog.to_reset(wordless):
            _log.warning("track.reset", extra={"meeting": self.id, "track": track})
            session.reset(track)
            self.on_reset()
        if self._watchdog.hopeless(wordless) and await self.may_move(self.id):
            self.leave(Outcome.WORDLESS)

    async def _look_for_somebody(self) -> None:
        now = self._steady()
        if await wanted(self.bus, self.id):
            self._wanted_at = now
        elif now - self._wanted_at >= self.empty_after and not self.running.over:
            _log.info("meeting.empty", extra={"meeting": self.id})
            await self.running.end()

    async def _renew_keys(self) -> None:
        await expire_meeting(self.bus, self.id, _WEEK)
        self._renewed_at = self._steady()

    async def _meet(self) -> None:
        """Who is there: when gateways say that it has changed, and now and then in case that was lost."""
        while True:
            self._people_changed.clear()
            await self._attempt(self.gateways.meet())
            with suppress(TimeoutError):
                async with asyncio.timeout(_PEOPLE):
                    await self._people_changed.wait()

    async def _obey(self) -> None:
        while True:
            wish = await self.wishes.next()
            await self._attempt(self._do(wish))

    async def _do(self, wish: dict[str, Any]) -> None:
        if wish["do"] == "delete":
            await self.running.abandon()
            self.leave(Outcome.DELETED)
        else:
            await self.wishes.fulfil(wish, self.running)

    async def _go_on(self) -> None:
        """Redis is back, with what it held or without: it gets everything again, and what was told meanwhile counts."""
        if await self.lease.hold():
            await self._attempt(self.feed.republish())
            self._reported.clear()
            self._renewed_at = float("-inf")
            self._people_changed.set()
            await self._attempt(self._catch_up())

    async def _catch_up(self) -> None:
        """As the store says: wishes may have been lost."""
        try:
            kept, pauses = await self.store.meeting(self.id), await self.store.pauses(self.id)
        except NotFound:
            self.wishes.take({"do": "delete"})
            return
        for wish in self.wishes.missed(self.running, kept, pauses):
            self.wishes.take(wish)

    async def _attempt(self, work: Awaitable[None]) -> None:
        """A bus or a store that is away stops no captions."""
        try:
            await work
        except GreffierError as error:
            _log.warning("owned.late", extra={"meeting": self.id, "error": type(error).__name__})

    # --- how it is let go of ----------------------------------------------------------------------------------

    async def _let_go(self, outcome: Outcome) -> None:
        """First everything is durable, then readers have it, then the lease is free."""
        if outcome is Outcome.SUPERSEDED:
            await self.running.drop()
        elif self.running.over:
            await self.running.cancel()
        else:
            await self.gateways.settle_all()
            await self.running.hand_over()
            await self._attempt(self._report())
        if outcome is not Outcome.SUPERSEDED:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH):
                    await self.feed.flush()
        await self.feed.close_pump()
        await self.inbox.close()
        if outcome in {Outcome.ENDED, Outcome.DELETED}:
            await self._attempt(expire_meeting(self.bus, self.id))
        await self.lease.release()
        _log.info("meeting.left", extra={"meeting": self.id, "outcome": outcome.value})

    @staticmethod
    def _steady() -> float:
        return asyncio.get_running_loop().time()
