"""The async shell: finals are stored before they are shown, trouble stays with its track, and everything ends.

More than 400 lines, because it mirrors one source file, a short test for each of its rules.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from models.batching import Batcher, BatchSettings
from models.scripted import Cost, ScriptedEngine
from pipeline import session as shell
from pipeline.bus.memory import MemoryAudioBus
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    AudioLost,
    Caption,
    Gap,
    Hypothesis,
    Participant,
    ParticipantId,
    Samples,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
    Window,
    WindowKind,
    Word,
)
from pipeline.errors import RecognitionFailed
from pipeline.live.meeting import MeetingCaptioner
from pipeline.live.settings import LiveSettings
from pipeline.ports import RecognitionRequest, Recognizer
from pipeline.session import Session, SessionTotals
from pipeline.store.memory import MemoryTranscriptStore
from pipeline.store.spool import AudioSpool, SpoolSettings

ANNE, BILAL = TrackId("anne"), TrackId("bilal")
SETTINGS = LiveSettings(
    step=0.5,
    first=0.5,
    window=8.0,
    keep=4.0,
    margin=0.5,
    doubt=0.5,
    sure=0.5,
    join=1.5,
    record_join=1.5,
    record_window=20.0,
)
BATCHES = BatchSettings(callers=2, batch=8, record_batch=2, gather=0.0005, calm=0.01, stall=0.05)
FRAME = 0.5


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell's two waits, shortened."""
    monkeypatch.setattr(shell, "_PAUSE_AFTER_FAILURE", 0.002)
    monkeypatch.setattr(shell, "_TICK", 0.005)


# --- a meeting ------------------------------------------------------------------------------------------------


def opened(track: TrackId) -> TrackOpened:
    return TrackOpened(Track(track, Participant(ParticipantId(track), track.title())), 0.0)


def frame(track: TrackId, start: float, seconds: float = FRAME) -> AudioFrame:
    return AudioFrame(track, start, np.full(round(seconds * SAMPLE_RATE), 1, np.int16))


def talk(track: TrackId, start: float, end: float) -> list[TrackEvent]:
    """Speech on the bus: its start, its sound half a second longer, its end."""
    count = round((end + 0.5 - start) / FRAME)
    return [
        SpeechStarted(track, start),
        *(frame(track, start + k * FRAME) for k in range(count)),
        SpeechEnded(track, end),
    ]


def script(track: TrackId, start: float, end: float, step: float = 0.5) -> list[Word]:
    count = round((end - start) / step)
    return [Word(f" {track}{k}", start + k * step, start + (k + 1) * step - 0.05) for k in range(count)]


def text(words: Sequence[Word]) -> str:
    return "".join(word.text for word in words).strip()


@dataclass(slots=True)
class Stage:
    """A session and all that stands around it; ``shown`` notes what came out, in order."""

    recognizer: Recognizer
    bus: MemoryAudioBus = field(default_factory=MemoryAudioBus)
    memory: AudioSpool = field(default_factory=lambda: AudioSpool(SpoolSettings(60.0, 60.0)))
    store: MemoryTranscriptStore = field(default_factory=MemoryTranscriptStore)
    core: MeetingCaptioner = field(default_factory=lambda: MeetingCaptioner(SETTINGS, ("en",)))
    shown: list[Caption] = field(default_factory=list)
    now: float = 0.0

    async def send(self, caption: Caption) -> None:
        if caption.final:
            assert self.store.finals[caption.utterance] == caption, "a final is stored before it is shown"
        self.shown.append(caption)

    def session(self) -> Session:
        return Session(self.core, self.recognizer, self.bus, self.memory, self, self.store, lambda: self.now)

    async def play(self, *events: TrackEvent, pause: float = 0.0) -> SessionTotals:
        """The whole meeting; the bus closes after the last event."""
        async with asyncio.timeout(5.0), asyncio.TaskGroup() as group:
            running = group.create_task(self.session().run())
            for event in events:
                await self.bus.send(event)
                await asyncio.sleep(pause)
            await self.bus.close()
        self.memory.close()
        return running.result()

    def finals(self, track: TrackId) -> list[str]:
        return [text(final.words) for final in self.store.finals.values() if final.track == track]


