"""Turns of a shared microphone, from windows in which everything about who speaks is known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain import VoiceSpan
from pipeline.live.voice_clusters import ClusterSettings
from pipeline.live.voices import OnlineVoices, VoiceSettings
from pipeline.speakers import VoiceActivity

STEP = 0.02
DIMENSION = 12


def sound_of(voice: int, wobble: float = 0.0) -> np.ndarray:
    """What a voice sounds like: every voice at right angles to the others."""
    unit = np.zeros(DIMENSION, np.float32)
    unit[voice % DIMENSION] = 1.0
    unit[(voice + 1) % DIMENSION] = wobble
    return unit / np.linalg.norm(unit)


@dataclass
class Room:
    """Who really speaks when, and how a model hears it: local voices in the order in which a window has them."""

    turns: Sequence[VoiceSpan]
    heard: list[tuple[float, float]] = field(default_factory=list)

    def activity(self, start: float, end: float) -> VoiceActivity:
        self.heard.append((start, end))
        count = max(1, round((end - start) / STEP))
        moments = start + (np.arange(count) + 0.5) * STEP
        present: list[int] = []
        for turn in self.turns:
            if turn.voice not in present and turn.end > start and turn.start < end:
                present.append(turn.voice)
        present = present[::-1][:3]
        activity = np.zeros((count, 3), np.float32)
        embeddings = np.full((3, DIMENSION), np.nan, np.float32)
        for place, voice in enumerate(present):
            for turn in self.turns:
                if turn.voice == voice:
                    activity[(moments >= turn.start) & (moments < turn.end), place] = 0.9
        alone = (activity > 0.5) & ((activity > 0.5).sum(axis=1, keepdims=True) == 1)
        for place, voice in enumerate(present):
            if alone[:, place].sum() * STEP >= 0.5:
                embeddings[place] = sound_of(voice, 0.1 * place)
        return VoiceActivity(start, STEP, activity, embeddings)


def listen(
    voices: OnlineVoices,
    room: Room,
    speech: Sequence[tuple[float, float]],
    until: float,
    behind: int = 0,
    late: float = 0.0,
) -> list[VoiceSpan]:
    """Sound comes in pieces of 0.1 s; a window is answered ``behind`` pieces after it was asked for.

    Sound goes on after speech; that it ended is told so ``late``.
    """
    found: list[VoiceSpan] = []
    waiting: list[tuple[int, tuple[float, float]]] = []
    for piece in range(round(until * 10) + 1):
        at = piece / 10
        for start, _ in speech:
            if abs(start - at) < 0.05:
                voices.speech_started(start)
        if any(start <= at <= end + late + 0.01 for start, end in speech):
            voices.audio_until(at)
        for _, end in speech:
            if abs(end + late - at) < 0.05:
                voices.speech_ended(end)
        for _ in range(8):
            if waiting and waiting[0][0] <= piece:
                voices.heard(room.activity(*waiting.pop(0)[1]))
            if window := voices.window_to_hear():
                waiting.append((piece + behind, window))
            found += voices.turns()
    return found


def spoken(turns: Sequence[VoiceSpan]) -> list[tuple[int, float, float]]:
    """Spans that follow one another, as one; times to a tenth."""
    joined: list[VoiceSpan] = []
    for turn in turns:
        if joined and joined[-1].voice == turn.voice and turn.start - joined[-1].end < 0.1:
            joined[-1] = VoiceSpan(turn.voice, joined[-1].start, turn.end)
        else:
            joined.append(turn)
    return [(turn.voice, round(turn.start, 1), round(turn.end, 1)) for turn in joined]


# --- who speaks when --------------------------------------------------------------------------------------


def test_two_people_take_turns_and_the_first_comes_back():
    room = Room([VoiceSpan(7, 1, 6), VoiceSpan(3, 6.5, 12), VoiceSpan(7, 13, 18)])
    found = listen(OnlineVoices(), room, [(1.0, 18.0)], 20)
    assert spoken(found) == [(1, 1.0, 6.0), (2, 6.5, 12.0), (1, 13.0, 18.0)]


def test_who_speaks_after_a_long_silence_is_known_again():
    room = Room([VoiceSpan(7, 1, 6), VoiceSpan(3, 6.5, 12), VoiceSpan(7, 60, 64)])
    found = listen(OnlineVoices(), room, [(1.0, 12.0), (60.0, 64.0)], 66)
    assert spoken(found) == [(1, 1.0, 6.0), (2, 6.5, 12.0), (1, 60.0, 64.0)]
    assert all(end - start <= 5.0 for start, end in room.heard)
    assert not any(13.0 < end < 60.0 for _, end in room.heard)


def test_people_who_speak_at_once_are_two_voices_and_a_moment_belongs_to_one():
    room = Room([VoiceSpan(1, 0, 5), VoiceSpan(2, 4, 9)])
    found = listen(OnlineVoices(), room, [(0.0, 9.0)], 10)
    assert {turn.voice for turn in found} == {1, 2}
    assert all(before.end <= after.start + 1e-6 for before, after in pairwise(found))


def test_a_short_word_of_somebody_new_is_nobodys():
    room = Room([VoiceSpan(1, 0, 5), VoiceSpan(2, 5.5, 5.8), VoiceSpan(1, 6.5, 10)])
    found = listen(OnlineVoices(), room, [(0.0, 10.0)], 11)
    assert spoken(found) == [(1, 0.0, 5.0), (1, 6.5, 10.0)]


def test_more_voices_than_are_told_apart_are_nobodys():
    room = Room([VoiceSpan(voice, 4.0 * voice, 4.0 * voice + 4) for voice in range(5)])
    found = listen(OnlineVoices(VoiceSettings(clusters=ClusterSettings(most=3))), room, [(0.0, 20.0)], 21)
    assert {turn.voice for turn in found} == {1, 2, 3}


def test_a_session_that_goes_on_knows_the_voices_of_the_one_before():
    room = Room([VoiceSpan(7, 1, 6), VoiceSpan(3, 6.5, 12)])
    before = OnlineVoices()
    listen(before, room, [(1.0, 12.0)], 14)
    after = OnlineVoices(known=before.centroids())
    room = Room([VoiceSpan(3, 1, 6), VoiceSpan(5, 6.5, 12)])
    assert spoken(listen(after, room, [(1.0, 12.0)], 14)) == [(2, 1.0, 6.0), (3, 6.5, 12.0)]
    assert set(after.centroids()) == {1, 2, 3}
    assert all(abs(np.linalg.norm(one) - 1) < 1e-5 for one in after.centroids().values())


def test_voices_that_people_made_do_not_move_the_numbers_of_new_ones():
    voices = OnlineVoices(known={2: sound_of(2), 101: sound_of(5)})
    found = listen(voices, Room([VoiceSpan(5, 1, 6), VoiceSpan(4, 6, 11)]), [(1.0, 11.0)], 12)
    assert {turn.voice for turn in found} == {101, 3}


@pytest.mark.parametrize("corrupt", [np.full(DIMENSION, np.nan), np.zeros(DIMENSION), np.full(DIMENSION, np.inf)])
def test_a_corrupt_embedding_is_of_nobody_and_spoils_no_voice(corrupt: np.ndarray):
    voices = OnlineVoices(known={1: sound_of(1), 2: corrupt.astype(np.float32)})
    assert set(voices.centroids()) == {1}
    voices.speech_started(0.0)
    voices.audio_until(0.5)
    assert voices.window_to_hear() == (0.0, 0.5)
    assert voices.window_to_hear() is None
    assert voices.needed_from == 0.0
    voices.heard(VoiceActivity(0.0, STEP, np.ones((25, 1), np.float32), corrupt[None].astype(np.float32)))
    assert voices.turns() == []
    assert np.allclose(voices.centroids()[1], sound_of(1))


# --- when ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency", [0.5, 1.0, 3.0, 5.0])
def test_what_was_heard_is_decided_within_the_latency(latency: float):
    voices, room = OnlineVoices(VoiceSettings(latency=latency)), Room([VoiceSpan(1, 0, 20)])
    voices.speech_started(0.0)
    for piece in range(1, 200):
        voices.audio_until(piece / 10)
        if window := voices.window_to_hear():
            voices.heard(room.activity(*window))
        assert voices.frontier >= piece / 10 - latency - 1e-6
        assert voices.frontier <= piece / 10
        assert voices.needed_from >= piece / 10 - 6.0


def test_when_speech_has_ended_all_of_it_is_decided_at_once():
    voices, room = OnlineVoices(VoiceSettings(latency=5.0)), Room([VoiceSpan(1, 0, 3)])
    assert voices.frontier == math.inf
    found = listen(voices, room, [(0.0, 3.0)], 3)
    assert spoken(found) == [(1, 0.0, 3.0)]
    assert voices.frontier == math.inf
    voices.speech_ended(4.0)
    voices.speech_started(8.0)
    voices.speech_started(9.0)
    assert voices.frontier == 8.0
    assert voices.needed_from == 3.0


def test_windows_come_further_apart_where_hearing_is_slow_and_none_of_the_speech_is_left_out():
    room = Room([VoiceSpan(1, 0, 15), VoiceSpan(2, 15, 30)])
    found = listen(OnlineVoices(), room, [(0.0, 30.0)], 45, behind=30)
    assert spoken(found) == [(1, 0.0, 15.0), (2, 15.0, 30.0)]
    assert len(room.heard) < 15


@pytest.mark.parametrize(("behind", "late"), [(0, 0.5), (2, 0.6), (7, 0.5)])
def test_the_end_of_speech_is_decided_though_sound_of_after_it_was_heard_or_is_on_its_way(behind: int, late: float):
    room = Room([VoiceSpan(7, 0, 6), VoiceSpan(3, 6, 12), VoiceSpan(7, 12, 17.4), VoiceSpan(3, 17.4, 18)])
    voices = OnlineVoices()
    found = listen(voices, room, [(0.0, 18.0)], 21, behind, late)
    assert spoken(found) == [(1, 0.0, 6.0), (2, 6.0, 12.0), (1, 12.0, 17.4), (2, 17.4, 18.0)]
    assert voices.frontier == math.inf


def test_after_a_window_that_failed_the_others_go_on():
    voices, room = OnlineVoices(), Room([VoiceSpan(1, 0, 10)])
    voices.speech_started(0.0)
    found: list[VoiceSpan] = []
    for piece in range(1, 101):
        voices.audio_until(piece / 10)
        if window := voices.window_to_hear():
            if 4.0 < window[1] <= 6.0:
                voices.failed()
            else:
                voices.heard(room.activity(*window))
        found += voices.turns()
    assert spoken(found)[0] == (1, 0.0, 4.0)
    assert spoken(found)[-1][2] == 9.5


def test_where_the_first_window_failed_nobody_spoke():
    voices = OnlineVoices()
    voices.speech_started(0.0)
    voices.audio_until(2.0)
    assert voices.window_to_hear() == (0.0, 2.0)
    voices.failed()
    assert (voices.frontier, voices.turns()) == (1.5, [])


def test_only_a_window_that_was_asked_for_is_heard():
    with pytest.raises(ValueError, match="asked"):
        OnlineVoices().failed()


@pytest.mark.parametrize("wrong", [{"latency": 0.4}, {"latency": 6.0}, {"step": 0.0}, {"step": 2.0}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float]):
    with pytest.raises(ValueError, match=r"latency|late"):
        VoiceSettings(**wrong)


# --- whatever comes --------------------------------------------------------------------------------------------

spans = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 30), st.integers(0, 25)), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None)
@given(
    spans,
    st.sampled_from([0.5, 1.0, 2.5, 5.0]),
    st.integers(0, 20),
    st.sets(st.integers(0, 40)),
    st.sampled_from([0.0, 0.5, 0.6]),
)
def test_turns_are_in_order_exclusive_decided_once_and_the_same_each_time(
    spans: list[tuple[int, int, int]], latency: float, behind: int, lost: set[int], late: float
):
    turns, speech, at = [], [], 0.0
    for voice, tenths, pause in spans:
        turns.append(VoiceSpan(voice, at, at + tenths / 10))
        speech.append((at, at + tenths / 10))
        at = round(at + tenths / 10 + pause / 10 + 0.2, 1)
    runs = [_listened(turns, speech, at, latency, behind, lost, late) for _ in range(2)]
    assert runs[0] == runs[1]


def _listened(
    truth: list[VoiceSpan],
    speech: list[tuple[float, float]],
    until: float,
    latency: float,
    behind: int,
    lost: set[int],
    late: float,
) -> list[VoiceSpan]:
    """Sound goes on for ``late`` seconds after the end of speech, which is told then, or when more speech begins."""
    told = [min(end + late, *(start for start, _ in speech[n + 1 :][:1]), 1e9) for n, (_, end) in enumerate(speech)]
    voices, room = OnlineVoices(VoiceSettings(latency=latency)), Room(truth)
    found: list[VoiceSpan] = []
    decided, windows, waiting = 0.0, 0, []
    for piece in range(round(until * 10) + 400):
        at = piece / 10
        for (start, end), known in zip(speech, told, strict=True):
            if abs(start - at) < 0.05:
                voices.speech_started(start)
            if start <= at <= known + 0.01:
                voices.audio_until(at)
            if abs(known - at) < 0.05:
                voices.speech_ended(end)
        if waiting and waiting[0][0] <= piece:
            window = waiting.pop()[1]
            windows += 1
            voices.failed() if windows in lost else voices.heard(room.activity(*window))
        if window := voices.window_to_hear():
            assert not waiting
            assert window[0] >= 0
            assert 0 < window[1] - window[0] <= 5.0
            waiting.append((piece + behind, window))
        for turn in voices.turns():
            assert decided - STEP <= turn.start < turn.end <= voices.frontier + STEP
            assert not found or found[-1].end <= turn.start + 1e-6
            found.append(turn)
        decided = min(voices.frontier, at)
    assert voices.frontier == math.inf
    return found


def test_two_identical_voices_of_one_window_are_two():
    voices, room = OnlineVoices(), Room([VoiceSpan(1, 0, 6), VoiceSpan(1 + DIMENSION, 4, 10), VoiceSpan(1, 9, 14)])
    found = listen(voices, room, [(0.0, 14.0)], 15)
    assert set(voices.centroids()) == {1, 2}
    assert all(before.end <= after.start + 1e-6 for before, after in pairwise(found))


def test_eight_people_at_once_are_a_few_voices_and_one_at_a_time():
    room = Room([VoiceSpan(voice, voice / 4, 12) for voice in range(8)])
    found = listen(OnlineVoices(), room, [(0.0, 12.0)], 13)
    assert len({turn.voice for turn in found}) <= 8
    assert all(before.end <= after.start + 1e-6 for before, after in pairwise(found))


def test_a_cough_is_nobodys():
    assert listen(OnlineVoices(), Room([VoiceSpan(1, 2.0, 2.3)]), [(1.8, 2.5)], 4) == []
