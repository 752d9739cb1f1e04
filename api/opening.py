"""Opens a house: store, recogniser, running meetings, connections and jobs, each closed in the opposite order."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from api.access import Access, is_loopback
from api.channels import PER_TALKER, Channels
from api.detecting import speech_detectors
from api.diarizing import of_recordings, voice_search
from api.files import files_of
from api.gateways import Surroundings, open_janus, open_livekit
from api.house import House
from api.job_counts import count_jobs
from api.jobs import jobs_in_process
from api.metrics import Metrics
from api.probe import EngineProbe
from api.room_voices import voice_model
from api.sample import Sample
from api.settings import Settings
from api.settling import batch_jobs, settling_of
from api.tokens import Signer, secret_in
from api.tracing import tracing
from api.wiring import Recognition, check_languages, equipment, kyutai_servers, with_shared_rooms
from media_gateway.webrtc import WhipPeers
from pipeline.bus.feed import CaptionFeed
from pipeline.bus.leases import MemoryLeases
from pipeline.domain import MeetingId
from pipeline.errors import InvalidSetting
from pipeline.running import RunningMeetings
from pipeline.store.sql import SqlStore


@asynccontextmanager
async def open_house(settings: Settings, recognition: Recognition) -> AsyncIterator[House]:
    """Everything is ready when it opens but the routes: nothing runs before the application starts it.

    Raises ``InvalidSetting`` where the folder or the database of the settings cannot be used.
    """
    signer = Signer(settings.secret or secret_in(settings.home), settings.token_ttl)
    with _alone_in(settings.home):
        async with _opened(settings, recognition, signer) as house:
            yield house


@contextmanager
def _alone_in(home: Path) -> Iterator[None]:
    """Another server there would make finals of what is being said in this one, and end its meetings."""
    with (home / "secret").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidSetting(f"another Greffier serves from {home}: stop it, or set GREFFIER_HOME") from error
        yield


@asynccontextmanager
async def _opened(settings: Settings, recognition: Recognition, signer: Signer) -> AsyncIterator[House]:
    store = await asyncio.to_thread(SqlStore.open, settings.database_url)
    try:
        metrics = Metrics()
        async with (
            tracing(settings, "serve") as traces,
            recognition.batcher(metrics) as batcher,
            kyutai_servers(settings) as kyutai,
            voice_model(settings) as room_voices,
        ):
            recognizer = batcher if traces is None else traces.recognizer(batcher)
            files = files_of(settings, store, shared=False)
            loopback = is_loopback(settings.host)
            equipped = equipment(recognition, recognizer, settings.languages, store, files, kyutai)
            live = replace(
                with_shared_rooms(equipped, settings, room_voices),
                new_feed=lambda first: CaptionFeed(first, metrics.watch()),
            )
            meetings = RunningMeetings(live, settings.empty_after)
            talkers = recognition.calibration.talkers
            channels = Channels(live, talkers * PER_TALKER)
            metrics.elsewhere = lambda: channels.talking
            around = Surroundings(
                house=signer.name,
                meetings=meetings,
                store=store,
                objects=files.others_read,
                leases=MemoryLeases(),
                new_detector=live.new_detector,
                load=lambda: metrics.talking / talkers,
            )
            voices = voice_search(settings, threads=1)
            mixed = of_recordings(settings, voices)
            jobs = jobs_in_process(store, recognizer, speech_detectors(), files.uploads, settings.languages, mixed)
            count_jobs(jobs.broker, metrics.registry)
            if traces is not None:
                traces.jobs(jobs.broker)

            async def busy(meeting: MeetingId) -> bool:
                return meetings.at_work(meeting)

            house = House(
                settings=settings,
                store=store,
                files=files,
                meetings=meetings,
                access=Access(store, signer, loopback=loopback),
                metrics=metrics,
                peers=WhipPeers(settings.ice_servers, loopback=loopback, ports=settings.udp_ports),
                jobs=batch_jobs(jobs, settings, settling_of(jobs, store, files.objects, voices), busy, time.time),
                sample=Sample(),
                check_languages=lambda languages: check_languages(recognition.engine, languages),
                livekit=None if settings.livekit is None else open_livekit(settings.livekit, around),
                janus=None if settings.janus is None else open_janus(settings.janus, settings.ice_servers, around),
                engine=EngineProbe(batcher, metrics, settings.languages[0]),
                talkers=talkers,
                channels=channels,
                kyutai=kyutai,
                traces=traces,
                voice_model=room_voices,
            )
            try:
                yield house
            finally:
                for sfu in house.sfus:
                    await sfu.disconnect()
    finally:
        await store.close()
