"""Recordings are transcribed one after the other, whatever happens to the process, and live captions go first."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from dramatiq.brokers.stub import StubBroker

from models.batching import Batcher, BatchSettings
from models.silero import SileroModel, bundled_model
from pipeline import jobs
from pipeline.bus.leases import MemoryLeases
from pipeline.domain import (
    SAMPLE_RATE,
    Hypothesis,
    MeetingId,
    RecordingId,
    RecordingJob,
    RecordingState,
    Samples,
    TrackId,
    UtteranceId,
    Window,
    WindowKind,
    Word,
)
from pipeline.errors import GreffierError, NotFound, RecognitionFailed, UnreadableMedia
from pipeline.jobs import RecordingJobs, Transcription
from pipeline.mixed import VoiceSearch
from pipeline.record.matching import ParticipantSpeech
from pipeline.record.texts import text_of
from pipeline.store.spool import AudioSpool
from pipeline.store.sql import SqlStore
from tests.recordings import heard, silence

SPOKEN, QUIET = "en_jfk.flac", 60.0
Batch = Sequence[tuple[Window, Samples]]


@dataclass(slots=True)
class Engine:
    """Hears one word in each window, the name of its track; while its door is shut, each batch waits before it."""

    fails: Callable[[int], Exception | None] = lambda batch: None
    batches: list[list[Window]] = field(default_factory=list)
    door: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.door.set()

    def hear(self, batch: Batch) -> list[Hypothesis]:
        self.batches.append([window for window, _ in batch])
        self.door.wait(10.0)
        if failure := self.fails(len(self.batches)):
            raise failure
        return [Hypothesis((Word(f" {window.track}.", window.start, window.end),), "en") for window, _ in batch]

    @property
    def order(self) -> list[str]:
        return [window.track for batch in self.batches for window in batch]


@dataclass(slots=True)
class Sound:
    """A recording of some pieces."""

    pieces_of: Callable[[], Iterator[Samples]]
    duration: float | None = None

    def pieces(self, seconds: float) -> Iterator[Samples]:
        return self.pieces_of()


@dataclass(slots=True)
class Sounds:
    """The sounds of recordings in memory, or the error that opening one gives."""

    kept: dict[RecordingId, Sound | Exception] = field(default_factory=dict)

    def open(self, recording: RecordingId) -> Sound:
        sound = self.kept.get(recording, UnreadableMedia("the recording does not exist"))
        if isinstance(sound, Exception):
            raise sound
        return sound

    def remove(self, recording: RecordingId) -> None:
        self.kept.pop(recording, None)

    def remove_others(self, kept: Collection[RecordingId]) -> None:
        self.kept = {recording: sound for recording, sound in self.kept.items() if recording in kept}


@dataclass(slots=True)
class Desk:
    """One process: its store, its engine and its jobs; ``state`` waits for a state of a recording."""

    store: SqlStore
    engine: Engine
    sounds: Sounds
    batcher: Batcher
    jobs: RecordingJobs

    async def uploaded(
        self,
        name: str,
        sound: Sound | Exception | None = None,
        people: Sequence[ParticipantSpeech] = (),
        **fields: object,
    ) -> RecordingId:
        recording = RecordingId(name)
        self.sounds.kept[recording] = sound or spoken()
        job = RecordingJob(recording, f"The {name}", time.time(), MeetingId(f"meeting-{name}"))
        await self.store.create_recording(replace(job, **fields), people)  # type: ignore[arg-type]
        return recording

    async def state(self, recording: RecordingId, *states: RecordingState, within: float = 20.0) -> RecordingJob:
        async with asyncio.timeout(within):
            while (job := await self.store.recording(recording)).state not in states:  # noqa: ASYNC110 - as a client
                await asyncio.sleep(0.02)
        return job


def spoken(times: int = 1) -> Sound:
    """Speech, each time followed by so long a silence that a window of its own begins after it."""
    part = np.concatenate([heard(SPOKEN), silence(5.0)])
    return Sound(lambda: iter([part] * times), times * len(part) / SAMPLE_RATE)


@asynccontextmanager
async def desk(
    folder: Path,
    engine: Engine | None = None,
    sounds: Sounds | None = None,
    calm: float = 3.0,
    voices: VoiceSearch | None = None,
) -> AsyncIterator[Desk]:
    engine, sounds = engine or Engine(), sounds or Sounds()
    store = SqlStore.open(f"sqlite:///{folder}/greffier.db")
    try:
        async with Batcher(engine, BatchSettings(callers=1, batch=4, calm=calm)) as batcher:
            detector = SileroModel(bundled_model()).detector
            loop = asyncio.get_running_loop()
            work = Transcription(
                store, batcher, detector, AudioSpool, sounds, MemoryLeases(), ("fr", "en"), loop, voices=voices
            )
            running = RecordingJobs(StubBroker(), work, retry_after=0.05)
            yield Desk(store, engine, sounds, batcher, running)
            engine.door.set()
            await running.close()
    finally:
        await store.close()


DONE, FAILED, RUNNING, WAITING = (
    RecordingState.DONE,
    RecordingState.FAILED,
    RecordingState.RUNNING,
    RecordingState.WAITING,
)


# --- what becomes of a recording -------------------------------------------------------------------------------


async def test_a_recording_becomes_an_ended_meeting_with_its_words_and_its_sound_is_kept_no_longer(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as one:
        recording = await one.uploaded("board", spoken(2), languages=("en",))
        await one.jobs.start()
        await one.jobs.send(recording)
        job = await one.state(recording, DONE)
        meeting = await one.store.meeting(job.meeting)
        transcript = await one.store.transcript(job.meeting)
    length = 2 * (len(heard(SPOKEN)) / SAMPLE_RATE + 5.0)
    assert (job.progress, job.error, job.duration) == (1.0, None, pytest.approx(length))
    assert (meeting.title, meeting.languages, meeting.cut) == ("The board", ("en",), False)
    assert meeting.ended_at == pytest.approx(meeting.created_at + length)
    assert [participant.name for participant in transcript.participants] == ["The board"]
    assert [text_of(segment)[0] for segment in transcript.segments] == ["board."] * 2
    assert transcript.segments[1].start == pytest.approx(length / 2, abs=1.0)
    assert one.sounds.kept == {}


async def test_a_recording_of_silence_becomes_an_empty_transcript(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        recording = await one.uploaded("quiet", Sound(lambda: iter([silence(QUIET)])))
        await one.jobs.start()
        job = await one.state(recording, DONE)
        assert (await one.store.transcript(job.meeting)).segments == ()
    assert job.duration == pytest.approx(QUIET)
    assert one.engine.batches == []


async def test_progress_is_told_while_a_recording_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_TELL", 0.0)
    seen = []
    async with desk(tmp_path) as one:
        recording = await one.uploaded("long", spoken(20))
        await one.jobs.start()
        while (job := await one.store.recording(recording)).state is not DONE:
            seen.append(job.progress)
            await asyncio.sleep(0.01)
    assert seen == sorted(seen)
    assert len(set(seen)) > 4
    assert seen[-1] < 1.0


async def test_two_recordings_are_transcribed_in_the_order_of_their_upload(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        first, second = await one.uploaded("first", spoken(10)), await one.uploaded("second", spoken())
        await one.jobs.start()
        await one.state(second, DONE)
        assert (await one.store.recording(first)).state is DONE
    assert one.engine.order == ["first"] * 10 + ["second"]


async def test_a_message_that_comes_twice_changes_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        recording = await one.uploaded("board")
        await one.jobs.start()
        for _ in range(3):
            await one.jobs.send(recording)
        job = await one.state(recording, DONE)
        await asyncio.to_thread(one.jobs.broker.join, "batch", timeout=5_000)
        assert len((await one.store.transcript(job.meeting)).segments) == 1
    assert len(one.engine.batches) == 1


# --- stopped, killed, deleted ----------------------------------------------------------------------------------


async def test_a_process_that_stops_leaves_its_recording_to_the_next_one(tmp_path: Path) -> None:
    engine, sounds = Engine(), Sounds()
    async with desk(tmp_path, engine, sounds) as one:
        engine.door.clear()
        recording = await one.uploaded("board", spoken(3))
        await one.jobs.start()
        await one.state(recording, RUNNING)
        began = time.monotonic()
        await one.jobs.close()
        assert time.monotonic() - began < 3.0
        assert (await one.store.recording(recording)).state is RUNNING
    async with desk(tmp_path, sounds=sounds) as other:
        await other.jobs.start()
        job = await other.state(recording, DONE)
        assert len((await other.store.transcript(job.meeting)).segments) == 3


async def test_what_waited_is_taken_up_oldest_first_and_what_no_recording_needs_is_removed(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        late = await one.uploaded("late", created_at=200.0)
        early = await one.uploaded("early", created_at=100.0, state=RUNNING)
        await one.uploaded("failed", state=FAILED)
        assert await one.jobs.transcription.unfinished() == [early, late]
        await one.jobs.start()
        assert RecordingId("failed") not in one.sounds.kept
        await one.state(late, DONE)
    assert one.engine.order == ["early", "late"]


async def test_a_recording_deleted_while_it_is_heard_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_TELL", 0.0)
    async with desk(tmp_path) as one:
        one.engine.door.clear()
        recording, other = await one.uploaded("board", spoken(30)), await one.uploaded("other")
        await one.jobs.start()
        job = await one.state(recording, RUNNING)
        await one.store.delete_recording(recording)
        one.engine.door.set()
        await one.state(other, DONE)
        with pytest.raises(NotFound):
            await one.store.meeting(job.meeting)
        with pytest.raises(NotFound):
            await one.store.recording(recording)
    assert one.engine.order.count("board") < 30


async def test_a_recording_deleted_when_all_of_it_is_heard_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_TELL", 1e9)  # only the end learns that it is gone
    async with desk(tmp_path) as one:
        one.engine.door.clear()
        recording, other = await one.uploaded("board"), await one.uploaded("other")
        await one.jobs.start()
        job = await one.state(recording, RUNNING)
        await one.store.delete_recording(recording)
        one.engine.door.set()
        await one.state(other, DONE)
        with pytest.raises(NotFound):
            await one.store.meeting(job.meeting)


# --- what goes wrong ---------------------------------------------------------------------------------------------


async def test_a_recording_that_cannot_be_read_fails_in_words_and_is_removed(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        recording = await one.uploaded("text", UnreadableMedia("the recording holds no audio"))
        await one.jobs.start()
        job = await one.state(recording, FAILED)
    assert (job.error, job.progress, one.sounds.kept) == ("the recording holds no audio", 0.0, {})


@pytest.mark.parametrize("duration", [13 * 3600.0, None], ids=["known", "unknown"])
async def test_days_of_sound_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duration: float | None
) -> None:
    if duration is None:
        monkeypatch.setattr(jobs, "LONGEST", 30.0)

    def endless() -> Iterator[Samples]:
        while True:
            yield silence(10.0)

    async with desk(tmp_path) as one:
        recording = await one.uploaded("bomb", Sound(endless, duration))
        await one.jobs.start()
        job = await one.state(recording, FAILED)
    assert job.error == "the recording holds more than 12 hours of sound; divide it and upload the parts"


async def test_a_recogniser_that_fails_for_a_while_is_asked_again(tmp_path: Path) -> None:
    async with desk(tmp_path, Engine(lambda batch: RecognitionFailed("not now") if batch < 3 else None)) as one:
        recording = await one.uploaded("board")
        await one.jobs.start()
        job = await one.state(recording, DONE)
        assert len((await one.store.transcript(job.meeting)).segments) == 1
    assert (len(one.engine.batches), job.error) == (3, None)


async def test_a_recogniser_that_always_fails_is_given_up_and_the_next_recording_comes(tmp_path: Path) -> None:
    def fails(batch: int) -> GreffierError | None:
        return RecognitionFailed("out of order") if batch < 5 else None

    async with desk(tmp_path, Engine(fails)) as one:
        recording = await one.uploaded("board")
        await one.jobs.start()
        job = await one.state(recording, FAILED)
        other = await one.uploaded("other")
        await one.jobs.send(other)
        await one.state(other, DONE)
    assert job.error == "out of order"
    assert one.engine.order == ["board"] * 4 + ["other"]


async def test_what_nobody_foresaw_fails_the_recording_at_once_and_says_where_to_look(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        recording = await one.uploaded("board", ZeroDivisionError("secret"))
        await one.jobs.start()
        job = await one.state(recording, FAILED)
    assert job.error == "Greffier could not transcribe this recording; its log says why"


# --- live captions first -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Live:
    """A live window of somebody who is speaking."""

    kind: WindowKind = WindowKind.LIVE

    def cut(self) -> tuple[Window, Samples]:
        window = Window(TrackId("anne"), UtteranceId("anne.1"), self.kind, 0.0, 1.0, ("en",), "en")
        return window, silence(1.0)


async def test_a_live_window_waits_for_no_recording(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        one.engine.door.clear()
        await one.jobs.start()
        await one.jobs.send(await one.uploaded("board", spoken(8)))
        async with asyncio.timeout(10.0):
            while not one.engine.batches:  # noqa: ASYNC110 - a thread of the engine fills it
                await asyncio.sleep(0.01)
        live = asyncio.create_task(one.batcher.recognize(Live()))
        await asyncio.sleep(0.1)
        one.engine.door.set()
        answer = await live
        assert answer is not None
    assert [batch[0].track for batch in one.engine.batches[:2]] == ["board", "anne"]


async def test_while_captions_are_wanted_a_recording_takes_one_window_at_a_time(tmp_path: Path) -> None:
    async with desk(tmp_path, calm=60.0) as one:
        await one.batcher.recognize(Live())
        recording = await one.uploaded("board", spoken(8))
        await one.jobs.start()
        await one.state(recording, DONE)
    assert [len(batch) for batch in one.engine.batches] == [1] * 9