def engine(*tracks: tuple[TrackId, float, float], **options: object) -> ScriptedEngine:
    lines: dict[TrackId, list[Word]] = {}
    for track, start, end in tracks:
        lines.setdefault(track, []).extend(script(track, start, end))
    return ScriptedEngine(lines, wait=lambda seconds: None, **options)  # type: ignore[arg-type]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(2.0):
        while not condition():  # noqa: ASYNC110 - the session under test tells nobody
            await asyncio.sleep(0.001)


# --- what comes out -------------------------------------------------------------------------------------------


async def test_a_meeting_gives_captions_then_finals_then_records() -> None:
    async with Batcher(engine((ANNE, 1.0, 4.0), (BILAL, 2.0, 4.0)), BATCHES) as recognizer:
        stage = Stage(recognizer)
        events = [opened(ANNE), opened(BILAL), *talk(ANNE, 1.0, 4.0), *talk(BILAL, 2.0, 4.0)]
        totals = await stage.play(*events, pause=0.002)
    assert stage.finals(ANNE) == ["anne0 anne1 anne2 anne3 anne4 anne5"]
    assert stage.finals(BILAL) == ["bilal0 bilal1 bilal2 bilal3"]
    assert {record.track: text(record.words) for record in stage.store.records} == {
        ANNE: stage.finals(ANNE)[0],
        BILAL: stage.finals(BILAL)[0],
    }
    assert any(not caption.final for caption in stage.shown)
    assert (totals.frames, totals.finals, totals.records, totals.gaps, totals.failures) == (12, 2, 2, 0, 0)
    assert totals.furthest == 4.5
    assert totals.windows >= 4


async def test_captions_of_an_utterance_come_in_order_and_end_with_one_final() -> None:
    async with Batcher(engine((ANNE, 0.0, 6.0), (ANNE, 7.0, 9.0)), BATCHES) as recognizer:
        stage = Stage(recognizer)
        await stage.play(opened(ANNE), *talk(ANNE, 0.0, 6.0), *talk(ANNE, 7.0, 9.0), pause=0.002)
    for utterance in {caption.utterance for caption in stage.shown}:
        captions = [caption for caption in stage.shown if caption.utterance == utterance]
        assert [caption.revision for caption in captions] == sorted({caption.revision for caption in captions})
        assert [caption.final for caption in captions] == [False] * (len(captions) - 1) + [True]


async def test_the_record_is_recognised_while_the_meeting_goes_on() -> None:
    async with Batcher(engine((ANNE, 0.0, 2.0)), BATCHES) as recognizer:
        stage = Stage(recognizer)

        async def everybody_is_quiet() -> None:
            await until(lambda: bool(stage.store.finals))
            stage.now = 10.0
            await until(lambda: bool(stage.store.records))
            await stage.bus.close()

        async with asyncio.timeout(5.0), asyncio.TaskGroup() as group:
            group.create_task(stage.session().run())
            for event in [opened(ANNE), *talk(ANNE, 0.0, 2.0)]:
                await stage.bus.send(event)
            group.create_task(everybody_is_quiet())


async def test_sound_lost_on_the_way_is_a_gap_and_the_rest_is_recognised() -> None:
    async with Batcher(engine((ANNE, 0.0, 2.0)), BATCHES) as recognizer:
        stage = Stage(recognizer)
        events = [opened(ANNE), *talk(ANNE, 0.0, 2.0)[:-1], AudioLost(ANNE, 2.5, 6.0), SpeechEnded(ANNE, 6.0)]
        totals = await stage.play(*events, TrackClosed(ANNE, 6.5))
    assert [(gap.start, gap.end, gap.reason) for gap in stage.store.gaps] == [(2.5, 6.0, "lost on the way")]
    assert totals.gaps == 1
    assert stage.finals(ANNE) == ["anne0 anne1 anne2 anne3"]


