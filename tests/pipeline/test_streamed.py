"""Words that come by themselves in a session: slots follow talkers, and whatever happens to a stream loses nothing.

More than 400 lines, because it mirrors one source file, a short test for each of its rules.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from models.scripted import ScriptedEngine
from pipeline.bus.memory import MemoryAudioBus
from pipeline.domain import (
    AudioLost,
    Caption,
    Hypothesis,
    Participant,
    ParticipantId,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackClosed,
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
from tests.virtual_time import in_virtual_time

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


# --- when all is well -----------------------------------------------------------------------------------------


def test_words_come_by_themselves_at_the_times_at_which_they_were_said() -> None:
    scene = stage()
    in_virtual_time(scene.play(scene.says_all()))
    found = [word for final in scene.store.finals.values() for word in final.words]
    assert [word.text for word in found] == ALL
    assert [(word.start, word.end) for word in found] == [
        (pytest.approx(word.start, abs=0.001), pytest.approx(word.end, abs=0.001)) for word in scene.script
    ]
    assert not scene.windows.live
    assert [word.text for record in scene.store.records for word in record.words] == ALL
    assert scene.streams.fallbacks == 0


def test_a_word_is_shown_as_soon_as_it_comes_and_the_last_one_is_not_waited_for() -> None:
    scene = stage()
    in_virtual_time(scene.play(scene.says_all()))
    first = scene.first_shown()
    for word in scene.script:
        assert first[word.text] - word.end <= 0.5 + STEP + 0.02  # the delay of the model and a frame


def test_a_slot_is_taken_when_speech_starts_with_what_was_before_it_and_given_back_in_silence() -> None:
    scene = stage()
    in_virtual_time(scene.play(scene.says_all()))
    assert len(scene.streams.streams) == 2  # the breath between the first two sentences kept its slot
    assert scene.streams.most_open == 1
    first, second = scene.streams.streams
    assert min(first.places) == 50
    assert first.seconds == pytest.approx(16.5 - 0.5, abs=0.7)  # what the breath left out was not sent
    assert min(second.places) == 2950


def test_slots_follow_those_who_talk_not_those_who_are_there() -> None:
    scene = stage(channels=2)
    listeners = [scene.opens(TrackId(f"listener{number}")) for number in range(50)]
    in_virtual_time(scene.play(*listeners, scene.says_all(ANNE), scene.says_all(BILAL)))
    assert scene.said(ANNE) == scene.said(BILAL) == ALL
    assert scene.streams.most_open == 2
    assert scene.streams.fallbacks == scene.streams.refused == 0


def test_who_talks_on_and_on_is_divided_as_with_windows() -> None:
    speech = ((1.0, 70.0),)
    scene = Stage(ScriptedStreams(words(speech)), script=words(speech))
    in_virtual_time(scene.play(scene.says_all(speech=speech)))
    assert scene.said() == [word.text for word in words(speech)]
    assert len(scene.store.finals) == 3
    assert len(scene.streams.streams) == 1


def test_sound_that_is_lost_leaves_the_times_after_it_right() -> None:
    scene = stage()

    async def with_a_hole() -> None:
        await scene.opens(ANNE)
        await scene.bus.send(SpeechStarted(ANNE, 1.0))
        for at in [*range(5, 30), *range(60, 95)]:
            await scene.until(at / 10 + STEP)
            if at == 60:
                await scene.bus.send(AudioLost(ANNE, 3.0, 6.0))
            await scene.bus.send(frame(ANNE, at / 10))
        await scene.bus.send(SpeechEnded(ANNE, 9.0))

    in_virtual_time(scene.play(with_a_hole()))
    found = {word.text: word.start for final in scene.store.finals.values() for word in final.words}
    assert found == {
        word.text: pytest.approx(word.start, abs=0.001)
        for word in scene.script
        if word.end <= 3.0 or 6.0 <= word.start < 9.0
    }
    assert [(gap.start, gap.end) for gap in scene.store.gaps] == [(3.0, 6.0)]


def test_speech_that_ends_without_any_sound_is_not_waited_for() -> None:
    scene = stage()

    async def breathes() -> None:
        await scene.opens(ANNE)
        await scene.talks(ANNE, 1.0, 9.0)
        await scene.until(9.8)
        await scene.bus.send(SpeechStarted(ANNE, 9.7))
        await scene.bus.send(SpeechEnded(ANNE, 9.8))
        await scene.until(10.2)
        assert not scene.core.streaming(ANNE)

    in_virtual_time(scene.play(breathes()))
    assert len(scene.streams.streams) == 1


# --- trouble in mid sentence ----------------------------------------------------------------------------------


def lose(stream: ScriptedStream) -> None:
    stream.lose()


def deafen(stream: ScriptedStream) -> None:
    stream.deaf = True


def stall(stream: ScriptedStream) -> None:
    stream.stalled = True


def stick(stream: ScriptedStream) -> None:
    stream.stalled = stream.stuck = True


TROUBLE: dict[str, tuple[Callable[[ScriptedStream], None], float]] = {
    "lost": (lose, 1.6),
    "no words": (deafen, 5.6),
    "no answers": (stall, 6.0),
    "frozen": (stick, 6.0),
}
"""What happens to a stream, and how late its words may then come: N = 4 s, the delay and what a new stream needs."""


def but_for_last_words(kind: str, at: float, scene: Stage) -> list[str]:
    """All words; a stream that answers, and hears no words in the last second of speech only, is believed."""
    end = next(end for _, end in SPEECH if at < end + HANG)
    doubtful = {word.text for word in scene.script if end - 1.0 < word.end <= end} if kind == "no words" else set()
    said = scene.said()
    return [text for text in ALL if text not in doubtful or text in said]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", sorted(TROUBLE))
def test_a_stream_in_trouble_is_replaced_and_nothing_is_lost_or_doubled(kind: str, seed: int) -> None:
    act, late = TROUBLE[kind]
    scene = stage()
    at = random.Random(seed).uniform(1.5, 15.5)

    async def trouble() -> None:
        await scene.until(at)
        for stream in list(scene.streams.open_now):
            act(stream)

    in_virtual_time(scene.play(scene.says_all(), trouble()))
    assert scene.said() == but_for_last_words(kind, at, scene)
    assert scene.latest() <= late
    assert len(scene.store.finals) == 3


@pytest.mark.parametrize("seed", range(20))
def test_where_no_stream_goes_on_windows_do_in_the_same_utterance(seed: int) -> None:
    kind = sorted(TROUBLE)[seed % len(TROUBLE)]
    act, _ = TROUBLE[kind]
    scene = stage()
    at = random.Random(seed).uniform(1.5, 15.5)

    async def trouble() -> None:
        await scene.until(at)
        for stream in list(scene.streams.open_now):
            act(stream)
        scene.streams.trouble = lambda number, stream: act(stream)
        await scene.until(29.0)
        scene.streams.trouble = lambda number, stream: None

    in_virtual_time(scene.play(scene.says_all(), trouble()))
    assert scene.said() == but_for_last_words(kind, at, scene)
    assert scene.latest() <= 7.0  # N + 3 s
    assert len(scene.store.finals) == 3
    assert all(window.end < 20.0 for window in scene.windows.live)  # streams are back with the next utterance


def test_where_all_slots_are_in_use_one_is_waited_for_while_the_sound_is_kept() -> None:
    scene = stage(channels=0)

    async def others_stop() -> None:
        await scene.until(2.3)
        scene.streams.channels = 1

    in_virtual_time(scene.play(scene.says_all(), others_stop()))
    assert scene.said() == ALL
    assert scene.streams.refused > 1
    assert not scene.windows.live


def test_where_no_slot_gets_free_windows_take_the_utterance_and_streams_the_next_one() -> None:
    scene = stage(channels=0)

    async def others_stop() -> None:
        await scene.until(10.0)
        scene.streams.channels = 1

    in_virtual_time(scene.play(scene.says_all(), others_stop()))
    assert scene.said() == ALL
    assert scene.latest() <= 3.5
    assert {window.utterance for window in scene.windows.live} == {"anne#1"}
    assert scene.streams.fallbacks == 1
    assert len(scene.streams.streams) == 2


@pytest.mark.parametrize("connecting", [0.04, 60.0])
def test_where_no_server_answers_windows_take_over(connecting: float) -> None:
    scene = stage(connecting=connecting)

    async def fails() -> None:
        await scene.until(0.5)
        scene.streams.healthy = connecting > 1.0

    in_virtual_time(scene.play(scene.says_all(), fails()))
    assert scene.said() == ALL
    assert scene.latest() <= 3.5
    assert scene.streams.fallbacks == 3


def test_a_stream_that_breaks_for_a_reason_of_its_own_costs_no_meeting(caplog: pytest.LogCaptureFixture) -> None:
    def trouble(number: int, stream: ScriptedStream) -> None:
        stream.script = None  # type: ignore[assignment]

    scene = stage(trouble)
    in_virtual_time(scene.play(scene.says_all()))
    assert scene.said() == ALL
    assert "stream.failed" in caplog.messages


# --- languages ------------------------------------------------------------------------------------------------


def test_who_speaks_another_language_is_recognised_by_windows() -> None:
    scene = stage()

    async def all_of(track: TrackId, languages: tuple[str, ...]) -> None:
        await scene.opens(track, languages)
        for start, end in SPEECH:
            await scene.talks(track, start, end)

    in_virtual_time(scene.play(all_of(ANNE, ("de",)), all_of(BILAL, ("en",))))
    assert scene.said(ANNE) == scene.said(BILAL) == ALL
    assert {window.track for window in scene.windows.live} == {ANNE}
    assert {final.language for final in scene.store.finals.values() if final.track == BILAL} == {"en"}


def test_languages_that_are_set_in_mid_sentence_are_followed_both_ways() -> None:
    scene = stage()

    async def changes() -> None:
        await scene.until(5.0)
        scene.core.set_languages(("de",))
        await scene.until(12.0)
        scene.core.set_languages(("en",))
        await scene.until(31.0)
        scene.core.set_languages(("fr",))

    in_virtual_time(scene.play(scene.says_all(), changes()))
    assert scene.said() == ALL
    assert {window.utterance for window in scene.windows.live} == {"anne#1", "anne#2"}
    assert scene.streams.fallbacks == 1
    assert len(scene.streams.streams) == 2


# --- how it ends ----------------------------------------------------------------------------------------------


def test_a_track_that_closes_in_mid_word_keeps_what_was_said() -> None:
    scene = stage()

    async def cut_off() -> None:
        await scene.opens(ANNE)
        await scene.bus.send(SpeechStarted(ANNE, 1.0))
        for at in range(5, 43):
            await scene.until(at / 10 + STEP)
            await scene.bus.send(frame(ANNE, at / 10))
        await scene.bus.send(TrackClosed(ANNE, 900.0))
        await asyncio.wait_for(scene.session.ended(ANNE), 1.0)

    in_virtual_time(scene.play(cut_off()))
    assert scene.said() == [" w0", " w1", " w2", " w3", " w4", " w5", " w6"]


def test_a_meeting_that_closes_in_mid_sentence_waits_for_the_last_words_only() -> None:
    scene = stage()

    async def ends() -> None:
        await scene.opens(ANNE)
        await scene.bus.send(SpeechStarted(ANNE, 1.0))
        for at in range(5, 40):
            await scene.until(at / 10 + STEP)
            await scene.bus.send(frame(ANNE, at / 10))

    async def timed() -> float:
        await scene.play(ends())
        return scene.now()

    assert in_virtual_time(timed()) < 5.0
    assert scene.said() == [" w0", " w1", " w2", " w3", " w4", " w5"]


@pytest.mark.parametrize("seed", range(20))
def test_a_session_that_is_cancelled_at_any_moment_leaves_nothing_running(seed: int) -> None:
    scene = stage(channels=seed % 2, connecting=random.Random(seed).choice([0.04, 1.0]))

    async def cancelled() -> None:
        running = asyncio.create_task(scene.session.run())
        talking = asyncio.create_task(scene.says_all())
        await scene.until(random.Random(seed).uniform(1.2, 17.0))
        running.cancel()
        talking.cancel()
        await asyncio.wait([running, talking])
        assert running.cancelled()
        assert not scene.streams.open_now

    in_virtual_time(cancelled())
    scene.memory.close()


@pytest.mark.parametrize("seed", range(20))
def test_another_session_goes_on_where_this_one_stopped_in_mid_sentence(seed: int) -> None:
    first = stage()
    second = Stage(ScriptedStreams(words()), bus=MemoryAudioBus())
    second.store = first.store
    second.session.store = first.store
    at = round(random.Random(seed).uniform(1.5, 15.5), 1)

    async def both() -> None:
        running = asyncio.create_task(first.session.run())
        talking = asyncio.create_task(first.says_all(speech=SPEECH[:2]))
        await first.until(at)
        needed = (await first.session.settled())[ANNE]
        running.cancel()
        talking.cancel()
        await asyncio.wait([running, talking])
        shown = next((caption for caption in first.newest.values() if not caption.final and caption.words), None)
        name = Participant(ParticipantId(ANNE), "Anne")
        second.session.resume(Track(ANNE, name), list(first.store.finals.values()), shown, [])
        await second.play(goes_on(needed))

    async def goes_on(needed: float) -> None:
        await second.opens(ANNE)
        for start, end in SPEECH:
            if end + HANG > needed:
                await second.talks(ANNE, max(start, needed), end)

    in_virtual_time(both())
    first.memory.close()
    assert first.said() == ALL
