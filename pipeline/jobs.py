"""Durable work: an uploaded recording becomes the transcript of an ended meeting.

How far each recording is stands in the store; a broker only says when to work on it. So a message that was lost with
its process costs nothing (``unfinished`` finds the work again) and one that comes twice changes nothing. Whoever works
on a recording holds its lease and looks at it before each write: one who was asleep meanwhile writes nothing.
"""

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import dramatiq
import redis
from dramatiq.errors import Retry

from pipeline.domain import (
    SAMPLE_RATE,
    Caption,
    Hypothesis,
    Meeting,
    Participant,
    ParticipantId,
    RecordingId,
    RecordingJob,
    RecordingState,
    Samples,
    Track,
    TrackId,
    VoiceSpan,
    Window,
)
from pipeline.errors import GreffierError, NotFound, RecognitionFailed, Superseded, UnreadableMedia
from pipeline.leased import LEASE, LOOK, Answer, LeasedWork, Stopping
from pipeline.mixed import VoiceSearch, spoken_by
from pipeline.offline import Piece, RecordingRequest, recognize, said, speech_of, windows_of
from pipeline.ports import (
    Leases,
    MeetingAudioMemory,
    Recognizer,
    RecordedMeetings,
    RecordedSound,
    Sounds,
    SpeechDetector,
)

_log = logging.getLogger("greffier.jobs")

QUEUE = "batch"
_ACTOR = "transcribe_recording"

LONGEST = 12 * 3600.0
"""Seconds of sound that one recording may hold. A small file can decode to any amount: what is longer is refused."""
TOO_LONG = f"the recording holds more than {LONGEST / 3600:g} hours of sound; divide it and upload the parts"
_UNEXPECTED = "Greffier could not transcribe this recording; its log says why"

_PIECE = 10.0
_TOGETHER = 2
"""Windows of a recording that wait for the recogniser at once: the next one is ready when one is heard."""
_TELL = 1.0
"""Seconds between two notes of progress in the store; each also learns whether the recording was deleted."""
_RECOGNIZING = 0.6
"""The part of the work that recognition is, where voices are told apart after it."""
_RETRIES = 3
_MILLISECONDS = 1000

_OVER = frozenset({RecordingState.DONE, RecordingState.FAILED})