async def test_a_track_that_stops_mid_word_keeps_what_was_said() -> None:
    async with Batcher(engine((ANNE, 0.0, 4.0)), BATCHES) as recognizer:
        stage = Stage(recognizer)
        await stage.play(opened(ANNE), *talk(ANNE, 0.0, 2.25)[:-1], TrackClosed(ANNE, 900.0))
    (final,) = stage.finals(ANNE)
    assert final.startswith("anne0 anne1 anne2 anne3 anne4")


async def test_speech_that_never_ends_ends_with_the_bus() -> None:
    async with Batcher(engine((ANNE, 0.0, 2.0)), BATCHES) as recognizer:
        stage = Stage(recognizer)
        await stage.play(opened(ANNE), *talk(ANNE, 0.0, 2.0)[:-1])
    assert stage.finals(ANNE) == ["anne0 anne1 anne2 anne3"]


async def test_a_meeting_without_tracks_ends() -> None:
    assert await Stage(Deaf()).play() == SessionTotals()


async def test_the_session_says_when_it_opens_and_closes_and_no_word_of_what_was_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "greffier")
    async with Batcher(engine((ANNE, 0.0, 2.0)), BATCHES) as recognizer:
        await Stage(recognizer).play(opened(ANNE), *talk(ANNE, 0.0, 2.0))
    ours = [record for record in caplog.records if record.name == "greffier.session"]
    assert [record.message for record in ours] == ["session.opened", "session.closed"]
    assert "anne" not in caplog.text


# --- trouble --------------------------------------------------------------------------------------------------


class Deaf:
    """A recogniser that always fails, before anything is cut."""

    def __init__(self) -> None:
        self.asked = 0

    async def recognize(self, request: RecognitionRequest) -> tuple[Window, Hypothesis] | None:
        self.asked += 1
        raise RecognitionFailed("no model")


@dataclass(slots=True)
class Careless:
    """Fails after cutting, for some tracks, without saying which window it was."""

    well: Recognizer
    fails: Callable[[Window], bool]

    async def recognize(self, request: RecognitionRequest) -> tuple[Window, Hypothesis] | None:
        cut = request.cut()
        if cut is None:
            return None
        if self.fails(cut[0]):
            raise RecognitionFailed("something happened")
        return await self.well.recognize(Again(request.kind, cut))


@dataclass(frozen=True, slots=True)
class Again:
    kind: WindowKind
    again: tuple[Window, Samples]

    def cut(self) -> tuple[Window, Samples]:
        return self.again


async def test_a_recogniser_that_fails_for_one_track_costs_the_others_nothing() -> None:
    async with Batcher(engine((ANNE, 0.0, 2.0), (BILAL, 0.0, 2.0)), BATCHES) as well:
        stage = Stage(Careless(well, lambda window: window.track == ANNE))
        totals = await stage.play(opened(ANNE), opened(BILAL), *talk(ANNE, 0.0, 2.0), *talk(BILAL, 0.0, 2.0))
    assert stage.finals(ANNE) == []
    assert [(gap.track, gap.start, gap.end, gap.reason) for gap in stage.store.gaps] == [
        (ANNE, 0.0, 2.0, "not recognised")
    ]
    assert stage.finals(BILAL) == ["bilal0 bilal1 bilal2 bilal3"]
    assert totals.failures >= 3


async def test_a_record_that_fails_for_good_leaves_the_caption_text() -> None:
    async with Batcher(engine((ANNE, 0.0, 2.0)), BATCHES) as well:
        stage = Stage(Careless(well, lambda window: window.kind is WindowKind.RECORD))
        await stage.play(opened(ANNE), *talk(ANNE, 0.0, 2.0))
    assert stage.finals(ANNE) == ["anne0 anne1 anne2 anne3"]
    assert stage.store.records == []


