"""Which voice of a track each local voice of a window is: incremental clustering of embeddings.

Method: Coria et al., "Overlap-aware low-latency online speaker diarization based on end-to-end local segmentation"
(2021): the local voices of one window are matched with the voices known so far by the cosine distance of their
embeddings, two of a window never with one voice; what is far from all is a new voice. Here a local voice that is too
short to be known by its sound is the one that was heard at the same moments in the window before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Embedding = NDArray[np.float32]
_NEAREST = 3
"""With at most three local voices a best matching needs no more than the three nearest of each."""
_SAME = 0.5
"""Which part of what is said must be of the voice in the window before."""
MOST_NUMBER = 100
"""Voices that people make of moved segments have higher ones."""
_KNOWN_SECONDS = 20.0
"""How much a voice weighs that was known before, in seconds heard alone."""


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Cosine distances, in [0, 2]; seconds that a voice is heard alone in one window.

    ``new_voice`` (delta) from every known voice, and it is a new one, once it was alone for ``founding`` seconds (rho);
    from there on what is heard moves the centroid, too.
    """

    new_voice: float = 0.6
    founding: float = 0.8
    most: int = 20


@dataclass(frozen=True, slots=True, eq=False)
class LocalVoice:
    """One voice of a window: its unit embedding or None, seconds alone, and which part of it each voice said before."""

    embedding: Embedding | None
    alone: float
    before: Mapping[int, float]


class VoiceClusters:
    """The voices of one track, numbered from 1 in the order in which they are found."""

    def __init__(self, settings: ClusterSettings, known: Mapping[int, Embedding]) -> None:
        self._settings = settings
        self._newest = max((voice for voice in known if voice <= MOST_NUMBER), default=0)
        units = {voice: unit for voice, one in known.items() if (unit := unit_of(one)) is not None}
        self._sums: dict[int, Embedding] = {voice: unit * np.float32(_KNOWN_SECONDS) for voice, unit in units.items()}

    def centroids(self) -> dict[int, Embedding]:
        return {voice: total / np.linalg.norm(total) for voice, total in self._sums.items()}

    def match(self, local: Sequence[LocalVoice]) -> list[int | None]:
        """The voice of each, None where nobody can say; no two have the same."""
        costs = [self._costs(one) for one in local]
        matched = _best(costs, self._settings.new_voice)
        taken = set(matched)
        for place, one in enumerate(local):
            if matched[place] is None:
                matched[place] = self._unmatched(one, taken)
                taken.add(matched[place])
        for voice, one in zip(matched, local, strict=True):
            if voice is not None and one.embedding is not None and one.alone >= self._settings.founding:
                self._sums[voice] = self._sums[voice] + one.embedding * np.float32(one.alone)
        return matched

    def _costs(self, one: LocalVoice) -> dict[int, float]:
        """How far each known voice is; nothing of one whose sound says nothing."""
        if one.embedding is None:
            return {}
        return {voice: 1.0 - float(centroid @ one.embedding) for voice, centroid in self.centroids().items()}

    def _unmatched(self, one: LocalVoice, taken: set[int | None]) -> int | None:
        room = len(self._sums) < self._settings.most and self._newest < MOST_NUMBER
        if one.embedding is not None and one.alone >= self._settings.founding and room:
            self._newest += 1
            self._sums[self._newest] = np.zeros_like(one.embedding)
            return self._newest
        followed = max(one.before, key=lambda voice: (one.before[voice], -voice), default=None)
        known = followed is not None and followed not in taken and one.before[followed] >= _SAME
        return followed if known else None


def _best(costs: Sequence[Mapping[int, float]], most: float) -> list[int | None]:
    """The matching of the greatest total gain, ``most`` less the cost; a cost over it is no match."""
    options: list[list[tuple[int | None, float]]] = []
    for row in costs:
        near = sorted((cost, voice) for voice, cost in row.items() if cost <= most)[:_NEAREST]
        options.append([*((voice, most - cost) for cost, voice in near), (None, 0.0)])
    best: tuple[float, tuple[int | None, ...]] = (-1.0, ())
    for chosen in product(*options):
        voices = [voice for voice, _ in chosen if voice is not None]
        gain = sum(gain for _, gain in chosen)
        if len(set(voices)) == len(voices) and gain > best[0]:
            best = (gain, tuple(voice for voice, _ in chosen))
    return list(best[1])


def unit_of(embedding: NDArray[np.float32]) -> Embedding | None:
    """Of unit length; None for one that is corrupt: not finite, or without a direction."""
    length = float(np.linalg.norm(embedding))
    return embedding / np.float32(length) if np.isfinite(length) and length > 0 else None
