"""Whatever happens to a stream, and whenever: no word is lost or doubled, and none is long in coming."""

import asyncio
import random
from collections.abc import Callable

import pytest

from pipeline.domain import Caption
from pipeline.store.memory import MemoryTranscriptStore
from tests.pipeline.streamed_stage import ALL, HANG, SPEECH, Stage, stage, words
from tests.pipeline.streaming import ScriptedStream, ScriptedStreams
from tests.virtual_time import in_virtual_time

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


def test_streams_that_fall_silent_at_the_same_word_are_not_opened_for_ever() -> None:
    def trouble(number: int, stream: ScriptedStream) -> None:
        stream.script = [word for word in words() if not 4.0 < word.start < 20.0]

    scene = stage(trouble)
    in_virtual_time(scene.play(scene.says_all()))
    assert scene.said() == ALL
    assert scene.latest() <= 7.0
    assert scene.streams.fallbacks == 1  # the end of the first sentence may have been noise
    assert len(scene.streams.streams) == 5


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


def test_a_recogniser_that_raises_anything_where_a_stream_is_opened_costs_no_meeting() -> None:
    def trouble(number: int, stream: ScriptedStream) -> None:
        raise ValueError("nobody foresaw it")

    scene = stage(trouble)
    in_virtual_time(scene.play(scene.says_all()))
    assert scene.said() == ALL
    assert scene.streams.fallbacks == 3


def test_a_stream_that_has_much_to_hear_again_is_given_time_for_it() -> None:
    def trouble(number: int, stream: ScriptedStream) -> None:
        def answer() -> None:
            stream.stalled = False
            stream.changed.set()

        if number:
            stream.stalled = True
            asyncio.get_running_loop().call_later(1.4, answer)

    scene = stage(trouble)

    async def deafens() -> None:
        await scene.until(2.0)
        deafen(scene.streams.open_now[0])

    in_virtual_time(scene.play(scene.says_all(speech=SPEECH[:1]), deafens()))
    assert scene.said() == [word.text for word in words(SPEECH[:1])]
    assert scene.streams.fallbacks == 0
    assert not scene.windows.live
    assert len(scene.streams.streams) == 2


class Slow(MemoryTranscriptStore):
    """Takes half a second for a final, in which all streams are lost."""

    streams: ScriptedStreams

    async def keep_final(self, caption: Caption) -> None:
        for stream in list(self.streams.open_now):
            stream.lose()
        await asyncio.sleep(0.5)
        await MemoryTranscriptStore.keep_final(self, caption)


def test_a_stream_that_ends_while_its_words_are_being_kept_costs_none_of_them() -> None:
    speech = ((1.0, 70.0),)
    scene = Stage(ScriptedStreams(words(speech)), script=words(speech))
    store = Slow()
    store.streams = scene.streams
    scene.store = scene.session.store = store
    in_virtual_time(scene.play(scene.says_all(speech=speech)))
    assert scene.said() == [word.text for word in words(speech)]
    assert len(store.finals) == 3
    assert len(scene.streams.streams) > 2
    assert [caption.final for caption in scene.newest.values()] == [True] * 3
