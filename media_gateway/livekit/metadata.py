"""The metadata of recordings, for those who name their speakers: Visio's second agent, under its own name.

Visio makes a dispatch when a recording begins, with the recording's id as its metadata, and deletes it when the
recording has ended; more than one may be under way in a room then. As for captions (``service.py``), all jobs are taken
and name participants who never join: jobs tell of dispatches made and deleted, a sweep of what LiveKit lists finds
those that nobody was told of, and whoever collects joins by a token of its own, here as
``<agent name>-<room>-<recording>``. A collection ends with its last dispatch, with its room, or when it is removed from
there; a lease says which process collects a recording.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from livekit import api
from livekit.protocol import agent

from media_gateway.livekit.access import HOUSE, LiveKitServer, agent_identity
from media_gateway.livekit.metadata_collection import Collection, MetadataSettings, RecordingPlace
from media_gateway.livekit.worker import Acceptance, AgentWorker, Registration
from media_gateway.sfu import Parting
from pipeline.domain import MeetingId
from pipeline.errors import BusFailed, GreffierError
from pipeline.ports import Leases, LinkedRecordings, ObjectStore, RoomMeetings, SpeechDetector

__all__ = ["MetadataCollector", "MetadataSettings", "RecordingLinks"]

_log = logging.getLogger("greffier.metadata")

PROVIDER = "livekit"
_RECORDING = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
"""Visio's are UUIDs. The id becomes part of a key: nothing else may be in it."""
_MANY = 50
"""Collections at once that count as full load."""
_LEASE = 15.0
_AT_ONCE = 8
_SWEEP_SHARE = 0.1
"""Of the time that may go into sweeps: they follow each other more slowly where there are very many rooms."""
_CLOSE_SECONDS = 8.0
_WRITE_SECONDS = 2.0
_PEOPLE = (api.ParticipantInfo.STANDARD, api.ParticipantInfo.SIP)


class RecordingLinks(RoomMeetings, LinkedRecordings, Protocol):
    """Which room and meeting a recording is of."""


@dataclass(slots=True)
class _Dispatch:
    """``job`` is what tells of its deletion, None when it was found in a list; ``node`` is whose list it is in."""

    node: str
    job: str | None = None


@dataclass(slots=True, eq=False)
class _Collecting:
    """One recording, for as long as dispatches want it."""

    collection: Collection
    dispatches: dict[str, _Dispatch] = field(default_factory=dict)
    meeting: MeetingId | None = None
    linked: bool = False
    task: "asyncio.Task[None] | None" = None


