"""One meeting while it runs."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from functools import partial

from pipeline.domain import Caption, Meeting, Participant, ParticipantId, Pause, Track, TrackId
from pipeline.errors import InvalidInput
from pipeline.export.event import Event
from pipeline.ports import AudioSource, EventFeed
from pipeline.running import upkeep
from pipeline.running.equipment import Equipment
from pipeline.running.keeping import Keeping
from pipeline.running.past import Past
from pipeline.running.presence import Attendance
from pipeline.running.restoring import restore
from pipeline.running.telling import Telling
from pipeline.running.upkeep import Upkeep
from pipeline.running.voice_keeping import KeptRooms
from pipeline.running.voices import Voices
from pipeline.session import Session

_log = logging.getLogger("greffier.meeting")

_LAST_WORDS = 3.0
_WRITING = 0.4
"""How much of ``_LAST_WORDS`` is left for keeping the finals of speech whose recognition did not come in time."""
_HANDING = 0.8


class _State(Enum):
    RUNNING = "running"
    SUSPENDED = "suspended"
    ENDED = "ended"


class RunningMeeting:
    """One session of one meeting: its sources, its captions, who is there. Belongs to one event loop.

    Made by ``RunningMeetings``. ``end`` and ``suspend`` take no more sound, wait 3 s at most for the finals of speech
    already heard, make finals of what is left from its committed words, and close the feed. The record texts are
    recognised in the background after that, until ``finished``.
    """

    def __init__(self, equipment: Equipment, meeting: Meeting, past: Past) -> None:
        self.meeting = meeting
        self.feed: EventFeed = equipment.new_feed(past.first)
        self._equipment = equipment
        self._clock = past.clock(meeting, equipment.wall, equipment.steady)
        self._state = _State.RUNNING
        self._ending = asyncio.Lock()
        people = {participant.id: participant for participant in past.participants}
        self._telling = Telling(meeting, self.feed, self.now, people)
        self._pause = past.pauses[-1] if past.pauses and past.pauses[-1].end is None else None
        self._occupied_at = equipment.steady()
        self._bus = equipment.new_bus()
        self._memory = equipment.new_memory()
        self._keeper = equipment.new_keeper(meeting.id) if equipment.new_keeper and meeting.keep_audio else None
        self._voices = Voices(self._bus, equipment.new_detector, self._keeper, hears=self._pause is None)
        self._shelf = equipment.store.for_meeting(meeting.id, past.fence)
        self._keeping = Keeping(self._shelf, self._telling.kept_late)
        self._attendance = Attendance(meeting.id, equipment.store, self._telling, self._keeping, dict(past.languages))
        reserved = past.first + upkeep.RESERVED + len(past.finals)
        self._upkeep = Upkeep(self.now, self._shelf, self._keeping, self._telling, self._voices, reserved)
        self._keeping.lost = self._upkeep.lost
        kept = self._kept_rooms = KeptRooms(meeting.id, equipment.store, self._shelf, self._telling, self._keeping)
        self._rooms = kept.open(equipment, past)
        self._core = equipment.new_captioner(meeting.languages, meeting.glossary)
        bus = self._rooms.overhear(self._bus)
        core, streams = self._core, equipment.streams
        self.session = Session(core, equipment.recognizer, bus, self._memory, self, self._keeping, self.now, streams)
        restore(past, self.session, self._keeping, self._attendance, self._telling, kept, paused=self.paused)
        self._running = asyncio.create_task(self._run())

    # --- what it is -------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Meeting time: seconds since the meeting was created, never going back."""
        return self._clock()

    async def until(self, at: float) -> None:
        """Returns once meeting time ``at`` has come."""
        await asyncio.sleep(max(0.0, at - self.now()))

    @property
    def listening(self) -> bool:
        """False while paused and once it is over: sources need not even decode."""
        return self._voices.hears

    @property
    def paused(self) -> bool:
        return self._pause is not None

    @property
    def over(self) -> bool:
        """Whether this session takes no more sound."""
        return self._state is not _State.RUNNING

    @property
    def broken(self) -> bool:
        """Whether the session stopped without being asked to."""
        return self._running.done() and not self.over

    @property
    def finished(self) -> bool:
        """Whether nothing of this session runs any more."""
        return self._running.done()

    @property
    def superseded(self) -> asyncio.Event:
        """Set once another session has claimed the meeting: this one keeps and tells nothing more."""
        return self._keeping.superseded

    def needed(self) -> Mapping[TrackId, float]:
        """Per track, the moment from which on its sound is needed by whoever would go on with the meeting now.

        All before it is kept, as final with its record text or as committed words. Infinity for a track that has ended.
        """
        return self._upkeep.needed

    @property
    def tracks(self) -> int:
        """How many tracks are published now."""
        return len(self._voices)

    @property
    def empty_for(self) -> float:
        """Seconds without any participant or reader, as far as it was asked for; whoever counts asks often."""
        now = self._equipment.steady()
        if len(self._attendance) or self.feed.readers:
            self._occupied_at = now
        return now - self._occupied_at

    def snapshot(self, after: int | None = None) -> Event:
        """What a reader who comes in needs first; its captions are those newer than ``after``, oldest first."""
        state = "ended" if self._state is _State.ENDED else "running"
        return self._telling.snapshot(after, state, self.paused, lambda participant: participant in self._attendance)

    # --- who is there -----------------------------------------------------------------------------------------

    async def enter(self, participant: Participant, languages: tuple[str, ...] = ()) -> None:
        """``participant`` is there, whether it ever publishes or not, until it leaves; raises as ``join`` does.

        ``languages``, where there are any, are what it declares to speak from now on.
        """
        await self._admit(participant, languages)
        self._refuse_when_over()
        self._attendance.come(participant.id)

    async def leave(self, participant: ParticipantId) -> None:
        """Takes one ``enter`` back: it has left once its tracks have ended, too. Does nothing for who never entered."""
        self._attendance.go(participant)

    async def join(self, participant: Participant, languages: tuple[str, ...] = ()) -> Track:
        """A new track of ``participant``, under an id that this meeting has never had.

        A participant whom the meeting knows keeps the name it knows. Its languages are those set for it while the
        meeting ran, else ``languages``, else those it declared, else the meeting's. Raises ``InvalidInput`` for a
        language that the model does not know or when the meeting is over, and what the store raises.
        """
        known = await self._admit(participant, languages)
        track = await self._attendance.next_track(participant.id)
        return Track(track, known, self._attendance.languages(participant.id))

    async def _admit(self, participant: Participant, languages: tuple[str, ...]) -> Participant:
        self._refuse_when_over()
        self._equipment.check_languages(languages)
        known = await self._attendance.admit(participant, languages)
        self._rooms.consider()
        return known

    async def publish(self, source: AudioSource, track: Track) -> None:
        """Takes the sound of ``source`` as ``track`` until it ends, fails, is cancelled or the meeting is over.

        Its participant is there for so long. Raises ``InvalidInput`` when the meeting is over already.
        """
        self._refuse_when_over()
        self._attendance.come(track.participant.id)
        try:
            await self._voices.pump(source, track)
            await self._hear_out(track)
        finally:
            self._attendance.go(track.participant.id)

    async def _hear_out(self, track: Track) -> None:
        """Whoever leaves has left once what they said is final, or after 3 s."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await self.session.ended(track.id)

    async def people(self, present: Mapping[ParticipantId, tuple[Participant, tuple[str, ...]]]) -> None:
        """Just these are there, says whoever hears them, each with the languages it declares.

        A participant whom the meeting knows keeps the name it knows. Raises what the store raises.
        """
        for participant, languages in present.values():
            await self._attendance.admit(participant, languages)
        self._attendance.are_there(present.keys())
        self._rooms.consider()

    async def rename(self, participant: ParticipantId, name: str) -> None:
        """The name in the store and in events from now on. Raises ``NotFound``."""
        await self._attendance.rename(participant, name)

    # --- what may change while it runs ------------------------------------------------------------------------

    async def pause(self, at: float | None = None) -> None:
        """Nobody is listened to until ``resume``: speech under way ends, and the transcript marks it.

        ``at`` is when it was asked for, where that was not now.
        """
        if self.paused or self.over:
            return
        pause = self._pause = Pause(self.now() if at is None else at)
        await self._voices.pause()
        await self._keeping.keep_pause(pause)
        self._telling.state("running", paused=True)
        self._telling.notice("paused")

    async def resume(self, at: float | None = None) -> None:
        if self._pause is None or self.over:
            return
        now = self.now() if at is None else at
        pause, self._pause = replace(self._pause, end=max(now, self._pause.start)), None
        self._voices.resume(now)
        await self._keeping.keep_pause(pause)
        self._telling.state("running", paused=False)
        self._telling.notice("resumed")

    async def set_glossary(self, terms: tuple[str, ...]) -> None:
        """The terms from now on; the caller keeps them in the store."""
        self.meeting = replace(self.meeting, glossary=terms)
        self._core.set_glossary(terms)

    async def set_languages(self, languages: tuple[str, ...], participant: ParticipantId | None = None) -> None:
        """The languages from now on, of the meeting or of one participant; the caller keeps them in the store.

        Raises ``InvalidInput`` for one that the model does not know, or for a meeting without any.
        """
        self._equipment.check_languages(languages)
        if participant is not None:
            self._attendance.choose(participant, languages)
        elif languages:
            self.meeting = replace(self.meeting, languages=languages)
        else:
            raise InvalidInput("a meeting needs at least one language")
        self._core.set_languages(languages, participant)

    async def voices_changed(self) -> None:
        """What the store says of shared microphones, their voices and who said what, counts from now on."""
        await self._kept_rooms.read()

    async def tell(self, code: str) -> None:
        """Gives all readers a notice."""
        self._telling.notice(code)

    # --- how it ends ------------------------------------------------------------------------------------------

    async def end(self) -> None:
        """The meeting is over; see the class. Does nothing when it is already."""
        await self._stop(_State.ENDED)

    async def suspend(self) -> None:
        """This session is over, the meeting is not: another one may go on with it."""
        await self._stop(_State.SUSPENDED)

    async def hand_over(self) -> None:
        """Another session goes on with the meeting: this one stops, within a second, and makes no finals.

        What was shown is kept when this returns, unless the store fails; the feed stays open. The sound from
        ``needed`` on is the other's to hear.
        """
        async with self._ending:
            if self.over:
                return
            self._state = _State.SUSPENDED
            await self._voices.close()
            await self.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(_HANDING):
                    await self._keeping.flush()

    async def drop(self) -> None:
        """Another session has gone on with the meeting already: this one stops at once and writes nothing more."""
        self._state = _State.SUSPENDED
        self.superseded.set()
        await self._voices.close()
        await self.cancel()

    async def abandon(self) -> None:
        """The meeting is about to be deleted: stops at once, what is not kept is not kept any more."""
        self._state = _State.ENDED
        await self._voices.close()
        await self.cancel()
        self._telling.state("ended", self.paused)
        self.feed.close()

    async def cancel(self) -> None:
        """Leaves the record texts that are still to be recognised."""
        self._running.cancel()
        await asyncio.wait([self._running])

    async def _stop(self, state: _State) -> None:
        async with self._ending:
            if self.over:
                return
            self._state = state
            deadline = asyncio.get_running_loop().time() + _LAST_WORDS
            await self._voices.close()
            await self._bus.close()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline - _WRITING):
                    await self.session.captioned.wait()
                    await self._rooms.settle()
            self._rooms.finish()
            self._keeping.finish()
            self._attendance.close()
            if state is _State.ENDED:
                self._keep_end()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._keeping.flush()
            if state is _State.ENDED:
                self._telling.state("ended", self.paused)
            self.feed.close()

    def _keep_end(self) -> None:
        """A pause ends with the meeting."""
        ended_at = self._equipment.wall()
        self.meeting = replace(self.meeting, ended_at=ended_at)

        if self._pause is not None:
            ended = replace(self._pause, end=self.now())
            self._keeping.do_later(partial(self._shelf.keep_pause, ended))
        self._keeping.do_later(partial(self._shelf.keep_end, ended_at))

    def _refuse_when_over(self) -> None:
        if self.over:
            raise InvalidInput("the meeting is over: open another one")

    # --- what runs --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """The session and its two pumps; then what the store refused is tried until it is kept."""
        try:
            async with asyncio.TaskGroup() as group:
                beside = (self._upkeep.beat(self.session), self._upkeep.keep(self.session), self._rooms.run())
                pumps = [group.create_task(each) for each in beside]
                await self.session.run()
                await self._rooms.settle(_LAST_WORDS)
                for pump in pumps:
                    pump.cancel()
            await self._upkeep.keep_the_rest()
        except ExceptionGroup as failures:
            _log.exception("meeting.failed", extra={"meeting": self.meeting.id, "errors": len(failures.exceptions)})
        finally:
            self._memory.close()
            if self._keeper is not None:
                await self._keeper.close()

    # --- what is told -----------------------------------------------------------------------------------------

    async def send(self, caption: Caption) -> None:
        """Shows a caption of the session; a final that could not be kept is shown as unfinished."""
        if self._keeping.closed(caption.utterance) or self.superseded.is_set():
            return
        if not caption.final:
            self._keeping.see(caption)
        elif not self._keeping.kept(caption.utterance):
            caption = replace(caption, final=False)
        self._telling.caption(caption)
        self._rooms.see(caption)
