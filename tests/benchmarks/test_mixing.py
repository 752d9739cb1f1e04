"""Tracks built of clips, without their sound."""

import numpy as np
import pytest

from tests.benchmarks import mixing
from tests.benchmarks.logs import clip, timed
from tests.benchmarks.mixing import TrackFile, at_level, deal, deal_talkers, level_dbfs, talk
from tests.benchmarks.truth import held_in_speech

A, B, C = (clip("x", name=name, duration=length) for name, length in (("a", 10.0), ("b", 6.0), ("c", 5.0)))


@pytest.fixture
def talked(monkeypatch, tmp_path):
    monkeypatch.setattr(mixing, "_write_talker", lambda placed, seconds, name: tmp_path / f"{name}.wav")
    return talk


def test_clips_are_dealt_so_that_tracks_last_about_as_long():
    assert [[one.id for one in hand] for hand in deal([C, A, B], 2)] == [["a"], ["b", "c"]]


def test_a_talker_begins_with_the_clips_that_all_runs_share():
    hands = deal_talkers({"fr": 2}, {"fr": [C]}, [A, B, C])
    assert [[one.id for one in hand] for hand in hands] == [["c"], ["a", "b"]]


def test_clips_follow_each_other_a_pause_apart(talked):
    track = talked([A, B], None, "t")
    assert [(place.offset, place.end) for place in track.placed] == [(1.0, 11.0), (12.0, 18.0)]
    assert [(place.opens, place.closes) for place in track.placed] == [(0.5, 11.5), (11.5, 18.5)]


def test_a_talker_goes_on_with_clips_that_do_not_count_again(talked):
    track = talked([A], 18.0, "t", more=[B])
    assert [(place.clip.id, place.offset, place.again) for place in track.placed] == [
        ("a", 1.0, False),
        ("b", 12.0, True),
    ]
    assert [place.clip.id for place in track.first_times()] == ["a"]


def test_a_clip_that_is_cut_short_does_not_count(talked):
    assert talked([A, B], 15.0, "t").first_times() == [talked([A, B], 15.0, "t").placed[0]]
    assert isinstance(talked([A], 5.0, "t"), TrackFile)


def test_levels_are_matched_on_the_louder_half():
    tone = (1000 * np.sin(np.arange(32_000) / 5)).astype(np.int16)
    half = np.concatenate([tone, np.zeros_like(tone)])
    assert level_dbfs(half) == pytest.approx(level_dbfs(tone), abs=0.1)
    assert level_dbfs(at_level(half, -40.0)) == pytest.approx(-40.0, abs=0.1)


def test_a_true_word_ends_with_the_speech_that_it_begins_in():
    words = held_in_speech(timed(("un", 0.0, 1.8), ("deux", 2.0, 2.4)), [(0.0, 1.2)])
    assert [word.end for word in words] == [1.2, 2.4]
