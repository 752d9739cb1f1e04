"""Who takes part in one running meeting, in which languages, and who is there now."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from pipeline.domain import MeetingId, Participant, ParticipantId, Presence, TrackId
from pipeline.ports import KeptMeetings
from pipeline.running.keeping import Keeping
from pipeline.running.telling import Telling


@dataclass(slots=True)
class Attendance:
    """Tells and keeps who comes and goes; ``declared`` are the languages each participant declared.

    A participant comes as often as it opens a track or enters a room, and has left once it went as often.
    """

    meeting: MeetingId
    store: KeptMeetings
    telling: Telling
    keeping: Keeping
    declared: dict[ParticipantId, tuple[str, ...]]
    _chosen: dict[ParticipantId, tuple[str, ...]] = field(default_factory=dict)
    _times: dict[ParticipantId, int] = field(default_factory=dict)
    _since: dict[ParticipantId, Presence] = field(default_factory=dict)
    _closed: bool = False

    def __len__(self) -> int:
        """How many are there."""
        return len(self._times)

    def __contains__(self, participant: ParticipantId) -> bool:
        """Whether it is there."""
        return participant in self._times

    async def admit(self, participant: Participant, languages: tuple[str, ...]) -> Participant:
        """Knows it from now on, as the meeting named it first or renamed it; a mark counts where there was none.
        Raises what the store raises."""
        people = self.telling.people
        if participant.id not in people:
            people |= {known.id: known for known in await self.store.participants(self.meeting)}
            self.declared = await self.store.languages(self.meeting)
        if participant.id not in people:
            await self.store.add_participant(self.meeting, participant, languages)
            people[participant.id] = participant
        shared = participant.shared_room
        if shared is not None and people[participant.id].shared_room is None:
            await self.store.mark_shared_room(self.meeting, participant.id, shared)
            people[participant.id] = replace(people[participant.id], shared_room=shared)
        if languages:
            self.declared[participant.id] = languages
        return people[participant.id]

    async def next_track(self, participant: ParticipantId) -> TrackId:
        return await self.store.next_track(self.meeting, participant)

    async def rename(self, participant: ParticipantId, name: str) -> None:
        """The name in the store and in events from now on. Raises ``NotFound``."""
        await self.store.rename_participant(self.meeting, participant, name)
        known = self.telling.people.get(participant) or Participant(participant, name)
        self.telling.people[participant] = replace(known, name=name)
        self.telling.participant(participant, "renamed", participant in self)
        self.telling.named_anew(participant)

    def choose(self, participant: ParticipantId, languages: tuple[str, ...]) -> None:
        """``languages`` from now on, whatever it declares later."""
        self._chosen[participant] = languages

    def languages(self, participant: ParticipantId) -> tuple[str, ...]:
        """Those chosen for it while the meeting ran, else those it declared; empty means the meeting's."""
        return self._chosen.get(participant) or self.declared.get(participant, ())

    def come(self, participant: ParticipantId) -> None:
        if self._closed:
            return
        self._times[participant] = self._times.get(participant, 0) + 1
        if self._times[participant] == 1:
            self._since[participant] = Presence(participant, self.telling.now())
            self.keeping.keep_presence(self._since[participant])
            self.telling.participant(participant, "joined", present=True)

    def go(self, participant: ParticipantId) -> None:
        """Does nothing for one who is not there."""
        if participant not in self._times:
            return
        self._times[participant] -= 1
        if not self._times[participant]:
            self._leave(participant)

    def go_on(self, presences: Iterable[Presence]) -> None:
        """Those who were there when another session stopped are still there, as far as is known."""
        for presence in presences:
            self._since[presence.participant] = presence
            self._times[presence.participant] = 1

    def are_there(self, present: Collection[ParticipantId]) -> None:
        """Just these are there: whoever was not comes, whoever was and is not any more leaves."""
        for participant in [name for name in self._times if name not in present]:
            self._leave(participant)
        for participant in present:
            if participant not in self._times:
                self.come(participant)

    def close(self) -> None:
        """Whoever is there leaves, and nobody comes any more."""
        self._closed = True
        for participant in tuple(self._times):
            self._leave(participant)

    def _leave(self, participant: ParticipantId) -> None:
        del self._times[participant]
        began = self._since.pop(participant)
        self.keeping.keep_presence(Presence(participant, began.joined, self.telling.now()))
        self.telling.participant(participant, "left", present=False)