async def test_an_engine_that_raises_now_and_then_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with Batcher(engine((ANNE, 0.0, 6.0), fail=lambda batch: batch in {1, 2, 4}), BATCHES) as recognizer:
        stage = Stage(recognizer)
        totals = await stage.play(opened(ANNE), *talk(ANNE, 0.0, 6.0), pause=0.001)
    assert text([word for final in stage.store.finals.values() for word in final.words]) == text(script(ANNE, 0.0, 6.0))
    assert totals.failures == 3
    assert [record.message for record in caplog.records] == ["window.failed"] * 3


async def test_an_engine_that_stalls_is_waited_for_no_longer_than_it_may() -> None:
    stalls = iter([0.15])

    def wait(seconds: float) -> None:
        time.sleep(next(stalls, 0.0))

    slow = ScriptedEngine({ANNE: script(ANNE, 0.0, 3.0), BILAL: script(BILAL, 0.0, 2.0)}, wait=wait)
    async with Batcher(slow, BATCHES) as recognizer:
        stage = Stage(recognizer)
        events = [opened(ANNE), opened(BILAL), *talk(ANNE, 0.0, 3.0), *talk(BILAL, 0.0, 2.0)]
        totals = await stage.play(*events, pause=0.001)
    assert totals.failures >= 1
    assert stage.finals(ANNE) == [text(script(ANNE, 0.0, 3.0))]
    assert stage.finals(BILAL) == [text(script(BILAL, 0.0, 2.0))]


async def test_a_recogniser_that_is_never_there_is_not_asked_in_a_frenzy() -> None:
    deaf = Deaf()
    stage = Stage(deaf)
    running = asyncio.create_task(stage.session().run())
    for event in [opened(ANNE), *talk(ANNE, 0.0, 2.0)]:
        await stage.bus.send(event)
    await asyncio.sleep(0.05)
    assert 1 <= deaf.asked <= 50
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_recogniser_that_is_never_there_leaves_marked_gaps() -> None:
    stage = Stage(Deaf())
    totals = await stage.play(opened(ANNE), *talk(ANNE, 0.0, 2.0), *talk(ANNE, 4.0, 5.0))
    assert [(gap.start, gap.end) for gap in stage.store.gaps] == [(0.0, 2.0), (4.0, 5.0)]
    assert totals.failures >= 6


async def test_a_recogniser_that_closes_during_a_meeting_leaves_marked_gaps_and_ends_it() -> None:
    batcher = Batcher(engine((ANNE, 0.0, 4.0)), BATCHES)
    async with batcher as recognizer:
        stage = Stage(recognizer)
        running = asyncio.create_task(stage.session().run())
        for event in [opened(ANNE), *talk(ANNE, 0.0, 4.0)[:-3]]:
            await stage.bus.send(event)
        await until(lambda: bool(stage.shown))
    shown = stage.shown[-1].words
    await stage.bus.send(frame(ANNE, 10.0))
    await stage.bus.close()
    async with asyncio.timeout(2.0):
        await running
    assert stage.store.gaps
    assert stage.shown[-1].final
    assert stage.shown[-1].words[: len(shown)] == shown


async def test_a_store_that_fails_ends_the_session_with_its_error() -> None:
    class Broken(MemoryTranscriptStore):
        async def keep_final(self, caption: Caption) -> None:
            raise OSError("no table")

    async with Batcher(engine((ANNE, 0.0, 2.0)), BATCHES) as recognizer:
        stage = Stage(recognizer, store=Broken())
        with pytest.raises(ExceptionGroup) as failure:
            await stage.play(opened(ANNE), *talk(ANNE, 0.0, 2.0))
    assert failure.group_contains(OSError)


async def test_it_tells_when_every_utterance_has_its_final_while_the_record_goes_on() -> None:
    async with Batcher(engine((ANNE, 0.0, 2.0)), BATCHES) as well:
        slow = SlowRecord(well, asyncio.Event())
        stage = Stage(slow)
        session = stage.session()
        running = asyncio.create_task(session.run())
        for event in [opened(ANNE), *talk(ANNE, 0.0, 2.0)]:
            await stage.bus.send(event)
        assert not session.captioned.is_set()
        await stage.bus.close()
        async with asyncio.timeout(2.0):
            await session.captioned.wait()
        assert stage.shown[-1].final
        assert not running.done()
        slow.now.set()
        assert (await running).records == 1


