"""Who speaks on the tracks of one meeting that several people share, while they speak."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pipeline.domain import Caption, ParticipantId, SpeechEnded, Track, TrackEvent, TrackId, TrackOpened, VoiceRun
from pipeline.errors import RecognitionFailed
from pipeline.live.voices import OnlineVoices
from pipeline.ports import AudioBus, VoiceModel
from pipeline.running.shared_room import CHECKED, KEPT, Centroids, SharedRoom, Told

_log = logging.getLogger("greffier.voices")

_PAUSE_AFTER_FAILURE = 0.5


def _forget(participant: ParticipantId, centroids: Centroids) -> None:
    """For whoever keeps no voices."""


@dataclass(slots=True)
class SharedRooms:
    """Told what a session hears and shows; tells ``told`` which voices said the words, each word once.

    A track is listened to where its participant is ``marked``; where nobody said that it is or is not (None), with
    ``by_themselves``, where several voices of it are ``known``, or a light check now and then hears a second one.
    Without a ``model`` nothing is. A participant's second open track is not listened to. ``kept`` seconds of sound wait
    for the model at most, the oldest are given up. Whatever fails here costs labels, never captions.
    """

    model: VoiceModel | None
    told: Told
    learnt: Callable[[ParticipantId, Centroids], None] = _forget
    marked: Callable[[ParticipantId], bool | None] = lambda participant: None
    by_themselves: bool = False
    known: dict[ParticipantId, Centroids] = field(default_factory=dict)
    kept: float = KEPT
    _rooms: dict[TrackId, SharedRoom] = field(default_factory=dict)
    _group: asyncio.TaskGroup | None = None
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)

    # --- in ---------------------------------------------------------------------------------------------------

    def overhear(self, bus: AudioBus) -> AudioBus:
        """``bus``, of which all that is received is heard here, too."""
        return bus if self.model is None else _Overheard(bus, self.take)

    def open(self, track: Track) -> None:
        if self.model is None:
            return
        self._rooms.setdefault(track.id, SharedRoom(track, self.by_themselves, self.kept)).closed = False
        self.consider()

    def resume(self, track: Track, shown: Caption | None, runs: Sequence[VoiceRun]) -> None:
        """Goes on with a track of another session: ``runs`` were told of its open utterance ``shown``."""
        self.open(track)
        if shown is not None and track.id in self._rooms:
            self._rooms[track.id].labels.resume(shown.utterance, runs)
            self.see(shown)

    def take(self, event: TrackEvent) -> None:
        """One event of the session's bus."""
        if isinstance(event, TrackOpened):
            self.open(event.track)
            return
        room = self._rooms.get(event.track)
        if room is None:
            return
        with self._guarded(room):
            was_closed = room.closed
            room.take(event)
            if room.closed and not was_closed:
                self.consider()
            if isinstance(event, SpeechEnded):
                self._tell(room)
            self._ask(room)

    def see(self, caption: Caption) -> None:
        """A caption as it is shown."""
        room = self._rooms.get(caption.track)
        if room is not None:
            with self._guarded(room):
                room.see(caption)
                self._tell(room)

    def consider(self) -> None:
        """Marks have changed, or a track came or went: looks which tracks are listened to."""
        for room in tuple(self._rooms.values()):
            with self._guarded(room):
                self._consider(room)

    def _consider(self, room: SharedRoom) -> None:
        participant = room.track.participant.id
        mark, known = self.marked(participant), self.known.get(participant, {})
        room.marked, room.checks = mark is True, self.by_themselves and mark is not False
        wanted = room.marked or (room.checks and (room.voices is not None or len(known) > 1))
        if room.voices is None and wanted and not room.closed and not self._is_heard(participant):
            room.listen(known)
        elif room.voices is not None and not wanted:
            room.rest()

    def _is_heard(self, participant: ParticipantId) -> bool:
        return any(
            room.voices is not None and not room.closed and room.track.participant.id == participant
            for room in self._rooms.values()
        )

    # --- hearing ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Hears until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for room in self._rooms.values():
                    self._ask(room)
                await asyncio.Event().wait()
            finally:
                self._group = None

    async def settle(self, patience: float | None = None) -> None:
        """No more sound comes: returns once all of it was heard, within ``patience`` seconds. ``run`` must go on.

        Then all words have the labels they get.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while any(room.hearing for room in self._rooms.values()):
                    self._quiet.clear()
                    await self._quiet.wait()
        self.finish()

    def finish(self) -> None:
        """Tells what can be told of words whose sound nobody hears any more."""
        for room in tuple(self._rooms.values()):
            with self._guarded(room):
                self._tell(room)
                room.labels.finish()
                self._tell(room)

    def _ask(self, room: SharedRoom) -> None:
        model = self.model
        if model is None or self._group is None or room.hearing:
            return
        if room.voices is not None and (window := room.voices.window_to_hear()) is not None:
            room.hearing = True
            self._group.create_task(self._hear(model, room, room.voices, *window))
        elif room.check_due() and not self._is_heard(room.track.participant.id):
            room.hearing = True
            self._group.create_task(self._check(model, room))
        elif room.closed:
            room.sound.forget(float("inf"))

    async def _hear(self, model: VoiceModel, room: SharedRoom, voices: OnlineVoices, start: float, end: float) -> None:
        with self._heard(room), self._guarded(room):
            try:
                activity = await model.hear(room.sound.read(start, end), start)
            except RecognitionFailed as failure:
                _log.warning("voices.unheard", extra={"error": type(failure).__name__})
                voices.failed()
                await asyncio.sleep(_PAUSE_AFTER_FAILURE)
            else:
                voices.heard(activity)
            self._tell(room)

    async def _check(self, model: VoiceModel, room: SharedRoom) -> None:
        with self._heard(room), self._guarded(room):
            try:
                several = await model.several(room.sound.newest(CHECKED))
            except RecognitionFailed as failure:
                _log.warning("voices.unheard", extra={"error": type(failure).__name__})
                several = False
            if several and room.checks and room.voices is None:
                _log.info("voices.several", extra={"track": room.track.id})
                room.listen(self.known.get(room.track.participant.id, {}))
            else:
                room.checked()

    @contextmanager
    def _heard(self, room: SharedRoom) -> Iterator[None]:
        """Afterwards the room may want to have more heard."""
        try:
            yield
        finally:
            room.hearing = False
            if room.track.id in self._rooms:
                with self._guarded(room):
                    self._ask(room)
            self._quiet.set()

    # --- out --------------------------------------------------------------------------------------------------

    def _tell(self, room: SharedRoom) -> None:
        for runs in room.told():
            self.told(room.track, runs)
        centroids = room.learnt()
        if centroids is not None:
            self.known[room.track.participant.id] = centroids
            self.learnt(room.track.participant.id, centroids)

    @contextmanager
    def _guarded(self, room: SharedRoom) -> Iterator[None]:
        """A track on which anything goes wrong is listened to no more."""
        try:
            yield
        except Exception:  # noqa: BLE001 - it is logged, and the session goes on
            _log.exception("voices.failed", extra={"track": room.track.id})
            self._rooms.pop(room.track.id, None)


@dataclass(slots=True)
class _Overheard:
    """An ``AudioBus`` that tells somebody else of each event before it is received."""

    bus: AudioBus
    tell: Callable[[TrackEvent], None]

    async def send(self, event: TrackEvent) -> None:
        await self.bus.send(event)

    async def receive(self) -> AsyncIterator[TrackEvent]:
        async for event in self.bus.receive():
            self.tell(event)
            yield event

    async def close(self) -> None:
        await self.bus.close()
