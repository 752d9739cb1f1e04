"""Durable work, put together: this process transcribes uploads, or leaves them to workers that do nothing else."""

import asyncio
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker

from api.detecting import speech_detectors
from api.stored_sounds import StoredSounds
from media_gateway.recording import Recording
from pipeline.bus.leases import MemoryLeases
from pipeline.domain import RecordingId
from pipeline.jobs import RecordingJobs, Transcription, send
from pipeline.mixed import VoiceSearch
from pipeline.ports import Leases, ObjectStore, Recognizer, RecordedMeetings, SpeechDetector
from pipeline.store.spool import AudioSpool, SpoolSettings
from pipeline.store.uploads import Uploads

_SPOOL = SpoolSettings(memory=120.0)
"""Seconds: a window is cut as soon as it is full."""


@dataclass(frozen=True, slots=True)
class UploadedSounds:
    """The ``Sounds`` in a folder of uploads; errors name no path, since whoever uploaded reads them."""

    uploads: Uploads

    def open(self, recording: RecordingId) -> Recording:
        return Recording.measure(self.uploads.path(recording), "the recording")

    def remove(self, recording: RecordingId) -> None:
        self.uploads.remove(recording)

    def remove_others(self, kept: Collection[RecordingId]) -> None:
        self.uploads.remove_others(kept)


def jobs_in_process(
    store: RecordedMeetings,
    recognizer: Recognizer,
    new_detector: Callable[[], SpeechDetector],
    uploads: Uploads,
    languages: tuple[str, ...],
    voices: VoiceSearch | None = None,
) -> RecordingJobs:
    """To be called on the event loop on which ``store`` and ``recognizer`` live.

    dramatiq's in-process broker keeps messages in memory only, which is enough: what is to be done stands in the store.
    """
    transcription = Transcription(
        store,
        recognizer,
        new_detector,
        lambda: AudioSpool(_SPOOL),
        UploadedSounds(uploads),
        MemoryLeases(),
        languages,
        asyncio.get_running_loop(),
        voices=voices,
    )
    return RecordingJobs(StubBroker(), transcription)


def jobs_over_redis(
    broker: RedisBroker,
    store: RecordedMeetings,
    recognizer: Recognizer,
    objects: ObjectStore,
    leases: Leases,
    languages: tuple[str, ...],
    voices: VoiceSearch | None = None,
) -> RecordingJobs:
    """Those of ``greffier worker --queues batch``, for uploads that other processes put into ``objects``.

    To be called on the event loop on which all of these live. Whoever learns that Redis is back calls ``take_up``.
    """
    loop, stopping = asyncio.get_running_loop(), threading.Event()
    transcription = Transcription(
        store,
        recognizer,
        speech_detectors(),
        lambda: AudioSpool(_SPOOL),
        StoredSounds(objects, loop, stopping),
        leases,
        languages,
        loop,
        stopping,
        voices,
    )
    broker.emit_after("process_boot")  # which dramatiq's own command does: time limits begin to count
    return RecordingJobs(broker, transcription)


@dataclass(frozen=True, slots=True)
class RecordingQueue:
    """The ``jobs`` of a process that receives recordings and leaves them to others."""

    broker: RedisBroker

    async def send(self, recording: RecordingId) -> None:
        await send(self.broker, recording)

    async def start(self) -> None:
        """Nothing is done here."""

    async def close(self) -> None:
        """Nothing is done here."""
