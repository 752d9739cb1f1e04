"""Clustering of a recording's voices, on made-up embeddings."""

import tracemalloc

import numpy as np
from pyannote.core import SlidingWindow, SlidingWindowFeature

from models.pyannote import new_clustering

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
