"""Windows of all tracks share batches: the most urgent first, the record last, and trouble stays where it began."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from models.batching import Batcher, BatchSettings
from pipeline.domain import Hypothesis, Samples, TrackId, UtteranceId, Window, WindowKind
from pipeline.errors import RecognitionFailed, RecognitionStalled

Batch = Sequence[tuple[Window, Samples]]
FINAL, LIVE, RECORD, RECORDING = WindowKind.FINAL, WindowKind.LIVE, WindowKind.RECORD, WindowKind.RECORDING


@dataclass(slots=True)
class Wish:
    """A request for one window of the track ``name``."""

    name: str
    kind: WindowKind = LIVE
    wanted: bool = True
    trouble: Exception | None = None
    cuts: int = 0

    def cut(self) -> tuple[Window, Samples] | None:
        self.cuts += 1
        if self.trouble:
            raise self.trouble
        return (window(self.name, self.kind), np.zeros(16, np.int16)) if self.wanted else None


def window(name: str, kind: WindowKind) -> Window:
    return Window(TrackId(name), UtteranceId(f"{name}#1"), kind, 0.0, 1.0, ("en",), "en")


@dataclass(slots=True)
class Engine:
    """Notes its batches; while the door is shut each batch waits before it, as in a slow model."""

    answer: Callable[[Batch], list[Hypothesis]] = lambda batch: [Hypothesis((), window.track) for window, _ in batch]
    batches: list[list[str]] = field(default_factory=list)
    busy: int = 0
    door: threading.Event = field(default_factory=threading.Event)

    def hear(self, batch: Batch) -> list[Hypothesis]:
        self.batches.append([f"{window.track}" for window, _ in batch])
        self.busy += 1
        self.door.wait(5.0)
        self.busy -= 1
        return self.answer(batch)


def settings(callers: int = 1, batch: int = 8, record_batch: int = 1, stall: float = 5.0) -> BatchSettings:
    return BatchSettings(
        callers=callers,
        batch=batch,
        record_batch=record_batch,
        record_callers=1,
        calm=60.0,
        gather=0.002,
        stall=stall,
    )


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    """An engine that answers at once; shut its door to make it wait. No thread outlives the test."""
    engine = Engine()
    engine.door.set()
    yield engine
    engine.door.set()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(2.0):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a thread
            await asyncio.sleep(0.001)


async def test_what_is_ready_together_goes_together(engine: Engine) -> None:
    async with Batcher(engine, settings()) as batcher:
        answers = await asyncio.gather(*(batcher.recognize(Wish(name)) for name in "abc"))
    assert engine.batches == [["a", "b", "c"]]
    assert [answer and (answer[0].track, answer[1].language) for answer in answers] == [
        ("a",) * 2,
        ("b",) * 2,
        ("c",) * 2,
    ]


async def test_callers_share_what_is_ready_and_a_batch_has_its_limit(engine: Engine) -> None:
    async with Batcher(engine, settings(callers=2, batch=2)) as batcher:
        await asyncio.gather(*(batcher.recognize(Wish(name)) for name in "abcde"))
    assert max(len(batch) for batch in engine.batches) == 2
    assert sorted(name for batch in engine.batches for name in batch) == list("abcde")
    engine.batches.clear()
    async with Batcher(engine, settings(callers=2, batch=8)) as batcher:
        await asyncio.gather(*(batcher.recognize(Wish(name)) for name in "abcd"))
    assert [len(batch) for batch in engine.batches][:2] == [2, 1]


async def test_finals_go_first_then_who_waits_longest_and_the_record_goes_last_and_alone(engine: Engine) -> None:
    engine.door.clear()
    async with Batcher(engine, settings(batch=2)) as batcher:
        first = asyncio.create_task(batcher.recognize(Wish("first")))
        await until(lambda: engine.busy == 1)
        wishes = [Wish("r1", RECORD), Wish("r2", RECORD), Wish("l1"), Wish("f1", FINAL), Wish("l2"), Wish("f2", FINAL)]
        rest = [asyncio.create_task(batcher.recognize(wish)) for wish in wishes]
        await asyncio.sleep(0)
        engine.door.set()
        await asyncio.gather(first, *rest)
    assert engine.batches == [["first"], ["f1", "f2"], ["l1", "l2"], ["r1"], ["r2"]]


async def test_a_wish_that_became_urgent_while_it_waited_goes_first(engine: Engine) -> None:
    engine.door.clear()
    async with Batcher(engine, settings(batch=1)) as batcher:
        first = asyncio.create_task(batcher.recognize(Wish("first")))
        await until(lambda: engine.busy == 1)
        early, late = Wish("early"), Wish("late")
        rest = [asyncio.create_task(batcher.recognize(wish)) for wish in (early, late)]
        await asyncio.sleep(0)
        late.kind = FINAL
        assert (early.cuts, late.cuts) == (0, 0)
        engine.door.set()
        await asyncio.gather(first, *rest)
    assert engine.batches == [["first"], ["late"], ["early"]]


async def test_the_record_never_holds_all_callers_while_captions_are_wanted(engine: Engine) -> None:
    async with Batcher(engine, settings(callers=2)) as batcher:
        await batcher.recognize(Wish("live"))
        engine.door.clear()
        records = [asyncio.create_task(batcher.recognize(Wish(name, RECORD))) for name in ("r1", "r2")]
        await until(lambda: engine.busy == 1)
        await asyncio.sleep(0.02)
        assert engine.batches[1:] == [["r1"]]
        live = asyncio.create_task(batcher.recognize(Wish("soon")))
        await until(lambda: engine.busy == 2)
        assert engine.batches[2:] == [["soon"]]
        engine.door.set()
        await asyncio.gather(live, *records)
    assert engine.batches[3:] == [["r2"]]


async def test_after_a_calm_the_record_has_every_caller(engine: Engine) -> None:
    engine.door.clear()
    calm = BatchSettings(callers=2, batch=1, calm=0.0, gather=0.001)
    async with Batcher(engine, calm) as batcher:
        records = [asyncio.create_task(batcher.recognize(Wish(name, RECORD))) for name in ("r1", "r2")]
        await until(lambda: engine.busy == 2)
        engine.door.set()
        await asyncio.gather(*records)


async def test_recordings_go_last_one_at_a_time_and_leave_a_caller_free(engine: Engine) -> None:
    engine.door.clear()
    calm = BatchSettings(callers=2, batch=8, calm=0.0, gather=0.001)
    async with Batcher(engine, calm) as batcher:
        wishes = [Wish("u1", RECORDING), Wish("u2", RECORDING), Wish("r1", RECORD)]
        waiting = [asyncio.create_task(batcher.recognize(wish)) for wish in wishes]
        await until(lambda: engine.busy == 2)
        assert engine.batches == [["r1"], ["u1"]]
        live = asyncio.create_task(batcher.recognize(Wish("live")))
        engine.door.set()
        await asyncio.gather(live, *waiting)
    assert engine.batches[2:] == [["live"], ["u2"]]


async def test_while_captions_are_wanted_a_recording_rests_after_each_window(engine: Engine) -> None:
    wanted = BatchSettings(callers=1, calm=60.0, rest=4.0, gather=0.001)
    async with Batcher(engine, wanted) as batcher:
        await batcher.recognize(Wish("live"))
        engine.door.clear()
        loop = asyncio.get_running_loop()
        began = loop.time()
        first = asyncio.create_task(batcher.recognize(Wish("u1", RECORDING)))
        await until(lambda: engine.busy == 1)
        await asyncio.sleep(0.05)
        engine.door.set()
        await first
        took = loop.time() - began
        await batcher.recognize(Wish("u2", RECORDING))
        assert loop.time() - began > took + 3.5 * 0.05
        await batcher.recognize(Wish("r1", RECORD))
    assert engine.batches[1:] == [["u1"], ["u2"], ["r1"]]


async def test_what_is_no_longer_wanted_is_answered_with_nothing(engine: Engine) -> None:
    async with Batcher(engine, settings()) as batcher:
        answers = await asyncio.gather(batcher.recognize(Wish("a", wanted=False)), batcher.recognize(Wish("b")))
        assert answers[0] is None
        assert answers[1] is not None
        assert await batcher.recognize(Wish("c", wanted=False)) is None
    assert engine.batches == [["b"]]


# --- trouble ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RecognitionFailed("broken"), RuntimeError("CUDA"), MemoryError(), KeyError("x")])
async def test_whatever_the_engine_raises_fails_each_window_of_the_batch_only(engine: Engine, error: Exception) -> None:
    def fail(batch: Batch) -> list[Hypothesis]:
        raise error

    async with Batcher(engine, settings()) as batcher:
        engine.answer, well = fail, engine.answer
        failures = await asyncio.gather(*(batcher.recognize(Wish(name)) for name in "ab"), return_exceptions=True)
        for name, failure in zip("ab", failures, strict=True):
            assert isinstance(failure, RecognitionFailed)
            assert failure.window == window(name, LIVE)
            assert failure.retryable
        engine.answer = well
        assert await batcher.recognize(Wish("a")) is not None


async def test_an_engine_that_forgets_a_window_fails_the_batch_and_the_caller_goes_on(engine: Engine) -> None:
    async with Batcher(engine, settings()) as batcher:
        engine.answer, well = (lambda batch: []), engine.answer
        with pytest.raises(RecognitionFailed, match="0 of 1"):
            await batcher.recognize(Wish("a"))
        engine.answer = well
        assert await batcher.recognize(Wish("a")) is not None


async def test_audio_that_cannot_be_cut_fails_its_own_wish_only(engine: Engine) -> None:
    async with Batcher(engine, settings()) as batcher:
        broken = Wish("a", trouble=OSError("disk"))
        answers = await asyncio.gather(*map(batcher.recognize, (broken, Wish("b"))), return_exceptions=True)
    assert isinstance(answers[0], RecognitionFailed)
    assert engine.batches == [["b"]]


async def test_an_engine_that_stalls_fails_its_batch_and_another_caller_goes_on(engine: Engine) -> None:
    engine.door.clear()
    async with Batcher(engine, settings(callers=2, stall=0.05)) as batcher:
        with pytest.raises(RecognitionStalled) as failure:
            await batcher.recognize(Wish("a"))
        assert failure.value.window == window("a", LIVE)
        engine.door.set()
        assert await batcher.recognize(Wish("b")) is not None


async def test_closing_fails_what_waits_and_what_is_under_way(engine: Engine) -> None:
    engine.door.clear()
    async with Batcher(engine, settings()) as batcher:
        wishes = [asyncio.create_task(batcher.recognize(Wish("a")))]
        await until(lambda: engine.busy == 1)
        wishes.append(asyncio.create_task(batcher.recognize(Wish("b"))))
        await asyncio.sleep(0)
    failures = await asyncio.gather(*wishes, return_exceptions=True)
    assert [type(failure) for failure in failures] == [RecognitionFailed, RecognitionFailed]
    with pytest.raises(RecognitionFailed, match="closed"):
        await batcher.recognize(Wish("c"))


async def test_an_answer_that_comes_at_the_moment_of_closing_holds_nothing_up(engine: Engine) -> None:
    engine.door.clear()
    async with asyncio.timeout(5.0), Batcher(engine, settings()) as batcher:
        wish = asyncio.create_task(batcher.recognize(Wish("a")))
        await until(lambda: engine.busy == 1)
        engine.door.set()
        time.sleep(0.1)  # noqa: ASYNC251 - the thread has answered, and the loop is closing before it looks
    with pytest.raises(RecognitionFailed, match="closed"):
        await wish


async def test_who_stops_waiting_leaves_the_queue(engine: Engine) -> None:
    engine.door.clear()
    async with Batcher(engine, settings()) as batcher:
        under_way = asyncio.create_task(batcher.recognize(Wish("a")))
        await until(lambda: engine.busy == 1)
        waiting = asyncio.create_task(batcher.recognize(Wish("b")))
        await asyncio.sleep(0)
        waiting.cancel()
        under_way.cancel()
        await asyncio.gather(waiting, under_way, return_exceptions=True)
        engine.door.set()
        assert await batcher.recognize(Wish("c")) is not None
    assert engine.batches == [["a"], ["c"]]


@dataclass(slots=True)
class Observer:
    heard: list[tuple[list[float], float]] = field(default_factory=list)
    failed: int = 0

    def batch_heard(self, waited: Sequence[float], seconds: float) -> None:
        self.heard.append((list(waited), seconds))

    def batch_failed(self) -> None:
        self.failed += 1


async def test_an_observer_is_told_how_long_windows_waited_and_what_failed() -> None:
    answers = iter([RecognitionFailed("no"), None])

    def answer(batch: Batch) -> list[Hypothesis]:
        if failure := next(answers):
            raise failure
        return [Hypothesis((), "en") for _ in batch]

    engine, observer = Engine(answer), Observer()
    engine.door.set()
    async with Batcher(engine, settings(), observer) as batcher:
        with pytest.raises(RecognitionFailed):
            await batcher.recognize(Wish("a"))
        assert (observer.failed, observer.heard) == (1, [])
        await asyncio.gather(batcher.recognize(Wish("a")), batcher.recognize(Wish("b")))
        await batcher.recognize(Wish("c", wanted=False))
        answers = iter([None])
        await batcher.recognize(Wish("u", RECORDING))
    ((waited, seconds),) = observer.heard
    assert len(waited) == 2
    assert all(wait >= 0.0 for wait in [*waited, seconds])