@dataclass(frozen=True, slots=True)
class Transcription:
    """Transcribes recordings through the recogniser of the process, whose event loop is ``loop``.

    Decoding and speech detection run in the thread of the job. ``languages`` are those of a recording that names none.
    ``leases`` keep those who share ``store`` from working on one recording at once; ``voices`` tells apart whom a
    recording mixes, where it is there.
    """

    store: RecordedMeetings
    recognizer: Recognizer
    new_detector: Callable[[], SpeechDetector]
    new_memory: Callable[[], MeetingAudioMemory]
    sounds: Sounds
    leases: Leases
    languages: tuple[str, ...]
    loop: asyncio.AbstractEventLoop
    stopping: threading.Event = field(default_factory=threading.Event)
    voices: VoiceSearch | None = None

    def run(self, recording: RecordingId) -> None:
        """Transcribes one recording in the calling thread, which is not that of the event loop.

        A recording that was deleted, before or meanwhile, is finished or in other hands is passed over. Raises
        ``Stopping``, and any ``GreffierError`` that is retryable; one that is not is kept as the recording's error.
        """
        with self._work.holding(_lease_of(recording)) as ours:
            if not ours:
                _log.info("recording.elsewhere", extra={"recording": recording})
                return
            try:
                job = self.wait(self.store.recording(recording))
                if job.state not in _OVER:
                    self._run(job)
            except NotFound:
                _log.info("recording.deleted", extra={"recording": recording})
            except Superseded:
                _log.warning("recording.superseded", extra={"recording": recording})

    def give_up(self, recording: RecordingId) -> None:
        """Its attempts are used up, or something went wrong that nobody foresaw."""
        with suppress(NotFound):
            job = self.wait(self.store.recording(recording))
            self._fail(job, job.error or _UNEXPECTED)

    async def unfinished(self) -> list[RecordingId]:
        """The recordings that wait or were being transcribed when their process ended, in the order of their upload."""
        jobs = [
            job
            for job in await self.store.recordings()
            if job.state in {RecordingState.WAITING, RecordingState.RUNNING}
        ]
        return [job.id for job in sorted(jobs, key=lambda job: job.created_at)]

    @property
    def _work(self) -> LeasedWork:
        return LeasedWork(self.leases, self.loop, self.stopping)

    def wait(self, work: Coroutine[object, object, Answer]) -> Answer:
        """The answer of ``work``, which runs on the event loop. Raises ``Stopping`` when the process stops."""
        return self._work.wait(work)

    def answer(self, future: "concurrent.futures.Future[Answer]") -> Answer:
        return self._work.answer(future)

    def check(self) -> None:
        self._work.check()

    def write(self, recording: RecordingId, work: Callable[[], Coroutine[object, object, None]]) -> None:
        """Writes what is to be written of a recording that is still ours, and waits while nobody can say whether it is.

        Raises ``Superseded`` where another process has it.
        """
        self._work.until(partial(self._hold_on, recording))
        self.wait(work())

    async def _hold_on(self, recording: RecordingId) -> None:
        """Raises ``Superseded``, ``BusFailed``."""
        if await self.leases.renew(_lease_of(recording), LEASE):
            return
        acquired = await self.leases.acquire(_lease_of(recording), LEASE)
        if acquired and (await self.store.recording(recording)).state not in _OVER:
            return
        raise Superseded("another worker transcribes this recording")

    def update(self, job: RecordingJob) -> None:
        self.write(job.id, partial(self.store.update_recording, job))

    def _run(self, job: RecordingJob) -> None:
        began = time.monotonic()
        try:
            job = replace(job, state=RecordingState.RUNNING, heard=0.0)
            self.update(job)
            sound = self.sounds.open(job.id)
            if (sound.duration or 0.0) > LONGEST:
                raise UnreadableMedia(TOO_LONG)
            listening = _Listening(self, replace(job, duration=sound.duration), sound)
            sentences = said(listening.pieces())
            recording = Participant(ParticipantId("recording"), job.title)
            voices, speech = listening.voices(), self.wait(self.store.speech_in(job.id))
            people, captions = spoken_by(recording, sentences, voices, speech)
            self.write(job.id, partial(self._keep, listening.job, people, captions))
        except (NotFound, Superseded):
            raise
        except GreffierError as error:
            if error.retryable:
                self.update(replace(job, state=RecordingState.WAITING, error=str(error)))
                raise
            self._fail(job, str(error))
            return
        self.sounds.remove(job.id)
        seconds = round(time.monotonic() - began, 1)
        _log.info("recording.transcribed", extra={"recording": job.id, "seconds": seconds, "sentences": len(sentences)})

    def _fail(self, job: RecordingJob, error: str) -> None:
        self.update(replace(job, state=RecordingState.FAILED, error=error))
        self.sounds.remove(job.id)
        _log.info("recording.failed", extra={"recording": job.id})

    async def _keep(self, job: RecordingJob, people: Sequence[Participant], captions: Sequence[Caption]) -> None:
        """The transcript as an ended meeting. Raises ``NotFound`` where the job was deleted."""
        length = max(job.duration or 0.0, job.heard)
        languages = job.languages or self.languages
        done = replace(job, state=RecordingState.DONE, heard=length, duration=length, error=None)
        meeting = Meeting(job.meeting, job.title, job.created_at, languages, ended_at=job.created_at + length)
        await self.store.finish_recording(done, meeting, people, captions)


class _Listening:
    """One recording on its way through the recogniser; ``job`` says how far it is."""

    def __init__(self, work: Transcription, job: RecordingJob, sound: RecordedSound) -> None:
        self.job = job
        self._work = work
        self._sound = sound
        self._told = float("-inf")
        self._search = work.voices if work.voices and work.voices.takes(job.id, job.duration) else None
        self._ahead = False  # windows were cut that are not recognised yet

    def pieces(self) -> list[Piece]:
        """The words of the whole recording. Raises ``UnreadableMedia``, ``RecognitionFailed``, ``NotFound``."""
        track = Track(TrackId(self.job.id), Participant(ParticipantId(self.job.id), self.job.title))
        memory = self._work.new_memory()
        languages = self.job.languages or self._work.languages
        pieces: list[Piece] = []
        try:
            events = speech_of(self._bounded(), track, self._work.new_detector)
            together: list[tuple[Window, Samples]] = []
            for window in windows_of(events, memory, track.id, languages):
                self._ahead = True
                together.append(window)
                if len(together) == _TOGETHER:
                    pieces.extend(recognize(together, self._hear))
                    together.clear()
                    self._ahead = False
            pieces.extend(recognize(together, self._hear))
        finally:
            memory.close()
        return pieces

    def _bounded(self) -> Iterator[Samples]:
        """The sound, as far as a recording may go; progress where there is no speech."""
        decoded = 0.0
        for piece in self._sound.pieces(_PIECE):
            self._work.check()
            decoded += len(piece) / SAMPLE_RATE
            if decoded > LONGEST:
                raise UnreadableMedia(TOO_LONG)
            if not self._ahead:
                self._heard(decoded)
            yield piece

    def _hear(self, windows: Sequence[tuple[Window, Samples]]) -> list[Hypothesis]:
        """All ``windows`` at once, so that they share batches."""
        futures = [
            asyncio.run_coroutine_threadsafe(self._recognized(RecordingRequest(*window)), self._work.loop)
            for window in windows
        ]
        try:
            heard = []
            for future, (window, _) in zip(futures, windows, strict=True):
                heard.append(self._work.answer(future))
                self._heard(window.end)
            return heard
        finally:
            for future in futures:
                future.cancel()

    async def _recognized(self, request: RecordingRequest) -> Hypothesis:
        answer = await self._work.recognizer.recognize(request)
        if answer is None:
            raise RecognitionFailed("the recogniser gave no answer", request.window)
        return answer[1]

    def voices(self) -> tuple[VoiceSpan, ...]:
        """Who speaks when, where it is asked for and can be said, once ``pieces`` has heard all."""
        length = max(self.job.duration or 0.0, self.job.heard)

        def look(done: float) -> None:
            self._work.check()
            self._tell(length * (_RECOGNIZING + (1.0 - _RECOGNIZING) * done))

        return () if self._search is None else self._search.find(self.job.id, self._sound, look)

    def _heard(self, until: float) -> None:
        self.job = replace(self.job, heard=max(self.job.heard, until))
        self._tell(self.job.heard if self._search is None else self.job.heard * _RECOGNIZING)

    def _tell(self, done: float) -> None:
        """``done`` are seconds of the recording, of which voices take their part."""
        now = time.monotonic()
        if now - self._told >= _TELL:
            self._told = now
            self._work.update(replace(self.job, heard=done))


