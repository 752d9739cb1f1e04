"""After a meeting: who spoke and what was said are looked through once more, whatever happens to the process."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from dramatiq.brokers.stub import StubBroker

from models.batching import Batcher, BatchSettings
from models.scripted import ScriptedEngine
from models.silero import SileroModel, bundled_model
from pipeline.bus.leases import Board, MemoryLeases
from pipeline.domain import (
    SAMPLE_RATE,
    Caption,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    RecordText,
    Samples,
    SegmentId,
    Settled,
    TrackId,
    Transcript,
    UtteranceId,
    VoiceRun,
    VoiceSpan,
    WindowKind,
    Word,
)
from pipeline.errors import ModelUnavailable, NotFound, UnreadableMedia
from pipeline.jobs import RecordingJobs, Transcription
from pipeline.leased import LeasedWork
from pipeline.mixed import VoiceSearch
from pipeline.record.settled import Settlement
from pipeline.record.texts import text_of
from pipeline.settling import Settling
from pipeline.settling_jobs import SettlingJobs
from pipeline.store.spool import AudioSpool
from pipeline.store.sql import SqlStore
from tests.pipeline.test_jobs import Sounds
from tests.pipeline.test_mixed import Voices
from tests.recordings import silence

ROOM = Participant(ParticipantId("room"), "Salle Descartes")
TRACK = TrackId("room.1")
MEETING = MeetingId("point")
ONE, TWO = np.eye(2, dtype=np.float32)
SAID = ("un deux trois quatre", "cinq six sept huit")
"""What captions have, in four seconds each, six seconds apart; the second recognition hears it in capitals."""
TWO_VOICES = (VoiceSpan(1, 0.0, 2.0), VoiceSpan(2, 2.0, 4.0), VoiceSpan(1, 10.0, 14.0))


def words(text: str, start: float) -> tuple[Word, ...]:
    return tuple(Word(f" {each}", start + k, start + k + 0.9) for k, each in enumerate(text.split()))


BETTER = {TRACK: tuple(word for k, text in enumerate(SAID) for word in words(text.upper(), 10.0 * k))}
HEARD = ["UN DEUX TROIS QUATRE", "CINQ SIX SEPT HUIT"]
CAPTIONED = list(SAID)


@dataclass(slots=True)
class Engine(ScriptedEngine):
    """While its door is shut, each batch waits before it."""

    door: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.door.set()
        self.wait = lambda _: self.door.wait(20.0) and None


@dataclass(frozen=True, slots=True)
class Kept:
    """The kept sound of one track."""

    duration: float = 15.0

    def pieces(self, seconds: float) -> Iterator[Samples]:
        yield silence(self.duration)


@dataclass(slots=True)
class KeptSounds:
    kept: dict[TrackId, Kept | Exception] = field(default_factory=dict)

    def open(self, meeting: MeetingId, track: TrackId) -> Kept:
        sound = self.kept.get(track, NotFound("no sound of this track is kept"))
        if isinstance(sound, Exception):
            raise sound
        return sound


@dataclass(slots=True)
class Desk:
    """One process: its store, its engine, its jobs."""

    store: SqlStore
    engine: Engine
    jobs: RecordingJobs
    settling: SettlingJobs

    async def start(self) -> None:
        await self.jobs.start()
        await self.settling.start()

    async def close(self) -> None:
        await self.settling.close()
        await self.jobs.close()

    async def held(self, keep_audio: bool = True, runs: Sequence[VoiceRun] = (), said: Sequence[str] = SAID) -> None:
        """A meeting in which ``said`` was said by ``runs`` on the microphone of a room; it has ended."""
        await self.store.create_meeting(Meeting(MEETING, "Point", 1000.0, keep_audio=keep_audio))
        await self.store.add_participant(MEETING, ROOM)
        assert await self.store.next_track(MEETING, ROOM.id) == TRACK
        shelf = self.store.for_meeting(MEETING)
        for k, text in enumerate(said):
            heard = words(text, 10.0 * k)
            await shelf.keep_final(Caption(TRACK, UtteranceId(f"u{k}"), 1, True, "fr", heard))
            await shelf.keep_record(RecordText(TRACK, (UtteranceId(f"u{k}"),), "fr", heard))
        await shelf.keep_runs(runs)
        await shelf.keep_end(1020.0)

    async def settled(self, within: float = 20.0) -> Settled:
        async with asyncio.timeout(within):
            while (how := (await self.store.meeting(MEETING)).settled) is None:  # noqa: ASYNC110 - as a client
                await asyncio.sleep(0.02)
        return how

    async def working(self) -> None:
        """Returns once the engine has a window of the meeting."""
        async with asyncio.timeout(20.0):
            while not self.engine.batches:  # noqa: ASYNC110 - a thread fills it
                await asyncio.sleep(0.01)


@asynccontextmanager
async def desk(
    folder: Path,
    voices: Voices | None = None,
    sounds: dict[TrackId, Kept | Exception] | None = None,
    engine: Engine | None = None,
    busy: set[MeetingId] | None = None,
    board: Board | None = None,
) -> AsyncIterator[Desk]:
    engine = engine or Engine(BETTER)
    store = SqlStore.open(f"sqlite:///{folder}/greffier.db")
    try:
        async with Batcher(engine, BatchSettings(callers=1)) as batcher:
            detector, loop = SileroModel(bundled_model()).detector, asyncio.get_running_loop()
            leases = MemoryLeases({} if board is None else board)
            done = Transcription(store, batcher, detector, AudioSpool, Sounds(), leases, ("fr",), loop)
            jobs = RecordingJobs(StubBroker(), done, retry_after=0.05)
            work = LeasedWork(leases, loop, done.stopping)
            search = None if voices is None else VoiceSearch(lambda: voices)
            settling = Settling(store, work, KeptSounds(sounds or {}), batcher, AudioSpool, search)

            async def is_busy(meeting: MeetingId) -> bool:
                return meeting in (busy or ())

            sending = SettlingJobs(jobs.broker, settling, is_busy, lambda: 2000.0, every=0.02, retry_after=0.05)
            one = Desk(store, engine, jobs, sending)
            yield one
            engine.door.set()
            await one.close()
    finally:
        await store.close()


def told(transcript: Transcript) -> list[tuple[str, str]]:
    return [(segment.participant.name, text_of(segment)[0]) for segment in transcript.segments]


def texts(transcript: Transcript) -> list[str]:
    return [text for _, text in told(transcript)]


KEPT: dict[TrackId, Kept | Exception] = {TRACK: Kept()}


# --- what it finds ---------------------------------------------------------------------------------------------


async def test_who_spoke_at_a_shared_microphone_and_what_was_said_come_from_the_kept_sound(tmp_path: Path) -> None:
    voices = Voices(TWO_VOICES)
    async with desk(tmp_path, voices, KEPT) as one:
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 3)])
        await one.start()
        assert await one.settled() is Settled.SOUND
        transcript = await one.store.transcript(MEETING)
    assert told(transcript) == [
        ("Salle Descartes (voix 3)", "UN DEUX"),
        ("Salle Descartes (voix 1)", "TROIS QUATRE"),
        ("Salle Descartes (voix 3)", "CINQ SIX SEPT HUIT"),
    ]
    assert [segment.id for segment in transcript.segments] == ["u0", "u0/2", "u1"]
    assert voices.heard == [15 * SAMPLE_RATE]
    assert {window.kind for batch in one.engine.batches for window in batch} == {WindowKind.RECORD}


async def test_neighbours_are_heard_together_with_the_terms_of_the_meeting(tmp_path: Path) -> None:
    async with desk(tmp_path, sounds=KEPT) as one:
        await one.held()
        await one.store.update_meeting(replace(await one.store.meeting(MEETING), glossary=("Visio",)))
        shelf = one.store.for_meeting(MEETING)
        await shelf.keep_final(Caption(TRACK, UtteranceId("u2"), 1, True, "fr", words("neuf", 16.5)))
        await one.start()
        await one.settled()
    windows = [window for batch in one.engine.batches for window in batch]
    assert [(round(window.start, 1), round(window.end, 1), window.glossary) for window in windows[:2]] == [
        (0.0, 4.2, ("Visio",)),
        (9.7, 17.7, ("Visio",)),
    ]


async def test_a_room_that_is_marked_is_told_apart_even_where_nobody_did_live(tmp_path: Path) -> None:
    async with desk(tmp_path, Voices(TWO_VOICES), KEPT) as one:
        await one.held()
        await one.store.mark_shared_room(MEETING, ROOM.id, True)
        await one.start()
        await one.settled()
        assert len({name for name, _ in told(await one.store.transcript(MEETING))}) == 2


async def test_the_voice_of_a_participant_alone_is_not_looked_for(tmp_path: Path) -> None:
    voices = Voices(TWO_VOICES)
    async with desk(tmp_path, voices, KEPT) as one:
        await one.held()
        await one.start()
        assert await one.settled() is Settled.SOUND
        assert told(await one.store.transcript(MEETING)) == [("Salle Descartes", text) for text in HEARD]
    assert voices.heard == []


ALIKE = [
    VoiceRun(UtteranceId("u0"), 0, 4, 1),
    VoiceRun(UtteranceId("u1"), 0, 3, 2),
    VoiceRun(UtteranceId("u1"), 3, 1, 3),
]


async def sounding(one: Desk) -> None:
    """Voices 1 and 2 sound alike, 3 does not."""
    shelf = one.store.for_meeting(MEETING)
    for voice, centroid in ((1, ONE), (2, ONE + 0.1 * TWO), (3, TWO)):
        await shelf.keep_voice(ROOM.id, voice, centroid)


@pytest.mark.parametrize(
    ("voices", "sounds"),
    [
        (Voices(TWO_VOICES), {}),
        (Voices(TWO_VOICES), {TRACK: UnreadableMedia("damaged")}),
        (Voices(error=ModelUnavailable("no such model")), KEPT),
        (Voices(error=ZeroDivisionError()), KEPT),
        (Voices(TWO_VOICES), {TRACK: Kept(7 * 3600.0)}),
        (None, KEPT),
    ],
    ids=["not kept", "damaged", "no model", "a bug", "too long", "not installed"],
)
async def test_without_its_sound_voices_that_were_one_become_one_and_the_meeting_says_so(
    tmp_path: Path, voices: Voices | None, sounds: dict[TrackId, Kept | Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "pieces", lambda self, seconds: iter([silence(15.0)]))
    async with desk(tmp_path, voices, sounds) as one:
        await one.held(runs=ALIKE)
        await sounding(one)
        await one.start()
        assert await one.settled() is Settled.VOICES
        transcript = await one.store.transcript(MEETING)
        assert {known.voice for known in await one.store.voices(MEETING)} == {1, 3}
    assert [segment.participant.name[-8:] for segment in transcript.segments] == ["(voix 1)", "(voix 1)", "(voix 3)"]
    assert "".join(texts(transcript)).isupper() == (sounds == KEPT or isinstance(sounds.get(TRACK), Kept))


async def test_a_meeting_without_anything_to_settle_costs_nothing(tmp_path: Path) -> None:
    def never() -> Voices:
        raise AssertionError("nobody asked for it")

    async with desk(tmp_path) as one:
        object.__setattr__(one.settling.settling, "voices", VoiceSearch(never))
        await one.held(keep_audio=False)
        await one.start()
        assert await one.settled() is Settled.NOTHING
        assert texts(await one.store.transcript(MEETING)) == CAPTIONED
    assert one.engine.batches == []


async def test_tracks_of_one_participant_are_one_sound_and_what_cannot_be_heard_keeps_its_text(tmp_path: Path) -> None:
    voices = Voices(TWO_VOICES)
    sounds: dict[TrackId, Kept | Exception] = {TRACK: Kept(12.0), TrackId("room.2"): Kept(15.0)}
    async with desk(tmp_path, voices, sounds) as one:
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 1)])
        second = await one.store.next_track(MEETING, ROOM.id)
        later = Caption(second, UtteranceId("v0"), 1, True, "fr", words("dix onze", 13.0))
        await one.store.for_meeting(MEETING).keep_final(later)
        await one.start()
        await one.settled()
        transcript = await one.store.transcript(MEETING)
    assert voices.heard == [15 * SAMPLE_RATE]
    assert texts(transcript) == ["UN DEUX", "TROIS QUATRE", "CINQ SIX SEPT HUIT", "dix onze"]


@dataclass(frozen=True, slots=True)
class Broken(Kept):
    def pieces(self, seconds: float) -> Iterator[Samples]:
        raise UnreadableMedia("damaged")


async def test_sound_that_turns_out_to_be_damaged_costs_other_tracks_nothing(tmp_path: Path) -> None:
    sounds: dict[TrackId, Kept | Exception] = {TRACK: Kept(), TrackId("room.2"): Broken()}
    async with desk(tmp_path, sounds=sounds) as one:
        await one.held()
        second = await one.store.next_track(MEETING, ROOM.id)
        later = Caption(second, UtteranceId("v0"), 1, True, "fr", words("dix onze", 15.0))
        await one.store.for_meeting(MEETING).keep_final(later)
        await one.start()
        assert await one.settled() is Settled.SOUND
        assert texts(await one.store.transcript(MEETING)) == [*HEARD, "dix onze"]


# --- what people did stays -------------------------------------------------------------------------------------


async def test_what_people_corrected_moved_and_named_stays_also_where_they_did_it_meanwhile(tmp_path: Path) -> None:
    engine = Engine(BETTER)
    async with desk(tmp_path, Voices(TWO_VOICES), KEPT, engine) as one:
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 1), VoiceRun(UtteranceId("u1"), 0, 4, 1)])
        engine.door.clear()
        await one.start()
        await one.working()
        await one.store.correct(MEETING, SegmentId("u0"), "Un, deux, trois.")
        await one.store.rename_voice(MEETING, ROOM.id, 1, "Claire")
        engine.door.set()
        await one.settled()
        transcript = await one.store.transcript(MEETING)
    assert told(transcript) == [("Claire", "Un, deux, trois."), ("Claire", "CINQ SIX SEPT HUIT")]
    assert [word.text for word in transcript.segments[0].record] == [" un", " deux", " trois", " quatre"]


async def test_what_was_corrected_before_is_not_even_heard(tmp_path: Path) -> None:
    async with desk(tmp_path, Voices(TWO_VOICES), KEPT) as one:
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 1)])
        await one.store.move_segment_to_voice(MEETING, SegmentId("u0"), None)
        await one.store.correct(MEETING, SegmentId("u1"), "Autre chose.")
        await one.start()
        await one.settled()
        assert told(await one.store.transcript(MEETING)) == [
            ("Salle Descartes (voix 101)", SAID[0]),
            ("Salle Descartes", "Autre chose."),
        ]
    assert one.engine.batches == []


# --- whatever happens ------------------------------------------------------------------------------------------


async def test_a_process_that_stops_in_the_middle_leaves_the_transcript_as_it_was_and_the_next_one_settles_it(
    tmp_path: Path,
) -> None:
    engine = Engine(BETTER)
    async with desk(tmp_path, Voices(TWO_VOICES), KEPT, engine) as one:
        engine.door.clear()
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 1)])
        await one.start()
        await one.working()
        await one.close()
        assert (await one.store.meeting(MEETING)).settled is None
        assert texts(await one.store.transcript(MEETING)) == CAPTIONED
    async with desk(tmp_path, Voices(TWO_VOICES), KEPT) as other:
        await other.start()
        assert await other.settled() is Settled.SOUND
        assert len(texts(await other.store.transcript(MEETING))) == 3


async def test_it_is_settled_once_whoever_comes_when(tmp_path: Path) -> None:
    board: Board = {}
    async with desk(tmp_path, sounds=KEPT, board=board) as one, desk(tmp_path, sounds=KEPT, board=board) as other:
        await one.held()
        one.engine.door.clear()
        await one.start()
        await one.working()
        await asyncio.to_thread(other.settling.settling.run, MEETING)  # as by a message that came twice
        assert other.engine.batches == []
        one.engine.door.set()
        assert await one.settled() is Settled.SOUND
        await asyncio.to_thread(other.settling.settling.run, MEETING)
        late = RecordText(TRACK, (UtteranceId("u0"),), "fr", words("trop tard", 0.0))
        await other.store.settle(MEETING, Settlement(Settled.VOICES, records=(late,)))  # as by one who was asleep
        assert texts(await one.store.transcript(MEETING)) == HEARD
        assert (await one.store.meeting(MEETING)).settled is Settled.SOUND
    assert other.engine.batches == []


async def test_a_meeting_that_goes_on_or_whose_session_still_works_waits(tmp_path: Path) -> None:
    busy = {MEETING}
    async with desk(tmp_path, sounds=KEPT, busy=busy) as one:
        await one.store.create_meeting(Meeting(MeetingId("other"), "", 1000.0, keep_audio=True))
        await one.held()
        await one.start()
        await asyncio.sleep(0.3)
        assert (await one.store.meeting(MEETING)).settled is None
        busy.clear()
        await one.settled()
        assert (await one.store.meeting(MeetingId("other"))).settled is None
        await asyncio.to_thread(one.settling.settling.run, MeetingId("other"))
        assert (await one.store.meeting(MeetingId("other"))).settled is None


async def test_a_recogniser_that_fails_is_tried_again_and_given_up_with_the_transcript_as_it_was(
    tmp_path: Path,
) -> None:
    engine = Engine(BETTER, fail=lambda batch: True)
    async with desk(tmp_path, Voices(TWO_VOICES), KEPT, engine) as one:
        await one.held(runs=[VoiceRun(UtteranceId("u0"), 0, 4, 1)])
        await one.start()
        assert await one.settled() is Settled.FAILED
        assert texts(await one.store.transcript(MEETING)) == CAPTIONED
    engine = Engine(BETTER, fail=lambda batch: batch <= 4)
    async with desk(tmp_path / "again", sounds=KEPT, engine=engine) as one:
        await one.held()
        await one.start()
        assert await one.settled() is Settled.SOUND
        assert texts(await one.store.transcript(MEETING)) == HEARD


async def test_a_meeting_that_is_deleted_meanwhile_stays_deleted(tmp_path: Path) -> None:
    engine = Engine(BETTER)
    async with desk(tmp_path, sounds=KEPT, engine=engine) as one:
        engine.door.clear()
        await one.held()
        await one.start()
        await one.working()
        await one.store.delete_meeting(MEETING)
        engine.door.set()
        await asyncio.to_thread(one.jobs.broker.join, "batch", timeout=10_000)
        with pytest.raises(NotFound):
            await one.store.meeting(MEETING)