@dataclass(slots=True)
class SlowRecord:
    """Recognises for the record only once its moment comes."""

    well: Recognizer
    now: asyncio.Event

    async def recognize(self, request: RecognitionRequest) -> tuple[Window, Hypothesis] | None:
        if request.kind is WindowKind.RECORD:
            await self.now.wait()
        return await self.well.recognize(request)


async def test_it_tells_when_all_that_was_heard_of_a_track_is_final() -> None:
    async with Batcher(engine((ANNE, 0.0, 2.0), (BILAL, 0.0, 9.0)), BATCHES) as recognizer:
        stage = Stage(recognizer)
        session = stage.session()
        running = asyncio.create_task(session.run())
        for event in [opened(ANNE), opened(BILAL), *talk(ANNE, 0.0, 2.0), *talk(BILAL, 0.0, 9.0)]:
            await stage.bus.send(event)
        ended = asyncio.create_task(session.ended(ANNE))
        await until(lambda: bool(stage.finals(ANNE) and stage.finals(BILAL)))
        await asyncio.sleep(0.01)
        assert not ended.done(), "the track is still open"
        await stage.bus.send(TrackClosed(ANNE, 2.5))
        async with asyncio.timeout(2.0):
            await ended
        await stage.bus.close()
        await running


async def test_it_tells_once_something_holds_and_what_came_before_was_sent() -> None:
    async with Batcher(engine((ANNE, 0.0, 2.0)), BATCHES) as recognizer:
        stage = Stage(recognizer)
        session = stage.session()
        running = asyncio.create_task(session.run())
        for event in [opened(ANNE), *talk(ANNE, 0.0, 2.0)]:
            await stage.bus.send(event)
        async with asyncio.timeout(2.0):
            await session.once(lambda: stage.bus.empty and not session.core.captioning)
        assert len(stage.finals(ANNE)) == 1
        waiting = asyncio.create_task(session.once(lambda: False))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert session._awaited == []
        await stage.bus.close()
        await running


async def test_whoever_stops_waiting_takes_nothing_of_what_is_being_sent_with_them() -> None:
    class Slow(MemoryTranscriptStore):
        asked, answers = asyncio.Event(), asyncio.Event()

        async def keep_gap(self, gap: Gap) -> None:
            self.asked.set()
            await self.answers.wait()
            await MemoryTranscriptStore.keep_gap(self, gap)

    store = Slow()
    stage = Stage(Deaf(), store=store)
    session = stage.session()
    running = asyncio.create_task(session.run())
    await stage.bus.send(opened(ANNE))
    await until(lambda: stage.core.knows(ANNE))
    stage.core.audio_lost(ANNE, 1.0, 2.0, "lost on the way")
    waiting = asyncio.create_task(session.once(lambda: True))
    async with asyncio.timeout(2.0):
        await store.asked.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    store.answers.set()
    await until(lambda: bool(store.gaps))
    await stage.bus.close()
    assert (await running).gaps == 1
    async with asyncio.timeout(2.0):
        await session.once(lambda: True)  # nothing is sent any more


async def test_it_counts_the_windows_that_failed_since_one_was_recognised() -> None:
    failing = True
    failed = engine((ANNE, 0.0, 2.0), fail=lambda batch: failing)
    async with Batcher(failed, BATCHES) as recognizer:
        stage = Stage(recognizer)
        session = stage.session()
        running = asyncio.create_task(session.run())
        for event in [opened(ANNE), *talk(ANNE, 0.0, 2.0)[:-1]]:
            await stage.bus.send(event)
        await until(lambda: session.failing >= 3)
        failing = False
        await until(lambda: session.failing == 0)
        await stage.bus.close()
        await running