class MetadataCollector:
    """Registers under its name and writes ``<folder>/<recording>-metadata.json`` into ``objects``, from ``start`` to
    ``close``. ``new_detector`` hears one more microphone."""

    def __init__(
        self,
        server: LiveKitServer,
        objects: ObjectStore,
        store: RecordingLinks,
        new_detector: Callable[[], SpeechDetector],
        leases: Leases,
        settings: MetadataSettings | None = None,
    ) -> None:
        self._server = server
        self._objects = objects
        self._store = store
        self._new_detector = new_detector
        self._leases = leases
        self._settings = settings or MetadataSettings()
        self._name = self._settings.name
        self._worker = AgentWorker(
            server,
            self._name,
            accept=self._accept,
            assigned=self._assigned,
            terminated=self._terminated,
            registered=self._registered,
            load=lambda: len(self._collecting) / _MANY,
        )
        self._collecting: dict[str, _Collecting] = {}
        self._over: set[str] = set()  # dispatches that count no more; forgotten when they are not listed
        self._sweep_now = asyncio.Event()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = False

    @property
    def registered(self) -> bool:
        """Whether LiveKit would tell of a dispatch now."""
        return self._worker.registration is not None

    @property
    def trouble(self) -> str | None:
        """Why it is not registered; None while it is."""
        return self._worker.trouble

    @property
    def recordings(self) -> frozenset[str]:
        """Those that are collected now."""
        return frozenset(self._collecting)

    def start(self) -> None:
        """Returns at once; it registers, and registers again, in the background."""
        if not self._open:
            self._open = True
            self._worker.start()
            self._do(self._sweep_forever())

    async def close(self) -> None:
        """Every file is written as it stands. Dispatches stay listed: the next process goes on."""
        self._open = False
        await self._worker.close()
        every = [each for each in self._collecting.values() if each.task is not None]
        for each in every:
            self._do(each.collection.stop())
        if tasks := [each.task for each in every if each.task is not None]:
            await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_WRITE_SECONDS)

    # --- what LiveKit says ----------------------------------------------------------------------------------

    async def _accept(self, job: agent.Job) -> Acceptance | None:
        if job.dispatch_id in self._over or not self._names_recording(job.metadata):
            return None
        self._wish(job.room.name, job.metadata, job.dispatch_id)
        return Acceptance(f"agent-{job.id}")

    async def _assigned(self, assignment: agent.JobAssignment) -> None:
        job = assignment.job
        if (known := self._dispatch(job.metadata, job.dispatch_id)) is None:
            await self._worker.end(job.id)
        else:
            known.job = job.id

    async def _terminated(self, job: agent.Job) -> None:
        self._drop(job.metadata, job.dispatch_id)

    def _registered(self, _: Registration) -> None:
        """Jobs of the connection before are gone; their dispatches may stand."""
        for each in self._collecting.values():
            for known in each.dispatches.values():
                known.job = None
        self._sweep_now.set()

    def _names_recording(self, metadata: str) -> bool:
        named = _RECORDING.fullmatch(metadata) is not None
        if not named:
            _log.warning("metadata.refused", extra={"why": "the dispatch's metadata is no id of a recording"})
        return named

    # --- which recordings are wanted ------------------------------------------------------------------------

    def _dispatch(self, recording: str, dispatch: str) -> _Dispatch | None:
        each = self._collecting.get(recording)
        return None if each is None else each.dispatches.get(dispatch)

    def _wish(self, room: str, recording: str, dispatch: str) -> None:
        """A dispatch wants a recording, which one before may want already."""
        each = self._collecting.get(recording)
        if each is None and self._open:
            identity = f"{agent_identity(self._name, room)}-{recording}"
            place = RecordingPlace(recording, room, identity, f"{self._settings.folder}/{recording}-metadata.json")
            each = _Collecting(Collection(place, self._server, self._objects, self._new_detector, self._settings))
            self._collecting[recording] = each
            each.task = self._do(self._collect(each))
        if each is not None and each.collection.place.room == room:
            each.dispatches.setdefault(dispatch, _Dispatch(self._node()))

    def _drop(self, recording: str, dispatch: str) -> None:
        """A dispatch was deleted; the last one ends its collection."""
        self._over.add(dispatch)
        each = self._collecting.get(recording)
        if each is not None and each.dispatches.pop(dispatch, None) is not None and not each.dispatches:
            self._do(each.collection.stop())

    # --- one recording --------------------------------------------------------------------------------------

    async def _collect(self, each: _Collecting) -> None:
        place = each.collection.place
        lease = f"{self._settings.folder}/{place.recording}"
        try:
            if not await self._leases.acquire(lease, _LEASE):
                return  # another process collects it, or did a moment ago: the sweep looks again
            try:
                await self._collect_leased(each, lease)
            finally:
                await self._leases.release(lease)
        except GreffierError as failure:
            _log.warning("metadata.failed", extra={"recording": place.recording, "why": str(failure)})
        finally:
            del self._collecting[place.recording]

    async def _collect_leased(self, each: _Collecting, lease: str) -> None:
        recording = each.collection.place.recording
        _log.info("metadata.opened", extra={"recording": recording})
        holding = asyncio.create_task(self._hold(each, lease))
        why = Parting.LOST
        try:
            why = await each.collection.run()
        finally:
            holding.cancel()
            await asyncio.wait([holding])
            metadata = each.collection.metadata
            totals = {"events": len(metadata.events), "participants": len(metadata.names)}
            _log.info("metadata.closed", extra={"recording": recording, "why": why.value, **totals})
        await self._link(each)
        if why in {Parting.EVICTED, Parting.ENCRYPTED}:  # it does not come back by itself
            self._over |= each.dispatches.keys()

    async def _hold(self, each: _Collecting, lease: str) -> None:
        """Keeps the lease and looks for the meeting, as often."""
        while True:
            await self._link(each)
            await asyncio.sleep(_LEASE / 3)
            if not await self._holds(lease):
                _log.warning("metadata.lease_lost", extra={"recording": each.collection.place.recording})
                await each.collection.stop()
                return

    async def _holds(self, lease: str) -> bool:
        try:
            return await self._leases.renew(lease, _LEASE) or await self._leases.acquire(lease, _LEASE)
        except BusFailed:
            return True  # nobody can take it while nobody can ask

    async def _link(self, each: _Collecting) -> None:
        """Captions may begin later than the recording, and the first meeting of them counts."""
        if each.meeting is not None:
            return
        place = each.collection.place
        try:
            meeting = await self._store.open_meeting_of_room(PROVIDER, place.room)
            if each.linked and meeting is None:
                return
            named = None if meeting is None else meeting.id
            await self._store.link_recording(place.recording, PROVIDER, place.room, named, time.time())
        except GreffierError as failure:  # the next time may go well
            _log.warning("metadata.unlinked", extra={"recording": place.recording, "why": str(failure)})
        else:
            each.linked, each.meeting = True, named

    # --- what the lists say ---------------------------------------------------------------------------------

    async def _sweep_forever(self) -> None:
        now, pause = asyncio.get_running_loop().time, self._settings.sweep
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._sweep_now.wait()
            self._sweep_now.clear()
            began = now()
            if self.registered:
                try:
                    await self._sweep()
                except GreffierError as failure:
                    _log.warning("metadata.sweep_failed", extra={"why": str(failure)})
                except Exception as failure:  # noqa: BLE001 - the next one may find what this one did not
                    _log.error("metadata.sweep_failed", exc_info=failure)
            pause = max(self._settings.sweep, (now() - began) / _SWEEP_SHARE)

    async def _sweep(self) -> None:
        listed: set[str] = set()
        rooms = await self._server.rooms()
        found = await asyncio.gather(*(self._sweep_room(room.name) for room in rooms))
        if all(each is not None for each in found):
            listed.update(*(each for each in found if each is not None))
            self._over &= listed

    async def _sweep_room(self, room: str) -> set[str] | None:
        """The dispatches that are listed; None where nobody can tell."""
        async with self._slots:
            node = self._node()
            try:
                listed = {each.id: each.metadata for each in await self._server.dispatches(room, self._name)}
                if not node or node != self._node():
                    return None  # the list is of a server that is gone
                self._miss(room, set(listed), node)
                for dispatch, recording in listed.items():
                    await self._find(room, recording, dispatch)
            except GreffierError as failure:  # it was closed meanwhile, or its node does not answer
                _log.info("metadata.room_passed_over", extra={"error": type(failure).__name__})
                return None
            return set(listed)

    def _miss(self, room: str, listed: set[str], node: str) -> None:
        """A dispatch that is not listed any more was deleted, unless its server was lost with its memory; of those with
        a job we are told."""
        for recording, each in tuple(self._collecting.items()):
            if each.collection.place.room == room:
                for dispatch, known in tuple(each.dispatches.items()):
                    if dispatch not in listed and known.job is None and known.node == node:
                        self._drop(recording, dispatch)

    async def _find(self, room: str, recording: str, dispatch: str) -> None:
        if dispatch in self._over:
            return
        if recording in self._collecting:
            self._wish(room, recording, dispatch)
        elif not self._names_recording(recording):
            self._over.add(dispatch)
        elif await self._is_free(room, recording):
            self._wish(room, recording, dispatch)

    async def _is_free(self, room: str, recording: str) -> bool:
        """Whether there are people in a room, and nobody who collects but what a killed process left behind."""
        inside = await self._server.participants(room)
        if not any(each.kind in _PEOPLE and not each.permission.hidden for each in inside):
            return False
        identity = f"{agent_identity(self._name, room)}-{recording}"
        ours = next((each for each in inside if each.identity == identity), None)
        return ours is None or (bool(self._server.house) and ours.attributes[HOUSE] == self._server.house)

    # --- small things ---------------------------------------------------------------------------------------

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
            _log.error("metadata.broken", exc_info=failure)
