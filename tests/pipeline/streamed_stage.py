"""A session whose words come by themselves, in virtual time, and all that stands around it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from models.scripted import ScriptedEngine
from pipeline.bus.memory import MemoryAudioBus
from pipeline.domain import (
    Caption,
    Hypothesis,
    Participant,
    ParticipantId,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackId,
    TrackOpened,
    UtteranceId,
    Window,
    WindowKind,
    Word,
)
from pipeline.live.meeting import MeetingCaptioner
from pipeline.ports import RecognitionRequest
from pipeline.session import Session
from pipeline.store.memory import MemoryTranscriptStore
from pipeline.store.spool import AudioSpool, SpoolSettings
from tests.pipeline.streaming import ScriptedStream, ScriptedStreams, frame

ANNE, BILAL = TrackId("anne"), TrackId("bilal")
ONSET, HANG, STEP = 0.25, 0.5, 0.1
SPEECH = ((1.0, 9.0), (10.2, 16.2), (30.0, 33.0))


def words(speech: Sequence[tuple[float, float]] = SPEECH) -> list[Word]:
    """Two words a second, each said once."""
    said: list[Word] = []
    for start, end in speech:
        count = round((end - start) * 2)
        said += [
            Word(f" w{len(said) + k}", round(start + k / 2, 2), round(start + k / 2 + 0.4, 2)) for k in range(count)
        ]
    return said


@dataclass(slots=True)
class Windows:
    """A recogniser of windows that answers after ``latency``; it notes what it was asked."""

    script: dict[TrackId, Sequence[Word]]
    latency: float = 0.3
    asked: list[Window] = field(default_factory=list)

    async def recognize(self, request: RecognitionRequest) -> tuple[Window, Hypothesis] | None:
        cut = request.cut()
        if cut is None:
            return None
        self.asked.append(cut[0])
        await asyncio.sleep(self.latency)
        return cut[0], ScriptedEngine(self.script, wait=lambda seconds: None).hear([cut])[0]

    @property
    def live(self) -> list[Window]:
        return [window for window in self.asked if window.kind is not WindowKind.RECORD]


@dataclass(slots=True)
class Stage:
    """A meeting in virtual time; ``shown`` has every caption with the moment at which it was shown."""

    streams: ScriptedStreams
    core: MeetingCaptioner = field(default_factory=lambda: MeetingCaptioner(languages=("fr",)))
    script: Sequence[Word] = field(default_factory=words)
    windows: Windows = field(init=False)
    bus: MemoryAudioBus = field(default_factory=MemoryAudioBus)
    memory: AudioSpool = field(default_factory=lambda: AudioSpool(SpoolSettings(60.0, 60.0)))
    store: MemoryTranscriptStore = field(default_factory=MemoryTranscriptStore)
    shown: list[tuple[float, Caption]] = field(default_factory=list)
    newest: dict[UtteranceId, Caption] = field(default_factory=dict)
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        self.windows = Windows({ANNE: self.script, BILAL: self.script})
        self.session = Session(
            self.core, self.windows, self.bus, self.memory, self, self.store, self.now, streams=self.streams
        )

    @staticmethod
    def now() -> float:
        return asyncio.get_running_loop().time()

    async def send(self, caption: Caption) -> None:
        before = self.newest.get(caption.utterance)
        if before is not None:
            assert not before.final, "nothing follows a final"
            assert caption.words[: len(before.words)] == before.words, "committed words never change"
        self.newest[caption.utterance] = caption
        self.shown.append((self.now(), caption))

    async def until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self.now()))

    async def opens(self, track: TrackId, languages: tuple[str, ...] = ()) -> None:
        name = Participant(ParticipantId(track), track.title())
        await self.bus.send(TrackOpened(Track(track, name, languages), self.now()))

    async def talks(self, track: TrackId, start: float, end: float) -> None:
        """Speech as the edge passes it on: known a little late, with what was before it, its end half a second late."""
        await self.until(start + ONSET)
        await self.bus.send(SpeechStarted(track, start))
        at = round(max(0.0, start - 0.5), 1)
        while at < end + HANG - 1e-6:
            await self.until(at + STEP)
            await self.bus.send(frame(track, at, STEP))
            at = round(at + STEP, 1)
        await self.bus.send(SpeechEnded(track, end))

    async def says_all(self, track: TrackId = ANNE, speech: Sequence[tuple[float, float]] = SPEECH) -> None:
        await self.opens(track)
        for start, end in speech:
            await self.talks(track, start, end)

    async def play(self, *happening: Awaitable[None]) -> None:
        """The whole meeting; the bus closes once all of ``happening`` is over."""
        async with asyncio.timeout(1000.0), asyncio.TaskGroup() as group:
            running = group.create_task(self.session.run())
            await asyncio.gather(*happening)
            await self.bus.close()
            await running
        self.memory.close()
        assert not self.streams.open_now, "every slot was given back"

    def said(self, track: TrackId = ANNE) -> list[str]:
        finals = [final for final in self.store.finals.values() if final.track == track]
        return [word.text for final in finals for word in final.words]

    def first_shown(self) -> dict[str, float]:
        """When each word was first shown as committed."""
        found: dict[str, float] = {}
        for at, caption in self.shown:
            for word in caption.words:
                found.setdefault(word.text, at)
        return found

    def latest(self) -> float:
        """How long the latest word was waited for, committed or not."""
        found: dict[str, float] = {}
        for at, caption in self.shown:
            for word in (*caption.words, *caption.tail):
                found.setdefault(word.text, at)
        return max(found[word.text] - word.end for word in self.script if word.text in found)


def stage(trouble: Callable[[int, ScriptedStream], None] = lambda number, stream: None, **options: object) -> Stage:
    return Stage(ScriptedStreams(words(), trouble=trouble, **options))  # type: ignore[arg-type]


ALL = [word.text for word in words()]
