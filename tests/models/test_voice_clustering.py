"""Clustering of a recording's voices, on made-up embeddings, and what windows say of them put together."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.core import SlidingWindow, SlidingWindowFeature

from models.pyannote import BoundedDiarization, new_clustering

HOURS_SIX = 6 * 3600


def test_six_hours_are_clustered_in_bounded_memory():
    random = np.random.default_rng(1)
    people = random.standard_normal((4, 192))
    who = np.stack([random.permutation(4)[:2] for _ in range(HOURS_SIX)])
    embeddings = people[who] + 0.3 * random.standard_normal((HOURS_SIX, 2, 192))
    activity = np.zeros((HOURS_SIX, 20, 2), np.float32)
    activity[:, :10, 0] = activity[:, 10:, 1] = 1.0
    windows = SlidingWindowFeature(activity, SlidingWindow(duration=10.0, step=1.0))
    tracemalloc.start()
    found, _, centroids = new_clustering()(
        embeddings=embeddings, segmentations=windows, min_clusters=1, max_clusters=20
    )
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(centroids) == 4
    names = {tuple(np.unique(found[who == person])) for person in range(4)}
    assert len(names) == 4
    assert all(len(name) == 1 for name in names)
    assert most < 2 << 30


def test_windows_are_put_together_as_pyannote_does_in_a_part_of_its_memory():
    random, windows, voices, frame = np.random.default_rng(2), 600, 20, SlidingWindow(duration=0.062, step=0.016875)
    who = np.stack([random.permutation(np.r_[-2, :voices])[:3] for _ in range(windows)])
    spoken = (random.random((windows, 589, 3)) < 0.5).astype(np.float32)
    given = SlidingWindowFeature(spoken, SlidingWindow(duration=10.0, step=1.0))
    count = SlidingWindowFeature(random.integers(0, 3, (round((windows + 9) / frame.step), 1)), frame)
    found, most = [], []
    for pipeline in (SpeakerDiarization, BoundedDiarization):
        alone = SimpleNamespace(to_diarization=SpeakerDiarization.to_diarization)
        tracemalloc.start()
        found.append(pipeline.reconstruct(alone, given, who, count))
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    theirs, ours = found
    assert ours.extent == theirs.extent
    assert np.array_equal(ours.data, theirs.data)
    assert most[1] < 0.6 * most[0]
