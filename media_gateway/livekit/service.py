"""Captions on demand in LiveKit's rooms: an agent dispatch of our name begins them, its deletion ends them.

Visio makes a dispatch at every press of its button, by anybody, and a deployment may delete them all and remove the
agent's participant to end captions. What livekit-server does (``worker.py`` says where that was read) leaves this way:

- **All jobs are taken, and none of them joins.** A dispatch's job ends with its dispatch, which is how we are told; but
  the participant that is named for a job is removed with it, although the room may have four other dispatches. So each
  job names ``agent-<job>``, as livekit-agents does by default, who is in no room, and the room is joined with a token
  of our own as ``<agent name>-<room>``, the identity that Visio removes.
- **A room is captioned while a dispatch of our name is listed for it.** Jobs tell of new and deleted ones; a sweep of
  all lists, at every registration and every 5 s, finds those made while nobody was registered, and those that a
  process before this one took. It starts a room in which there are people and nobody of our identity. A participant of
  our identity that a killed process left behind (livekit-server keeps it for 20 s) is told by its attribute
  ``greffier.house``, and its place is taken; that of anybody else is not.
- **Whoever is removed does not come back by itself**: the dispatches that led there are deleted. So they are when
  captions are stopped through the API, when their meeting is ended, and when the room is encrypted. A dispatch that is
  made afterwards starts captions again, even one that arrives before we are told that we were removed.
- **Captions that were started without a dispatch** go on whatever becomes of dispatches.
- A room that empties is left, and its dispatches stay: they count if people come back before livekit-server closes it.
- Dispatches live in the memory of the node that has the room. One that is not listed any more, but whose deletion we
  would have been told, or whose server is another one than before, was lost, not deleted: captions go on.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field

from livekit import api
from livekit.protocol import agent

from media_gateway.captioned_rooms import CaptionedElsewhere, CaptionedRooms
from media_gateway.livekit.access import HOUSE, LiveKitServer, agent_identity
from media_gateway.livekit.worker import Acceptance, AgentWorker, Registration
from media_gateway.sfu import Parting
from pipeline.errors import GreffierError, NotFound

_log = logging.getLogger("greffier.livekit")

_SWEEP_SHARE = 0.1
"""Of the time that may go into sweeps: they follow each other more slowly where there are very many rooms."""
_AT_ONCE = 8
_TOLD_SECONDS = 15.0
"""In which a deletion is told; livekit-server takes up to 5 s."""
_PEOPLE = (api.ParticipantInfo.STANDARD, api.ParticipantInfo.SIP)


@dataclass(slots=True)
class _Dispatch:
    """``since``: when it was known first; ``job``: what tells of its deletion, None when it was found in a list;
    ``unlisted``: since when it is in no list; ``late``: it came while we were in the room, as far as we know, and
    nobody has looked since."""

    since: float
    job: str | None = None
    unlisted: float | None = None
    late: bool = False


@dataclass(slots=True, eq=False)
class _Orders:
    """The dispatches of one room. ``over`` are those that do not count any more, whatever an older list says; ``due``:
    captions are to start; ``led``: dispatches alone are why the room is captioned; ``leaving``: they were, and the last
    one was deleted; ``node``: whose list was read; ``trouble``: why captions did not start."""

    known: dict[str, _Dispatch] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)
    due: bool = False
    led: bool = False
    leaving: bool = False
    node: str = ""
    trouble: str = ""
    at_work: "asyncio.Task[None] | None" = None
    again: bool = False

    def end(self, dispatches: set[str]) -> list[str]:
        """They count no more; the jobs that told of them."""
        self.over |= dispatches
        ended = [self.known.pop(dispatch) for dispatch in dispatches & self.known.keys()]
        return [dispatch.job for dispatch in ended if dispatch.job is not None]


class LiveKitCaptions:
    """Registers as ``agent_name`` and captions the rooms it is dispatched to, from ``start`` to ``close``.

    ``rooms`` are told to start and stop; whoever made them closes them, after this. ``load`` is the part of our
    capacity in use, 0 to 1; ``sweep`` is in seconds.
    """

    def __init__(
        self,
        server: LiveKitServer,
        rooms: CaptionedRooms,
        agent_name: str,
        *,
        load: Callable[[], float],
        sweep: float = 5.0,
    ) -> None:
        self._server = server
        self._rooms = rooms
        self._name = agent_name
        self._pause = sweep
        self._worker = AgentWorker(
            server,
            agent_name,
            accept=self._accept,
            assigned=self._assigned,
            terminated=self._terminated,
            registered=self._registered,
            load=load,
        )
        self._orders: dict[str, _Orders] = {}
        self._sweep_now = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = False
        self._slots = asyncio.Semaphore(_AT_ONCE)
        rooms.on_parted(self._parted)

    @property
    def registered(self) -> bool:
        """Whether livekit-server would tell of a dispatch now."""
        return self._worker.registration is not None

    @property
    def trouble(self) -> str | None:
        """Why it is not registered; None while it is."""
        return self._worker.trouble

    async def start(self) -> None:
        """Returns at once; it registers, and registers again, in the background."""
        if not self._open:
            self._open = True
            self._worker.start()
            self._do(self._sweep_forever())

    async def close(self) -> None:
        """No room begins to be captioned any more; those that are stay so, and their dispatches stay listed."""
        self._open = False
        await self._worker.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # --- what livekit-server says -----------------------------------------------------------------------------

    async def _accept(self, job: agent.Job) -> Acceptance | None:
        orders = self._orders_of(job.room.name)
        if job.dispatch_id in orders.over:
            return None
        self._note(job.room.name, orders, job.dispatch_id)
        return Acceptance(f"agent-{job.id}")

    async def _assigned(self, assignment: agent.JobAssignment) -> None:
        known = self._orders_of(assignment.job.room.name).known.get(assignment.job.dispatch_id)
        if known is None:
            await self._worker.end(assignment.job.id)
        else:
            known.job = assignment.job.id

    async def _terminated(self, job: agent.Job) -> None:
        orders = self._orders_of(job.room.name)
        orders.end({job.dispatch_id})
        _log.info("dispatch.deleted", extra={"dispatch": job.dispatch_id, "left": len(orders.known)})
        self._work(job.room.name, orders)

    def _registered(self, _: Registration) -> None:
        """Jobs of the connection before are gone; their dispatches may stand."""
        for orders in self._orders.values():
            for known in orders.known.values():
                known.job = known.unlisted = None
        self._sweep_now.set()

    def _note(self, room: str, orders: _Orders, dispatch: str) -> None:
        """A dispatch just made."""
        orders.known.setdefault(dispatch, _Dispatch(_now())).late = self._inside(room)
        orders.due = orders.due or not self._captioned(room)
        orders.node = self._node()
        _log.info("dispatch.made", extra={"dispatch": dispatch, "open": len(orders.known)})
        self._work(room, orders)

    # --- what the room says -----------------------------------------------------------------------------------

    async def _parted(self, room: str, why: Parting) -> None:
        orders = self._orders.get(room)
        if not self._open or orders is None:
            return
        orders.led = False
        if why in {Parting.EMPTY, Parting.LOST}:  # the sweep looks whether people are there again
            return
        if orders.leaving:  # what is known now came afterwards
            orders.due = bool(orders.known)
            return
        ended = {name for name, known in orders.known.items() if not known.late or why is Parting.ENCRYPTED}
        jobs = orders.end(ended)
        orders.due = bool(orders.known)
        if why is Parting.EVICTED and await self._is_taken(room):
            # Another process took our identity: its dispatches are its own now, ours again when it goes.
            orders.over -= ended
            orders.known |= {name: _Dispatch(_now()) for name in ended}
            orders.due = False
            return
        self._work(room, orders)
        self._do(self._delete(room, ended, jobs, "the room is encrypted" if why is Parting.ENCRYPTED else ""))

    async def _is_taken(self, room: str) -> bool:
        try:
            return await self._our_participant(room) is not None
        except GreffierError:
            return False

    async def _delete(self, room: str, dispatches: set[str], jobs: list[str], trouble: str) -> None:
        """What fails here the next sweep does again."""
        for job in jobs:
            await self._worker.end(job, trouble)
        for dispatch in dispatches:
            with suppress(GreffierError):
                await self._server.delete_dispatch(room, dispatch)

    # --- what is to be done in one room -----------------------------------------------------------------------

    def _work(self, room: str, orders: _Orders) -> None:
        """One task for each room brings it to where its dispatches want it."""
        orders.again = True
        if self._open and orders.at_work is None:
            orders.at_work = self._do(self._bring(room, orders))

    async def _bring(self, room: str, orders: _Orders) -> None:
        try:
            while orders.again:
                orders.again = False
                try:
                    await self._bring_once(room, orders)
                    orders.trouble = ""
                except CaptionedElsewhere:
                    orders.trouble = ""  # the next sweep asks again: that gateway may have died
                except GreffierError as failure:  # the next sweep tries again
                    if orders.trouble != (trouble := str(failure)):
                        _log.warning("captions.unstarted", extra={"error": type(failure).__name__, "why": trouble})
                    orders.trouble = trouble
        finally:
            orders.at_work = None

    async def _bring_once(self, room: str, orders: _Orders) -> None:
        if not self._captioned(room):
            if orders.due and orders.known:
                await self._start(room, orders)
        elif not orders.known:
            if orders.led:
                await self._leave(room, orders)
        else:
            await self._confirm(room, orders)

    async def _confirm(self, room: str, orders: _Orders) -> None:
        """Dispatches that came while we really were in the room."""
        late = [known for known in orders.known.values() if known.late]
        if late and await self._our_participant(room) is not None:
            for known in late:
                known.late = False

    async def _start(self, room: str, orders: _Orders) -> None:
        orders.due, orders.led = False, True
        try:
            if self._is_foreign(await self._our_participant(room)):
                orders.led = False  # the sweep sees when it has gone
            else:
                await self._rooms.start(room)
        except GreffierError:
            orders.led, orders.due = False, orders.again  # who asked meanwhile asks for another try
            raise

    async def _leave(self, room: str, orders: _Orders) -> None:
        orders.leaving, orders.again = True, True
        try:
            await self._rooms.stop(room)
        finally:
            orders.leaving = False

    # --- what the lists say -----------------------------------------------------------------------------------

    async def _sweep_forever(self) -> None:
        pause: float | None = None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._sweep_now.wait()
            self._sweep_now.clear()
            began = _now()
            if self.registered:
                try:
                    await self._sweep()
                except Exception as failure:  # noqa: BLE001 - the next one may find what this one did not
                    _log.warning("sweep.failed", exc_info=None if isinstance(failure, GreffierError) else failure)
            pause = max(self._pause, (_now() - began) / _SWEEP_SHARE)

    async def _sweep(self) -> None:
        before = dict(self._orders)
        there = {room.name for room in await self._server.rooms()}
        await asyncio.gather(*(self._sweep_room(room) for room in there))
        for room in before.keys() - there:  # it is closed, and its dispatches with it
            if not self._captioned(room) and before[room].at_work is None:
                self._orders.pop(room, None)

    async def _sweep_room(self, room: str) -> None:
        async with self._slots:
            try:
                node, began = self._node(), _now()
                listed = {each.id for each in await self._server.dispatches(room, self._name)}
                if listed or room in self._orders:
                    await self._compare(room, self._orders_of(room), listed, node, began)
            except GreffierError as failure:  # it was closed meanwhile, or its node does not answer
                _log.info("sweep.passed_over", extra={"error": type(failure).__name__})

    async def _compare(self, room: str, orders: _Orders, listed: set[str], node: str, began: float) -> None:
        """``listed`` is what ``node`` answered to a question of ``began``."""
        if not node or node != self._node():
            return  # it is another server now
        self._miss(orders, [name for name in orders.known if name not in listed], node, began)
        orders.node = node
        for dispatch in listed - orders.over - orders.known.keys():
            orders.known[dispatch] = _Dispatch(_now(), late=self._inside(room))
        for dispatch in listed & orders.over:
            with suppress(NotFound):
                await self._server.delete_dispatch(room, dispatch)
        if orders.known and not self._captioned(room):
            orders.due = orders.due or await self._is_orphaned(room)
        self._work(room, orders)

    def _miss(self, orders: _Orders, missing: list[str], node: str, began: float) -> None:
        """Dispatches that are in no list any more were deleted, or lost, and then captions need them no more."""
        for name in missing:
            known = orders.known[name]
            known.unlisted = known.unlisted or began
            told = known.job is not None
            if known.since >= began or (told and began - known.unlisted < _TOLD_SECONDS):
                continue
            del orders.known[name]
            if told or orders.node not in {"", node}:
                orders.led = False
                _log.warning("dispatch.lost", extra={"dispatch": name})

    async def _is_orphaned(self, room: str) -> bool:
        """Whether there are people in a room, and nobody of our identity but what a killed process left behind."""
        inside = await self._server.participants(room)
        if not any(each.kind in _PEOPLE and not each.permission.hidden for each in inside):
            return False
        return not self._is_foreign(self._ours(room, inside))

    def _is_foreign(self, ours: api.ParticipantInfo | None) -> bool:
        """Whether somebody else has our identity: Visio's own agent, or a Greffier that shares no leases with us."""
        return ours is not None and not (self._server.house and ours.attributes[HOUSE] == self._server.house)

    async def _our_participant(self, room: str) -> api.ParticipantInfo | None:
        return self._ours(room, await self._server.participants(room))

    def _ours(self, room: str, inside: list[api.ParticipantInfo]) -> api.ParticipantInfo | None:
        identity = agent_identity(self._name, room)
        return next((each for each in inside if each.identity == identity), None)

    # --- small things -----------------------------------------------------------------------------------------

    def _orders_of(self, room: str) -> _Orders:
        return self._orders.setdefault(room, _Orders())

    def _captioned(self, room: str) -> bool:
        state = self._rooms.state(room)
        return state is not None and state.why is None

    def _inside(self, room: str) -> bool:
        """As far as we know; while captions start, we are not yet."""
        state = self._rooms.state(room)
        return self._captioned(room) and state is not None and state.state != "starting"

    def _node(self) -> str:
        registration = self._worker.registration
        return "" if registration is None else registration.node

    def _do(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """In the background, until ``close``; what is wrong with it is logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            _log.error("captions.broken", exc_info=failure)


def _now() -> float:
    return asyncio.get_running_loop().time()
