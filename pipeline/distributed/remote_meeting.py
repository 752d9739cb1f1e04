"""A meeting in a process that does not caption it: readers see a mirror of its feed, sound goes to whoever owns it."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

from pipeline.bus.redis.audio_out import AudioOutlet
from pipeline.bus.redis.captions_in import MirroredFeed, tell_unowned
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.control import Control
from pipeline.bus.redis.reader import Stop
from pipeline.domain import Meeting, MeetingId, Participant, ParticipantId, Pause, Track
from pipeline.errors import BusFailed, GreffierError, InvalidInput, NotFound
from pipeline.export.event import Event, seconds
from pipeline.ports import AudioKeeper, AudioSource, KeptMeetings, SpeechDetector
from pipeline.running.telling import CAPTIONS
from pipeline.running.voices import Voices

_log = logging.getLogger("greffier.meeting")

_LAST_WORDS = 3.0
_WISHES = 200
OVER = "the meeting is over: open another one"


@dataclass(frozen=True, slots=True)
class Shared:
    """What the remote meetings of one process share; ``new_keeper`` as in ``Equipment``."""

    bus: RedisBus
    store: KeptMeetings
    new_detector: Callable[[], SpeechDetector]
    check_languages: Callable[[tuple[str, ...]], None]
    new_keeper: Callable[[MeetingId], AudioKeeper] | None = None


class RemoteMeeting:
    """A ``LiveMeeting``. What it is asked to change is kept in the store and then told to the owner, if there is one.

    Sound goes through an edge of this process: silence sends nothing. ``look`` is called several times a second.
    """

    def __init__(
        self,
        shared: Shared,
        meeting: Meeting,
        feed: MirroredFeed,
        participants: Sequence[Participant],
        pauses: Sequence[Pause],
    ) -> None:
        self.feed = feed
        self.used_at, self.asked_at = asyncio.get_running_loop().time(), float("-inf")
        """When somebody had to do with it last by this process, and when captions were asked for."""
        self._shared = shared
        self._meeting = meeting
        self._now = 0.0
        self._known = {participant.id: participant for participant in participants}
        self._declared: dict[ParticipantId, tuple[str, ...]] = {}
        self._chosen: dict[ParticipantId, tuple[str, ...]] = {}
        self._entered: dict[ParticipantId, int] = {}
        self._paused = _lasts(pauses)
        self._gone = False
        self._outlet: AudioOutlet | None = None
        self._voices: Voices | None = None
        self._keeper: AudioKeeper | None = None
        # Drop rule: the oldest go. Each says what the store says too, which is read again when Redis comes back.
        self._wishes: deque[dict[str, object]] = deque(maxlen=_WISHES)
        self._stops: list[Stop] = []
        self._forget_return: Callable[[], None] = lambda: None

    @classmethod
    async def open(cls, shared: Shared, meeting: Meeting) -> "RemoteMeeting":
        """Raises ``BusFailed``, and what the store raises."""
        feed = await MirroredFeed.open(shared.bus, meeting.id)
        try:
            participants = await shared.store.participants(meeting.id)
            one = cls(shared, meeting, feed, participants, await shared.store.pauses(meeting.id))
            one._stops.append(await Control.follow(shared.bus, meeting.id, one._heed))
        except BaseException:
            await feed.stop()
            raise
        one._forget_return = shared.bus.on_return(one._read_again)
        return one

    # --- what it is -------------------------------------------------------------------------------------------

    @property
    def meeting(self) -> Meeting:
        if self.feed.ended and self._meeting.ended_at is None:
            self._meeting = replace(self._meeting, ended_at=self._shared.bus.wall())
        return self._meeting

    def now(self) -> float:
        """By the clock of Redis, which all processes share."""
        self._now = max(self._now, self._shared.bus.wall() - self._meeting.created_at)
        return self._now

    async def until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self.now()))

    @property
    def listening(self) -> bool:
        return not self.over and not self._paused

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def over(self) -> bool:
        return self._gone or self.feed.ended

    @property
    def tracks(self) -> int:
        return 0 if self._voices is None else len(self._voices)

    @property
    def wanted(self) -> bool:
        """Whether somebody takes part or reads by this process."""
        return bool(self._entered or self.tracks or self.feed.readers)

    @property
    def outlet(self) -> AudioOutlet | None:
        return self._outlet

    def snapshot(self, after: int | None = None) -> Event:
        people = {name: (known.name, False) for name, known in self._known.items()} | self.feed.people
        captions = [reading.event for reading in self.feed.history(after) if reading.event["type"] in CAPTIONS]
        return self._event("snapshot") | {
            "sequence": self.feed.newest,
            "title": self.meeting.title,
            "state": "ended" if self.feed.ended else "running",
            "paused": self._paused,
            "participants": [
                {"participant": name, "speaker": speaker, "present": present}
                for name, (speaker, present) in people.items()
            ],
            "events": captions,
        }

    # --- who is there -----------------------------------------------------------------------------------------

    async def enter(self, participant: Participant, languages: tuple[str, ...] = ()) -> None:
        known = await self._admit(participant, languages)
        self._refuse_when_over()
        self._come(known)

    async def leave(self, participant: ParticipantId) -> None:
        self._go(participant)

    async def join(self, participant: Participant, languages: tuple[str, ...] = ()) -> Track:
        known = await self._admit(participant, languages)
        track = await self._shared.store.next_track(self._meeting.id, participant.id)
        return Track(track, known, self._languages(participant.id))

    async def publish(self, source: AudioSource, track: Track) -> None:
        self._refuse_when_over()
        outlet, voices = self._out, self._hearing()
        self._come(track.participant)
        try:
            await voices.pump(source, track)
            with suppress(TimeoutError):  # whoever leaves has left once what they said is final
                async with asyncio.timeout(_LAST_WORDS):
                    await outlet.ended(track.id)
        finally:
            self._go(track.participant.id)

    async def rename(self, participant: ParticipantId, name: str) -> None:
        await self._shared.store.rename_participant(self._meeting.id, participant, name)
        self._call(participant, name)
        await self._tell(do="rename", participant=participant, name=name)

    async def _admit(self, participant: Participant, languages: tuple[str, ...]) -> Participant:
        """Knows it from now on, as the meeting named it first or renamed it."""
        self._refuse_when_over()
        self._shared.check_languages(languages)
        store, meeting = self._shared.store, self._meeting.id
        if participant.id not in self._known or participant.id not in self._declared:
            self._known |= {known.id: known for known in await store.participants(meeting)}
            declared = await store.languages(meeting)
            self._declared |= declared | {participant.id: declared.get(participant.id, ())}
        if participant.id not in self._known:
            await store.add_participant(meeting, participant, languages)
            self._known[participant.id] = participant
        shared = participant.shared_room
        if shared is not None and self._known[participant.id].shared_room is None:  # as far as is known here
            self._known |= {known.id: known for known in await store.participants(meeting)}
        if shared is not None and self._known[participant.id].shared_room is None:
            await store.mark_shared_room(meeting, participant.id, shared)
            self._known[participant.id] = replace(self._known[participant.id], shared_room=shared)
            await self.voices_changed()
        if languages:
            self._declared[participant.id] = languages
        return self._known[participant.id]

    def _come(self, participant: Participant) -> None:
        self._entered[participant.id] = self._entered.get(participant.id, 0) + 1
        self._known[participant.id] = participant
        self._show_person(participant.id)

    def _go(self, participant: ParticipantId) -> None:
        if participant not in self._entered:
            return
        self._entered[participant] -= 1
        if not self._entered[participant]:
            del self._entered[participant]
            if self._outlet is not None:
                self._outlet.drop_person(participant)

    def _languages(self, participant: ParticipantId) -> tuple[str, ...]:
        return self._chosen.get(participant) or self._declared.get(participant, ())

    def _call(self, participant: ParticipantId, name: str) -> None:
        known = self._known.get(participant) or Participant(participant, name)
        self._known[participant] = replace(known, name=name)
        self._show_person(participant)

    def _show_person(self, participant: ParticipantId) -> None:
        """What the owner reads of somebody who is there by this process."""
        if participant in self._entered:
            self._out.set_person(self._known[participant], self._languages(participant))

    # --- what may change while it goes on ---------------------------------------------------------------------

    async def pause(self) -> None:
        if self._paused or self.over:
            return
        pause = Pause(self.now())
        await self._shared.store.for_meeting(self._meeting.id).keep_pause(pause)
        await self._hear_no_more()
        await self._tell(do="pause", at=pause.start)

    async def resume(self) -> None:
        if not self._paused or self.over:
            return
        at = self.now()
        for pause in await self._shared.store.pauses(self._meeting.id):
            if pause.end is None:
                await self._shared.store.for_meeting(self._meeting.id).keep_pause(replace(pause, end=at))
        self._hear_again(at)
        await self._tell(do="resume", at=at)

    async def set_glossary(self, terms: tuple[str, ...]) -> None:
        self._meeting = replace(self._meeting, glossary=terms)
        await self._tell(do="glossary", terms=list(terms))

    async def set_languages(self, languages: tuple[str, ...], participant: ParticipantId | None = None) -> None:
        self._shared.check_languages(languages)
        if participant is None and not languages:
            raise InvalidInput("a meeting needs at least one language")
        self._speak(languages, participant)
        await self._tell(do="languages", languages=list(languages), participant=participant)

    async def voices_changed(self) -> None:
        await self._tell(do="voices")

    async def tell(self, code: str) -> None:
        if not await self.tell_unowned(code):
            await self._tell(do="notice", code=code)

    async def tell_unowned(self, code: str) -> bool:
        """Gives readers a notice while nobody captions the meeting; False when somebody does. Raises ``BusFailed``."""
        notice = self._event("notice") | {"code": code, "at": seconds(self.now())}
        return await tell_unowned(self._shared.bus, self._meeting.id, notice, self.feed.newest)

    async def tell_waiting(self) -> None:
        """Nobody captions it: readers are told that it waits, or that it is over, should nobody have told them."""
        try:
            over = (await self._shared.store.meeting(self._meeting.id)).ended_at is not None
        except NotFound:
            over = True
        if over:
            await self.tell_ended()
        else:
            await self.tell_unowned("waiting")

    async def tell_ended(self) -> None:
        """Readers are told that it is over; whoever captions it is told to end it. Raises ``BusFailed``."""
        ended = self._event("meeting") | {"state": "ended", "title": self.meeting.title, "paused": self._paused}
        if not await tell_unowned(self._shared.bus, self._meeting.id, ended, self.feed.newest):
            await self._tell(do="end")

    def _speak(self, languages: tuple[str, ...], participant: ParticipantId | None) -> None:
        if participant is None:
            self._meeting = replace(self._meeting, languages=languages)
        else:
            self._chosen[participant] = languages
            self._show_person(participant)

    async def _tell(self, **wish: object) -> None:
        await Control.tell(self._shared.bus, self._meeting.id, **wish)

    # --- what others wish -------------------------------------------------------------------------------------

    def _heed(self, wish: dict[str, object]) -> None:
        """Sound stops at once; the rest is done at the next ``look``."""
        if wish.get("do") == "pause" and self._voices is not None:
            self._voices.hears = False
        self._wishes.append(wish)

    async def look(self) -> None:
        """Does what others wish, and ends the speech of tracks that say nothing."""
        while self._wishes and not self._gone:
            await self._grant(cast(dict[str, Any], self._wishes.popleft()))
        if self._voices is not None and self._outlet is not None and not self.over:
            await self._voices.look(self.now())
            if self.tracks:
                self._outlet.heard(self.now())

    async def _grant(self, wish: dict[str, Any]) -> None:
        match wish:
            case {"do": "pause"}:
                await self._hear_no_more()
            case {"do": "resume", "at": at}:
                self._hear_again(at)
            case {"do": "rename", "participant": participant, "name": name}:
                self._call(participant, name)
            case {"do": "languages", "languages": languages, "participant": participant}:
                self._speak(tuple(languages), participant)
            case {"do": "glossary", "terms": terms}:
                self._meeting = replace(self._meeting, glossary=tuple(terms))
            case {"do": "delete"}:
                self._gone = True

    async def _read_again(self) -> None:
        """Redis was away, and wishes with it: the store has what lasts."""
        try:
            paused = _lasts(await self._shared.store.pauses(self._meeting.id))
        except GreffierError as failure:
            _log.warning("meeting.unread", extra={"meeting": self._meeting.id, "error": type(failure).__name__})
            return
        if paused and not self._paused:
            await self._hear_no_more()
        elif self._paused and not paused:
            self._hear_again(self.now())

    async def _hear_no_more(self) -> None:
        self._paused = True
        if self._voices is not None:
            await self._voices.pause()

    def _hear_again(self, at: float) -> None:
        self._paused = False
        if self._voices is not None and not self.over:
            self._voices.resume(at)

    # --- sound ------------------------------------------------------------------------------------------------

    @property
    def _out(self) -> AudioOutlet:
        if self._outlet is None:
            self._outlet = AudioOutlet(self._shared.bus, self._meeting.id)
        return self._outlet

    def _hearing(self) -> Voices:
        if self._voices is None:
            if self.meeting.keep_audio and self._shared.new_keeper is not None:
                self._keeper = self._shared.new_keeper(self._meeting.id)
            self._voices = Voices(self._out, self._shared.new_detector, self._keeper, hears=not self._paused)
        return self._voices

    # --- how it ends ------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """This process has to do with it no more, whether it is over or goes on: tracks and readers end, what was heard
        is on its way, and what is to be kept is. Again, it does nothing."""
        self._gone = True
        self._forget_return()
        for stop in self._stops:
            await stop()
        if self._voices is not None:
            await self._voices.close()
        await self.feed.stop()
        outlet, self._outlet = self._outlet, None
        keeper, self._keeper = self._keeper, None
        try:
            if outlet is not None:
                await outlet.close()
        except BusFailed as failure:
            _log.warning("sound.unsent", extra={"meeting": self._meeting.id, "error": type(failure).__name__})
        finally:
            if keeper is not None:
                await keeper.close()

    def _refuse_when_over(self) -> None:
        if self.over:
            raise InvalidInput(OVER)

    def _event(self, kind: str) -> Event:
        return {"type": kind, "meeting": self._meeting.id, "sent_at": seconds(self.now())}


def _lasts(pauses: Sequence[Pause]) -> bool:
    return bool(pauses) and pauses[-1].end is None
