"""The one place that knows every adapter: puts engines, detectors, buses and stores together."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from api.detecting import speech_detectors
from api.files import Files
from api.settings import PolicyName, Settings, SharedRooms
from models.batching import Batcher, BatchObserver, BatchSettings
from models.calibration import Calibration, calibrate
from models.cuda import load_cublas
from models.downloads import Progress
from models.faster_whisper import EngineSettings, WhisperEngine
from models.kyutai.server import ServerSettings
from models.kyutai.servers import KyutaiServers
from models.voice_onnx import VoiceModel
from models.weights import locate
from pipeline.bus.feed import CaptionFeed
from pipeline.bus.memory import MemoryAudioBus
from pipeline.errors import InvalidInput
from pipeline.live.meeting import MeetingCaptioner
from pipeline.live.policies import CommitPolicy, LocalAgreement
from pipeline.live.settings import LiveSettings
from pipeline.ports import KeptMeetings, Recognizer
from pipeline.running import Equipment
from pipeline.store.spool import AudioSpool
from pipeline.streams import StreamingRecognizer

_OFFLINE_BATCH = 2
"""Windows of a recording that go together where the calibration, which wants words soon, says fewer."""


@dataclass(slots=True)
class Recognition:
    """The engine of this process and how this machine runs it best."""

    engine: WhisperEngine
    calibration: Calibration
    live: LiveSettings
    policy: PolicyName

    def captioner(self, languages: tuple[str, ...], glossary: tuple[str, ...] = ()) -> MeetingCaptioner:
        """Raises ``InvalidInput`` where the model does not know one of ``languages``."""
        check_languages(self.engine, languages)
        captioner = MeetingCaptioner(self.live, languages, self._new_policy())
        captioner.set_glossary(glossary)
        return captioner

    def batcher(self, observer: BatchObserver | None = None) -> Batcher:
        batch = self.calibration.batch
        settings = BatchSettings(self.calibration.callers, batch, record_batch=max(1, batch // 4))
        return Batcher(self.engine, settings, observer)

    def _new_policy(self) -> Callable[[], CommitPolicy] | None:
        return LocalAgreement if self.policy is PolicyName.LOCAL_AGREEMENT else None


def recognition(settings: Settings, progress: Progress) -> Recognition:
    """The recognition of live meetings. Raises ``ModelUnavailable``."""
    folder, chosen = _calibrated(settings, progress)
    engine = WhisperEngine(folder, _engine_settings(chosen))
    return Recognition(engine, chosen, LiveSettings(step=chosen.step), settings.policy)


def calibrated_engine(settings: Settings, progress: Progress, record_beam: int) -> tuple[WhisperEngine, int]:
    """The engine for whole recordings, and how many windows it takes at once. Raises ``ModelUnavailable``."""
    folder, chosen = _calibrated(settings, progress)
    return WhisperEngine(folder, replace(_engine_settings(chosen), record_beam=record_beam)), max(
        chosen.batch, _OFFLINE_BATCH
    )


@asynccontextmanager
async def kyutai_servers(settings: Settings) -> AsyncIterator[KyutaiServers | None]:
    """What recognises French and English live before the model of ``recognition`` does, where the settings say so."""
    if settings.kyutai is None:
        yield None
        return
    chosen = settings.kyutai
    async with KyutaiServers(ServerSettings(chosen.urls, chosen.key, chosen.slots, chosen.delay)) as servers:
        yield servers


def with_shared_rooms(equipment: Equipment, settings: Settings, model: VoiceModel | None) -> Equipment:
    by_themselves = settings.shared_rooms is SharedRooms.AUTO
    return replace(equipment, voice_model=model, rooms_by_themselves=by_themselves)


def equipment(
    recognition: Recognition,
    recognizer: Recognizer,
    languages: tuple[str, ...],
    store: KeptMeetings,
    files: Files,
    streams: StreamingRecognizer | None = None,
) -> Equipment:
    """What live meetings run on; ``languages`` are those of meetings that name none."""
    return Equipment(
        store=store,
        recognizer=recognizer,
        new_captioner=lambda chosen, glossary: recognition.captioner(chosen or languages, glossary),
        check_languages=lambda chosen: check_languages(recognition.engine, chosen),
        new_detector=speech_detectors(),
        new_bus=MemoryAudioBus,
        new_memory=AudioSpool,
        new_feed=CaptionFeed,
        new_keeper=files.new_keeper,
        forget=files.forget,
        streams=streams,
    )


def check_languages(engine: WhisperEngine, languages: tuple[str, ...]) -> None:
    """Raises ``InvalidInput`` naming the languages that the model does not know."""
    known = engine.tokens.languages()
    strange = [language for language in languages if language not in known]
    if strange:
        raise InvalidInput(f"this model does not know the language {', '.join(strange)}; it knows {', '.join(known)}")


def _calibrated(settings: Settings, progress: Progress) -> tuple[Path, Calibration]:
    """The model's folder and the calibration of this machine, with what the settings say in its place."""
    folder = locate(settings.model, settings.cache, progress=progress)
    load_cublas()
    chosen = calibrate(folder, settings.cache, settings.device.value, settings.compute_type, settings.threads, progress)
    if settings.batch is not None:
        chosen = replace(chosen, batch=settings.batch)
    if settings.step is not None:
        chosen = replace(chosen, step=settings.step)
    if settings.talkers is not None:
        chosen = replace(chosen, talkers=settings.talkers)
    return folder, chosen


def _engine_settings(chosen: Calibration) -> EngineSettings:
    return EngineSettings(
        device=chosen.device, compute_type=chosen.compute_type, callers=chosen.callers, threads=chosen.threads
    )
