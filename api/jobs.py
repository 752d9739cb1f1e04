"""The durable work of a process that serves, put together: uploads transcribed by the recogniser of live meetings."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from dramatiq.brokers.stub import StubBroker

from media_gateway.recording import Recording
from pipeline.domain import RecordingId
from pipeline.jobs import RecordingJobs, Transcription
from pipeline.ports import Recognizer, RecordedMeetings, SpeechDetector
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
        languages,
        asyncio.get_running_loop(),
    )
    return RecordingJobs(StubBroker(), transcription)
