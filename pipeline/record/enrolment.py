"""Which voices at shared microphones are those of people who let theirs be known."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.domain import ParticipantId
from pipeline.speakers import KnownVoice

KNOWN_DISTANCE = 0.35
"""The cosine distance, in [0, 2], up to which a voice is that of an enrolment. Between 10 s of a person and more of
the same one it was 0.21 at most, of another 0.49 at least (docs/diarization.md)."""


def recognised(
    voices: Iterable[KnownVoice], enrolments: Mapping[ParticipantId, NDArray[np.float32]]
) -> dict[tuple[ParticipantId, int], ParticipantId]:
    """Who each voice is, of those that nobody named or merged: the nearest first, one voice of a microphone for each
    person and one person for each voice."""
    heard = [
        voice for voice in voices if voice.centroid is not None and voice.name is None and voice.merged_into is None
    ]
    pairs = sorted(
        (distance, voice.participant, voice.voice, person)
        for voice in heard
        for person, embedding in enrolments.items()
        if (distance := _distance(voice.centroid, embedding)) <= KNOWN_DISTANCE
    )
    found: dict[tuple[ParticipantId, int], ParticipantId] = {}
    taken: set[tuple[ParticipantId, ParticipantId]] = set()
    for _, participant, number, person in pairs:
        if (participant, number) not in found and (participant, person) not in taken:
            found[participant, number] = person
            taken.add((participant, person))
    return found


def _distance(one: NDArray[np.float32] | None, other: NDArray[np.float32]) -> float:
    if one is None or one.shape != other.shape:  # of another model
        return 2.0
    return 1.0 - float(one @ other) / float(np.linalg.norm(one) * np.linalg.norm(other))
