"""Windows of all tracks and meetings share batches: what is ready within a few milliseconds goes together."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.domain import Hypothesis, Samples, Window, WindowKind
from pipeline.errors import RecognitionFailed, RecognitionStalled
from pipeline.ports import RecognitionRequest


class Engine(Protocol):
    """Recognises one batch at a time in the calling thread."""

    def hear(self, batch: Sequence[tuple[Window, Samples]]) -> list[Hypothesis]:
        """One hypothesis per window, in order. Raises ``RecognitionFailed``."""


class BatchObserver(Protocol):
    """Told what a batcher does, on the event loop; it must not raise."""

    def batch_heard(self, waited: Sequence[float], seconds: float) -> None:
        """A batch took ``seconds`` to recognise; each of its windows had ``waited`` for so many.

        Not told of recordings, which wait on purpose.
        """

    def batch_failed(self) -> None: ...


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """``callers`` batches run at once, of at most ``batch`` windows; ``gather`` seconds let a batch fill.

    While captions are wanted, ``record_callers`` at most are busy with the record, ``record_batch`` windows at a time,
    so that captions never wait for it behind all of them; after ``calm`` seconds without, the record has the machine.
    Recordings, which nobody waits for, go one window at a time and leave a caller free where there are several; while
    captions are wanted they rest after each, ``rest`` times as long as it took. ``stall`` seconds without an answer
    fail a batch.
    """

    callers: int = 2
    batch: int = 4
    record_batch: int = 1
    record_callers: int = 1
    calm: float = 3.0
    rest: float = 4.0
    gather: float = 0.004
    stall: float = 60.0


@dataclass(slots=True, eq=False)
class _Waiting:
    request: RecognitionRequest
    answer: "asyncio.Future[tuple[Window, Hypothesis] | None]"
    since: float


@dataclass(slots=True)
class Batcher:
    """A ``Recognizer`` over one engine: an async context that owns its caller threads.

    The queue holds at most one live and one record request per track (the session's rule), so it is bounded by the
    number of tracks. Windows are cut when a caller takes them, finals first, then the longest waiting.
    """

    engine: Engine
    settings: BatchSettings = BatchSettings()
    observer: BatchObserver | None = None
    _waiting: list[_Waiting] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _callers: list["asyncio.Task[None]"] = field(default_factory=list)
    _recording: int = 0
    _recordings: int = 0
    _rested_at: float = float("-inf")
    _live_until: float = float("-inf")
    _threads: ThreadPoolExecutor | None = None

    async def __aenter__(self) -> "Batcher":
        # CTranslate2 releases the GIL while it computes, so one thread per caller keeps the cores busy.
        self._threads = ThreadPoolExecutor(self.settings.callers, thread_name_prefix="recognizer")
        self._callers = [asyncio.create_task(self._call()) for _ in range(self.settings.callers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """What waits or is being recognised fails, so that nobody waits for ever."""
        callers, self._callers = self._callers, []
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        _refuse(self._waiting)
        self._waiting.clear()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def recognize(self, request: RecognitionRequest) -> tuple[Window, Hypothesis] | None:
        if not self._callers:
            raise RecognitionFailed("the recogniser is closed")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(request, loop.create_future(), loop.time())
        self._waiting.append(waiting)
        self._arrived.set()
        try:
            return await waiting.answer
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    async def _call(self) -> None:
        """One caller: takes the most urgent requests, recognises them in its thread, answers."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(self.settings.gather)
            chosen = self._choose()
            if not chosen:
                self._arrived.clear()
                continue
            kind, began = chosen[0].request.kind, asyncio.get_running_loop().time()
            self._recording += kind is WindowKind.RECORD
            self._recordings += kind is WindowKind.RECORDING
            try:
                await self._answer(chosen)
            finally:
                _refuse(chosen)
                self._recording -= kind is WindowKind.RECORD
                if kind is WindowKind.RECORDING:
                    self._recordings -= 1
                    self._rest(began)
                self._arrived.set()

    def _choose(self) -> list[_Waiting]:
        """The requests of the next batch, taken from the queue; the record goes alone, recordings last."""
        order = sorted(self._waiting, key=lambda waiting: waiting.request.kind)
        live = [waiting for waiting in order if waiting.request.kind < WindowKind.RECORD]
        if live:
            self._live_until = asyncio.get_running_loop().time()
            chosen = live[: self._fair_share(len(live))]
        else:
            chosen = self._choose_quiet(order)
        for waiting in chosen:
            self._waiting.remove(waiting)
        return chosen

    def _choose_quiet(self, order: list[_Waiting]) -> list[_Waiting]:
        """The next batch of requests that no caption waits for."""
        now = asyncio.get_running_loop().time()
        calm = now - self._live_until > self.settings.calm
        record = [waiting for waiting in order if waiting.request.kind is WindowKind.RECORD]
        if record and calm:
            return record[: self._fair_share(len(record))]
        if record and self._recording < self.settings.record_callers:
            return record[: self.settings.record_batch]
        free = self._recordings < max(1, self.settings.callers - 1)
        if free and (calm or (not self._recording and now >= self._rested_at)):
            return order[len(record) :][:1]
        return []

    def _rest(self, began: float) -> None:
        """A window of a recording, begun at ``began``, has been heard: the next one waits a little."""
        loop = asyncio.get_running_loop()
        rest = self.settings.rest * (loop.time() - began)
        self._rested_at = loop.time() + rest
        loop.call_later(rest, self._arrived.set)

    def _fair_share(self, ready: int) -> int:
        """Several callers share what is ready, since each may be free soon."""
        return max(1, min(self.settings.batch, -(-ready // self.settings.callers)))

    async def _answer(self, chosen: list[_Waiting]) -> None:
        wanted = [(waiting, cut) for waiting in chosen if (cut := self._cut(waiting)) is not None]
        if not wanted:
            return
        loop = asyncio.get_running_loop()
        batch = [cut for _, cut in wanted]
        began = loop.time()
        try:
            async with asyncio.timeout(self.settings.stall):  # wait_for of Python 3.11 may swallow a cancellation
                heard = await loop.run_in_executor(self._threads, self.engine.hear, batch)
            if len(heard) != len(wanted):
                raise RecognitionFailed(f"the recogniser answered {len(heard)} of {len(wanted)} windows")
        except TimeoutError:
            self._fail(wanted, RecognitionStalled(f"no answer from the recogniser within {self.settings.stall:g} s"))
        except RecognitionFailed as failure:
            self._fail(wanted, failure)
        except Exception as surprise:  # noqa: BLE001 - an engine may raise anything, and the tracks must go on
            self._fail(wanted, RecognitionFailed(f"the recogniser raised {type(surprise).__name__}"))
        else:
            if self.observer is not None and wanted[0][0].request.kind is not WindowKind.RECORDING:
                self.observer.batch_heard([began - waiting.since for waiting, _ in wanted], loop.time() - began)
            for (waiting, cut), hypothesis in zip(wanted, heard, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result((cut[0], hypothesis))

    @staticmethod
    def _cut(waiting: _Waiting) -> tuple[Window, Samples] | None:
        """The window and its samples; None when there is nothing to recognise, which is answered here."""
        try:
            cut = waiting.request.cut()
        except Exception as surprise:  # noqa: BLE001 - one track's trouble is not that of the others in the batch
            _refuse([waiting], f"the audio could not be cut: {type(surprise).__name__}")
            return None
        if cut is None and not waiting.answer.done():
            waiting.answer.set_result(None)
        return cut

    def _fail(self, wanted: list[tuple[_Waiting, tuple[Window, Samples]]], failure: RecognitionFailed) -> None:
        if self.observer is not None:
            self.observer.batch_failed()
        for waiting, cut in wanted:
            if not waiting.answer.done():
                waiting.answer.set_exception(type(failure)(str(failure), cut[0]))


def _refuse(unanswered: list[_Waiting], reason: str = "the recogniser was closed") -> None:
    for waiting in unanswered:
        if not waiting.answer.done():
            waiting.answer.set_exception(RecognitionFailed(reason))