async def test_the_sound_of_a_track_that_has_ended_is_let_go_of_once_it_is_recognised() -> None:
    async with Batcher(engine((ANNE, 0.0, 20.0)), BATCHES) as recognizer:
        stage = Stage(recognizer)
        running = asyncio.create_task(stage.session().run())
        for event in [opened(ANNE), *talk(ANNE, 0.0, 20.0), TrackClosed(ANNE, 20.5)]:
            await stage.bus.send(event)
        await until(lambda: bool(stage.store.records))
        await until(lambda: not np.any(stage.memory.read(ANNE, 0.0, 20.5)))
        await stage.bus.close()
        await running


# --- load -----------------------------------------------------------------------------------------------------


async def test_sixteen_tracks_on_a_slow_recogniser_lose_no_word_and_say_their_lag() -> None:
    """Overload: the interval between windows widens, and every word is in a final all the same."""
    tracks = [TrackId(f"talker{number}") for number in range(16)]
    slow = ScriptedEngine(
        {track: script(track, 0.0, 20.0) for track in tracks},
        cost=Cost(batch=0.002, window=0.001),
    )
    async with Batcher(slow, BatchSettings(callers=1, batch=4, gather=0.004, calm=10.0)) as recognizer:
        stage = Stage(recognizer)
        lines = [talk(track, 0.0, 20.0) for track in tracks]
        events = [event for moment in zip(*lines, strict=True) for event in moment]
        totals = await stage.play(*map(opened, tracks), *events)
    for track in tracks:
        assert " ".join(stage.finals(track)) == text(script(track, 0.0, 20.0))
    assert not stage.store.gaps
    assert totals.windows < 16 * 40
    assert max(caption.lag for caption in stage.shown) > 0.0
    assert max(map(len, slow.batches)) == 4


async def test_audio_that_nobody_could_hear_in_time_is_a_marked_gap() -> None:
    async with Batcher(engine((ANNE, 0.0, 9.0), (ANNE, 20.0, 22.0)), BATCHES) as well:
        late = Late(well, asyncio.Event())
        stage = Stage(late, memory=AudioSpool(SpoolSettings(memory=4.0, disk=6.0)))
        async with asyncio.TaskGroup() as group:
            group.create_task(stage.play(opened(ANNE), *talk(ANNE, 0.0, 9.0), *talk(ANNE, 20.0, 22.0)))
            await asyncio.sleep(0.05)
            late.now.set()
    assert [(gap.start, gap.end) for gap in stage.store.gaps] == [(0.0, 9.0)]
    assert stage.finals(ANNE) == ["anne0 anne1 anne2 anne3"]


@dataclass(slots=True)
class Late:
    """Asks nobody before its moment comes."""

    well: Recognizer
    now: asyncio.Event

    async def recognize(self, request: RecognitionRequest) -> tuple[Window, Hypothesis] | None:
        await self.now.wait()
        return await self.well.recognize(request)


async def test_no_more_than_two_tasks_per_track_wait_for_the_recogniser() -> None:
    async with Batcher(engine((ANNE, 0.0, 30.0)), BATCHES) as well:
        late = Late(well, asyncio.Event())
        stage = Stage(late)
        running = asyncio.create_task(stage.session().run())
        before = len(asyncio.all_tasks())
        for event in [opened(ANNE), *talk(ANNE, 0.0, 30.0)]:
            await stage.bus.send(event)
        await asyncio.sleep(0.02)
        assert len(asyncio.all_tasks()) <= before + 3
        late.now.set()
        await stage.bus.close()
        await running
    assert " ".join(stage.finals(ANNE)) == text(script(ANNE, 0.0, 30.0))


# --- tracks of another session --------------------------------------------------------------------------------


async def test_what_comes_of_a_track_that_was_never_opened_is_ignored() -> None:
    bilal = TrackId("bilal.1")
    strange = [*talk(bilal, 0.0, 1.0), AudioLost(bilal, 1.0, 2.0), TrackClosed(bilal, 3.0)]
    async with Batcher(engine((ANNE, 0.0, 2.0)), BATCHES) as recognizer:
        stage = Stage(recognizer)
        await stage.play(opened(ANNE), *strange, *talk(ANNE, 0.0, 2.0))
    assert {caption.track for caption in stage.shown} == {ANNE}
    assert stage.store.gaps == []
