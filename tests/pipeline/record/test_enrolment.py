"""Whose voice a voice at a shared microphone is, of those who let theirs be known."""

import numpy as np
from numpy.typing import NDArray

from pipeline.domain import ParticipantId
from pipeline.record.enrolment import KNOWN_DISTANCE, recognised
from pipeline.speakers import KnownVoice

ROOM, OTHER = ParticipantId("salle"), ParticipantId("autre")
ANNE, BILAL = ParticipantId("anne"), ParticipantId("bilal")


def at(degrees: float, length: float = 1.0) -> NDArray[np.float32]:
    """A direction in a plane; its distance from ``at(0)`` is 1 less its cosine."""
    radians = np.deg2rad(degrees)
    return (length * np.array([np.cos(radians), np.sin(radians)])).astype(np.float32)


def test_a_voice_within_the_distance_is_that_person_and_one_beyond_is_nobody() -> None:
    edge = float(np.rad2deg(np.arccos(1 - KNOWN_DISTANCE)))
    voices = [KnownVoice(ROOM, 1, centroid=at(edge - 0.5, 7.0)), KnownVoice(ROOM, 2, centroid=at(-edge - 0.5))]
    assert recognised(voices, {ANNE: at(0)}) == {(ROOM, 1): ANNE}


def test_each_person_is_one_voice_of_a_microphone_and_the_nearest() -> None:
    voices = [KnownVoice(ROOM, 1, centroid=at(20)), KnownVoice(ROOM, 2, centroid=at(5))]
    voices += [KnownVoice(OTHER, 1, centroid=at(10))]
    assert recognised(voices, {ANNE: at(0)}) == {(ROOM, 2): ANNE, (OTHER, 1): ANNE}
    assert recognised(voices, {ANNE: at(0), BILAL: at(22)}) == {(ROOM, 2): ANNE, (ROOM, 1): BILAL, (OTHER, 1): ANNE}


def test_voices_that_people_named_or_merged_or_that_nobody_heard_are_left_alone() -> None:
    voices = [
        KnownVoice(ROOM, 1, "Claire", centroid=at(0)),
        KnownVoice(ROOM, 2, merged_into=1, centroid=at(0)),
        KnownVoice(ROOM, 3),
        KnownVoice(ROOM, 4, centroid=np.ones(3, np.float32)),  # of another model
    ]
    assert recognised(voices, {ANNE: at(0)}) == {}
    assert recognised([KnownVoice(ROOM, 5, centroid=at(0))], {}) == {}
