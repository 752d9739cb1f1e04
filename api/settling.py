"""Settling meetings after they end, put together with the jobs of the same queue."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from api.settings import Settings, Settle
from api.stored_sounds import KeptTracks
from pipeline.domain import MeetingId, RecordingId
from pipeline.jobs import RecordingJobs
from pipeline.leased import LeasedWork
from pipeline.mixed import VoiceSearch
from pipeline.ports import ObjectStore
from pipeline.settling import SettledMeetings, Settling
from pipeline.settling_jobs import SettlingJobs
from pipeline.store.spool import AudioSpool

Busy = Callable[[MeetingId], Awaitable[bool]]
Wall = Callable[[], float]


@dataclass(frozen=True, slots=True)
class BatchJobs:
    """The durable work of a process: recordings, and settling meetings where it is done at all."""

    recordings: RecordingJobs
    settling: SettlingJobs | None

    async def send(self, recording: RecordingId) -> None:
        await self.recordings.send(recording)

    async def start(self) -> None:
        await self.recordings.start()
        if self.settling is not None:
            await self.settling.start()

    async def take_up(self) -> None:
        """Sends again what is unfinished: messages may have been lost with a broker."""
        await self.recordings.take_up()

    async def close(self) -> None:
        if self.settling is not None:
            await self.settling.close()
        await self.recordings.close()


def settling_of(
    jobs: RecordingJobs, store: SettledMeetings, objects: ObjectStore, voices: VoiceSearch | None
) -> Settling:
    """By the recogniser, the broker and the leases of ``jobs``; ``objects`` has the kept sound."""
    done = jobs.transcription
    work = LeasedWork(done.leases, done.loop, done.stopping)
    return Settling(store, work, KeptTracks(objects, work), done.recognizer, AudioSpool, voices)


def batch_jobs(
    jobs: RecordingJobs, settings: Settings, settling: Settling, busy: Busy, wall: Wall, after: float = 0.0
) -> BatchJobs:
    """``jobs``, and settling where the settings want it; see ``SettlingJobs``."""
    if settings.settle is Settle.NEVER:
        return BatchJobs(jobs, None)
    return BatchJobs(jobs, SettlingJobs(jobs.broker, settling, busy, wall, after))
