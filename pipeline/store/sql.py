"""Meetings, what was said in them, recordings and keys, in one SQL database."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from pipeline.access import ApiKey, KeyId
from pipeline.domain import (
    Caption,
    Gap,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Pause,
    Presence,
    RecordingId,
    RecordingJob,
    RecordText,
    SegmentId,
    TrackId,
    Transcript,
    UtteranceId,
    VoiceRun,
)
from pipeline.record.matching import ParticipantSpeech
from pipeline.record.settled import Settlement
from pipeline.speakers import KnownVoice, SegmentChange
from pipeline.store import captions as spoken
from pipeline.store import lists, meetings, rooms, settled, voices
from pipeline.store.database import change_nothing, failure, open_database, reading
from pipeline.store.meanings import CONNECTIONS
from pipeline.store.writer import Writer

Given = ParamSpec("Given")
Kept = TypeVar("Kept")
Result = TypeVar("Result")
Statement = Callable[Concatenate[Connection, Given], Result]


class SqlStore:
    """What is kept of all meetings. A call that writes returns once its write is durable.

    Every method may raise ``StorageFull`` and ``StorageFailed``; those that name something raise ``NotFound``
    when it is not there. Reads run in a few threads of their own, since they may wait for the disk or the network.
    Several processes may have a store on one database; whoever writes to a meeting is alone in it until its commit.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._writer = Writer(engine)
        self._readers = ThreadPoolExecutor(CONNECTIONS - 1, "greffier-reader")

    @classmethod
    def open(cls, url: str) -> Self:
        """The store at ``sqlite:////folder/file`` or ``postgresql://user:password@host/name``, made or migrated.

        Raises ``InvalidSetting`` where it cannot be used and ``StorageFull``.
        """
        return cls(open_database(url))

    async def check(self) -> None:
        """Raises ``StorageFailed`` unless the store can be written to."""
        await self._write(change_nothing)

    async def close(self) -> None:
        """Returns when what was waiting to be written is durable."""
        await self._writer.close()
        await asyncio.to_thread(self._readers.shutdown)
        await asyncio.to_thread(self._engine.dispose)

    # meetings

    async def create_meeting(self, meeting: Meeting) -> None:
        """Raises ``InvalidInput`` when its id is taken."""
        await self._write(meetings.create_meeting, meeting)

    async def meeting(self, meeting: MeetingId) -> Meeting:
        return await self._read(meetings.meeting_named, meeting)

    async def meetings(self, query: str = "", before: float | None = None, limit: int = 50) -> list[Meeting]:
        """Newest first, those created before ``before``.

        Each word of ``query`` must be part of the title, of a name that a participant had or of a text that was ever
        kept of the meeting; case and accents do not count.
        """
        return await self._read(meetings.meetings, query, before, limit)

    async def open_meetings(self) -> list[Meeting]:
        """Those that are not over, oldest first."""
        return await self._read(meetings.open_meetings)

    async def update_meeting(self, meeting: Meeting) -> None:
        await self._write(meetings.update_meeting, meeting)

    async def delete_meeting(self, meeting: MeetingId) -> None:
        """With everything of it, but for files in the object store."""
        await self._write(meetings.delete_meeting, meeting)

    async def reserve_sequence(self, meeting: MeetingId, count: int = 10_000) -> int:
        """The first of ``count`` event numbers that are given only once; they begin at 1."""
        return await self._write(meetings.reserve_sequence, meeting, count)

    async def claim(self, meeting: MeetingId) -> int:
        """A fence for ``for_meeting``: whatever is written under one claimed before is refused from now on."""
        return await self._write(meetings.claim, meeting)

    # people and their tracks

    async def add_participant(
        self, meeting: MeetingId, participant: Participant, languages: Sequence[str] = ()
    ) -> None:
        """Again with the same id: the new name and languages count."""
        await self._write(meetings.add_participant, meeting, participant, tuple(languages))

    async def rename_participant(self, meeting: MeetingId, participant: ParticipantId, name: str) -> None:
        await self._write(meetings.rename_participant, meeting, participant, name)

    async def mark_shared_room(self, meeting: MeetingId, participant: ParticipantId, shared: bool | None) -> None:
        """Whether several people share the microphone of ``participant``; None: nobody says."""
        await self._write(meetings.mark_shared_room, meeting, participant, shared)

    async def participants(self, meeting: MeetingId) -> list[Participant]:
        """In the order in which they came, under their latest names."""
        return await self._read(meetings.participants, meeting)

    async def languages(self, meeting: MeetingId) -> dict[ParticipantId, tuple[str, ...]]:
        """What each participant declared to speak; empty means the languages of the meeting."""
        return await self._read(meetings.spoken_by, meeting)

    async def next_track(self, meeting: MeetingId, participant: ParticipantId) -> TrackId:
        """A track id that this meeting never had."""
        return await self._write(meetings.next_track, meeting, participant)

    async def tracks(self, meeting: MeetingId) -> dict[TrackId, Participant]:
        """Whose track each is, in the order in which they were opened."""
        return await self._read(meetings.tracks, meeting)

    async def presences(self, meeting: MeetingId) -> list[Presence]:
        """Who was there when, in the order in which they came."""
        return await self._read(spoken.presences, meeting)

    # rooms of SFUs

    async def open_meeting_of_room(self, provider: str, room: str) -> Meeting | None:
        """The newest meeting in that room that is not over."""
        return await self._read(rooms.open_meeting_of_room, provider, room)

    async def create_room_meeting(self, provider: str, room: str, meeting: Meeting) -> None:
        """Raises ``InvalidInput`` when its id is taken."""
        await self._write(rooms.create_room_meeting, provider, room, meeting)

    async def rooms_of(self, meeting: MeetingId) -> tuple[str, str] | None:
        """Provider and room; None for a meeting that took place in no SFU."""
        return await self._read(rooms.rooms_of, meeting)

    async def link_recording(
        self, recording: str, provider: str, room: str, meeting: MeetingId | None, at: float
    ) -> None:
        """Which room and meeting a recording of an SFU is of, in place of what was kept; ``at`` is wall clock."""
        await self._write(rooms.link_recording, recording, provider, room, meeting, at)

    async def linked_recording(self, recording: str) -> tuple[str, MeetingId | None] | None:
        """Room and meeting; None for a recording that was never linked, or whose meeting was deleted."""
        return await self._read(rooms.linked_recording, recording)

    # what was said

    def for_meeting(self, meeting: MeetingId, fence: int | None = None) -> "MeetingShelf":
        """The ``OwnedMeetingStore`` of one meeting, for whoever claimed it with ``fence``, where anybody did."""
        return MeetingShelf(self, meeting, fence)

    async def finals(self, meeting: MeetingId) -> list[Caption]:
        """In the order in which they were spoken."""
        return await self._read(spoken.finals, meeting)

    async def open_captions(self, meeting: MeetingId) -> list[Caption]:
        """What was kept of utterances that have no final."""
        return await self._read(spoken.open_captions, meeting)

    async def unrecorded(self, meeting: MeetingId, since: float) -> list[Caption]:
        """The finals without record text whose words end after ``since``, in the order in which they were spoken."""
        return await self._read(spoken.unrecorded, meeting, since)

    async def pauses(self, meeting: MeetingId) -> list[Pause]:
        return await self._read(spoken.pauses, meeting)

    async def transcript(self, meeting: MeetingId) -> Transcript:
        return await self._read(spoken.transcript, meeting)

    async def correct(self, meeting: MeetingId, segment: SegmentId, text: str | None, count: int | None = None) -> None:
        """``text`` in place of what was heard; None takes a correction back.

        ``count`` is how many caption words it was shown with. Raises ``OutOfDate`` where it has others.
        """
        await self._write(voices.correct, meeting, segment, text, count)

    async def changes(self, meeting: MeetingId) -> dict[SegmentId, SegmentChange]:
        """What people changed, by segment."""
        return await self._read(voices.changes, meeting)

    # voices that share a microphone

    async def runs(self, meeting: MeetingId) -> list[VoiceRun]:
        """Which words a voice said, with what people moved, by utterance and first word."""
        return await self._read(voices.runs, meeting)

    async def voices(self, meeting: MeetingId) -> list[KnownVoice]:
        """Every voice that was heard, kept or made, by participant and number."""
        return await self._read(voices.voices, meeting)

    async def keep_enrolment(
        self, meeting: MeetingId, participant: ParticipantId, embedding: NDArray[np.float32]
    ) -> None:
        """What a participant sounds like, by consent, in place of what was kept; its voice in shared rooms is named."""
        await self._write(voices.keep_enrolment, meeting, participant, embedding)

    async def remove_enrolment(self, meeting: MeetingId, participant: ParticipantId) -> None:
        await self._write(voices.remove_enrolment, meeting, participant)

    async def enrolled(self, meeting: MeetingId) -> set[ParticipantId]:
        """Whose enrolment is kept."""
        return await self._read(voices.enrolled, meeting)

    async def rename_voice(self, meeting: MeetingId, participant: ParticipantId, voice: int, name: str | None) -> None:
        """A name is that of the voice it turned out to be. None takes it back; ``UNNAMED``: no enrolment gives one."""
        await self._write(voices.rename_voice, meeting, participant, voice, name)

    async def merge_voices(self, meeting: MeetingId, participant: ParticipantId, voice: int, into: int | None) -> None:
        """What ``voice`` said is said by ``into``; None parts them again. Raises ``InvalidInput`` for a circle."""
        await self._write(voices.merge_voices, meeting, participant, voice, into)

    async def move_segment_to_voice(
        self, meeting: MeetingId, segment: SegmentId, voice: int | None, count: int | None = None
    ) -> int:
        """The words of ``segment`` were said by ``voice``, ``NOBODY``, or for None a new one; its number.

        ``count`` as above. Raises ``OutOfDate``.
        """
        return await self._write(voices.move_segment_to_voice, meeting, segment, voice, count)

    # settling after a meeting

    async def unsettled(self, before: float) -> list[MeetingId]:
        """Those that ended in the week before ``before``, wall clock, and were not looked at again; oldest first."""
        return await self._read(settled.unsettled, before)

    async def touched(self, meeting: MeetingId) -> frozenset[UtteranceId]:
        """The utterances of which people changed a segment."""
        return await self._read(settled.touched, meeting)

    async def settle(self, meeting: MeetingId, settlement: Settlement) -> None:
        """Keeps all of it or nothing; nothing of what people touched, and nothing where the meeting is settled.

        Raises ``OutOfDate`` where people named or merged voices since it was begun.
        """
        await self._write(settled.settle, meeting, settlement)

    async def unfinished(self) -> dict[MeetingId, list[Caption]]:
        """What was kept of utterances that have no final."""
        return await self._read(spoken.unfinished)

    async def close_unfinished(self) -> list[MeetingId]:
        """Make finals of unfinished utterances and mark their meetings as cut; the meetings concerned.

        Whoever was still there then left at the last moment that is known of the meeting. For a start after a kill: no
        session may be running.
        """
        return await self._write(spoken.close_unfinished)

    # recordings and keys

    async def create_recording(self, job: RecordingJob, people: Sequence[ParticipantSpeech] = ()) -> None:
        """Raises ``InvalidInput`` when its id is taken. ``people``: who spoke when in it, where that is known."""
        await self._write(lists.create_recording, job, tuple(people))

    async def recording(self, recording: RecordingId) -> RecordingJob:
        return await self._read(lists.recording, recording)

    async def recordings(self) -> list[RecordingJob]:
        """Newest first."""
        return await self._read(lists.recordings)

    async def speech_in(self, recording: RecordingId) -> tuple[ParticipantSpeech, ...]:
        """Who spoke when in a recording that is not over; empty where nobody said it."""
        return await self._read(lists.speech_in, recording)

    async def update_recording(self, job: RecordingJob) -> None:
        await self._write(lists.update_recording, job)

    async def finish_recording(
        self, job: RecordingJob, meeting: Meeting, participants: Sequence[Participant], sentences: Sequence[Caption]
    ) -> None:
        """Keep ``job`` and the meeting it became, whole or not at all; ``NotFound`` where it was deleted meanwhile.

        ``sentences`` name their participant in place of their track, which they get here.
        """
        await self._write(lists.finish_recording, job, meeting, tuple(participants), tuple(sentences))

    async def delete_recording(self, recording: RecordingId) -> None:
        """With the meeting it became."""
        await self._write(lists.delete_recording, recording)

    async def add_key(self, key: ApiKey) -> None:
        """Raises ``InvalidInput`` when its id is taken."""
        await self._write(lists.add_key, key)

    async def keys(self) -> list[ApiKey]:
        """Oldest first."""
        return await self._read(lists.keys)

    async def remove_key(self, key: KeyId) -> None:
        await self._write(lists.remove_key, key)

    async def _write(self, statement: Statement[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
        return await self._writer.write(lambda connection: statement(connection, *given, **named))

    async def _read(self, statement: Statement[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
        def read() -> Result:
            try:
                with self._reading.begin() as connection:  # one transaction: one state of the database
                    return statement(connection, *given, **named)
            except Exception as error:
                meaning = failure(error)
                if meaning is error:
                    raise
                raise meaning from error

        self._writer.check()
        return await asyncio.get_running_loop().run_in_executor(self._readers, read)


@dataclass(frozen=True, slots=True)
class MeetingShelf:
    """An ``OwnedMeetingStore`` in a ``SqlStore``. Raises ``NotFound`` once the meeting is deleted.

    With a ``fence``, every write raises ``Superseded`` and changes nothing once somebody has claimed the meeting since.
    """

    store: SqlStore
    meeting: MeetingId
    fence: int | None = None

    async def keep_final(self, caption: Caption) -> None:
        await self._keep(spoken.keep_final, caption)

    async def keep_record(self, record: RecordText) -> None:
        await self._keep(spoken.keep_record, record)

    async def keep_gap(self, gap: Gap) -> None:
        await self._keep(spoken.keep_gap, gap)

    async def keep_open(self, captions: Sequence[Caption]) -> None:
        await self._keep(spoken.keep_open, tuple(captions))

    async def keep_pause(self, pause: Pause) -> None:
        await self._keep(spoken.keep_pause, pause)

    async def keep_presences(self, presences: Sequence[Presence]) -> None:
        await self._keep(spoken.keep_presences, tuple(presences))

    async def keep_runs(self, runs: Sequence[VoiceRun]) -> None:
        await self._keep(voices.keep_runs, tuple(runs))

    async def keep_voice(self, participant: ParticipantId, voice: int, centroid: NDArray[np.float32]) -> None:
        await self.store._write(voices.keep_voice, self.meeting, participant, voice, centroid, self.fence)

    async def keep_end(self, ended_at: float) -> None:
        await self._keep(meetings.keep_end, ended_at)

    async def keep_cut(self) -> None:
        await self.store._write(meetings.keep_cut, self.meeting, self.fence)

    async def reserve_sequence(self, count: int) -> int:
        return await self._keep(meetings.reserve_sequence, count)

    async def _keep(self, statement: Callable[[Connection, MeetingId, Kept, int | None], Result], kept: Kept) -> Result:
        return await self.store._write(statement, self.meeting, kept, self.fence)