async def send(broker: dramatiq.Broker, recording: RecordingId) -> None:
    """Somebody is to transcribe it. Where the broker cannot be reached, those who do learn of it from the store."""
    message: dramatiq.Message[None] = dramatiq.Message(QUEUE, _ACTOR, (recording,), {}, {})
    try:
        await asyncio.to_thread(broker.enqueue, message)
    except redis.RedisError as error:
        _log.warning("recording.unsent", extra={"recording": recording, "error": type(error).__name__})


@dataclass(frozen=True, slots=True)
class RecordingJobs:
    """The transcription of recordings as durable work of a broker, which the caller chooses.

    After a retryable error it is tried again, first about ``retry_after`` seconds later. ``start`` and ``close`` run
    one worker thread in this process, with one recording in hand: they keep the order of their upload.
    """

    broker: dramatiq.Broker
    transcription: Transcription
    retry_after: float = 5.0
    _workers: list[dramatiq.Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        declared = partial(dramatiq.actor, broker=self.broker, queue_name=QUEUE)
        give_up = declared(actor_name="give_up_recording", max_retries=0)(self._give_up)
        declared(
            actor_name=_ACTOR,
            # dramatiq's own limit is ten minutes, which a recording of some hours takes.
            time_limit=24 * 3600 * _MILLISECONDS,
            retry_when=_may_retry,
            min_backoff=round(self.retry_after * _MILLISECONDS),
            max_backoff=round(self.retry_after * 10 * _MILLISECONDS),
            on_retry_exhausted=give_up.actor_name,
        )(self._transcribe)

    async def send(self, recording: RecordingId) -> None:
        await send(self.broker, recording)

    async def start(self) -> None:
        """Takes up what an earlier process left, then works."""
        unfinished = await self.transcription.unfinished()
        await asyncio.to_thread(self.transcription.sounds.remove_others, unfinished)
        await self.take_up()
        look = round(LOOK * _MILLISECONDS)
        worker = dramatiq.Worker(self.broker, queues={QUEUE}, worker_threads=1, worker_timeout=look)
        worker.queue_prefetch = 1
        worker.start()
        self._workers.append(worker)

    async def take_up(self) -> None:
        """Sends again what is unfinished: messages may have been lost with a broker."""
        for recording in await self.transcription.unfinished():
            await self.send(recording)

    async def close(self, within: float = 3.0) -> None:
        """Leaves the job in hand as it is in the store. The event loop must still run, and the store be open."""
        self.transcription.stopping.set()
        while self._workers:
            await asyncio.to_thread(self._workers.pop().stop, round(within * _MILLISECONDS))

    def _transcribe(self, recording: str) -> None:
        try:
            self.transcription.run(RecordingId(recording))
        except Stopping as stopping:
            raise Retry("the process stops") from stopping
        except GreffierError as error:
            _log.warning("recording.retried", extra={"recording": recording, "error": type(error).__name__})
            raise Retry(str(error)) from error

    def _give_up(self, message: dict[str, Any], _: dict[str, Any]) -> None:
        self.transcription.give_up(RecordingId(message["args"][0]))


def _lease_of(recording: RecordingId) -> str:
    return f"recording:{recording}"


def _may_retry(retries: int, error: BaseException) -> bool:
    """What nobody foresaw is not tried again."""
    return isinstance(error, Retry) and (isinstance(error.__cause__, Stopping) or retries < _RETRIES)
