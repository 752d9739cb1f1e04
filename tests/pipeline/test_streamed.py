"""Words that come by themselves in a session: slots follow talkers, languages are followed, and everything ends."""

import asyncio
import random

import pytest

from pipeline.bus.memory import MemoryAudioBus
from pipeline.domain import (
    AudioLost,
    Participant,
    ParticipantId,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackClosed,
    TrackId,
)
from tests.pipeline.streamed_stage import ALL, ANNE, BILAL, HANG, SPEECH, STEP, Stage, stage, words
from tests.pipeline.streaming import ScriptedStreams, frame
from tests.virtual_time import in_virtual_time

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
    assert not scene.streams.fallbacks or not scene.streams.channels


@pytest.mark.parametrize("turns", range(12))
def test_a_session_that_is_cancelled_just_as_a_stream_ends_gives_its_slot_back(turns: int) -> None:
    scene = stage()

    async def cancelled() -> None:
        running = asyncio.create_task(scene.session.run())
        talking = asyncio.create_task(scene.says_all())
        await scene.until(5.05)
        scene.streams.open_now[0].lose()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        talking.cancel()
        await asyncio.wait([running, talking])
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
