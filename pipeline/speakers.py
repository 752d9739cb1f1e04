"""Voices that share the microphone of one participant: what is known of them, and who keeps it.

Voices are numbered from 1 for each participant; those that people make begin at ``FIRST_MADE``. They are values of
the product like those of ``pipeline/domain``, with the two protocols that keep them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.domain import MeetingId, ParticipantId, SegmentId, VoiceRun
from pipeline.errors import InvalidInput

UNNAMED = ""
"""In place of a name: people said that the voice goes by its number."""
NOBODY = 0
"""In place of a voice: words that belong to the participant alone."""
FIRST_MADE = 101
"""The number of the first voice that people make by moving a segment to it: whoever hears voices gives lower ones."""


@dataclass(frozen=True, slots=True, eq=False)
class VoiceActivity:
    """Who may speak in one window of a track that several people share.

    ``activity`` of shape (frames, local voices) is in [0, 1]; its frame k covers ``step`` seconds from
    ``start + k * step`` on. ``embeddings`` of shape (local voices, dimension) have unit length; a row of NaN stands
    where too little of a voice was heard alone.
    """

    start: float
    step: float
    activity: NDArray[np.float32]
    embeddings: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class KnownVoice:
    """A voice of ``participant``; ``name`` is what people call it, None where nobody said, ``merged_into`` the voice it
    turned out to be.

    ``centroid`` of shape (dimension,) says what it sounds like, None where nobody knows.
    """

    participant: ParticipantId
    voice: int
    name: str | None = None
    merged_into: int | None = None
    centroid: NDArray[np.float32] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SegmentChange:
    """What people changed of a segment: its ``text``, its ``voice`` (``NOBODY`` for none), or both.

    ``count`` is how many caption words the segment has, None for all that follow in its utterance. They stay one
    segment, whatever is heard of voices later.
    """

    text: str | None = None
    voice: int | None = None
    count: int | None = None


def checked_centroid(centroid: NDArray[np.float32]) -> NDArray[np.float32]:
    """A copy of ``centroid``. Raises ``InvalidInput`` where it says nothing: empty, not finite, or all zero."""
    if centroid.ndim != 1 or not np.isfinite(centroid).all() or not centroid.any():
        raise InvalidInput("what a voice sounds like must be a list of finite numbers that are not all zero")
    return np.array(centroid, np.float32)


class VoiceKeeping(Protocol):
    """Keeps who spoke at a shared microphone of one meeting."""

    async def keep_runs(self, runs: Sequence[VoiceRun]) -> None:
        """In place of what was kept of those words."""

    async def keep_voice(self, participant: ParticipantId, voice: int, centroid: NDArray[np.float32]) -> None:
        """In place of the centroid that was kept; name and merges stay. Raises what ``checked_centroid`` raises."""


class VoiceStore(Protocol):
    """The voices of all meetings. Raises ``NotFound`` for a meeting, voice or segment that is not there."""

    async def runs(self, meeting: MeetingId) -> list[VoiceRun]:
        """With what people moved, by utterance and first word; merges stand in ``voices``."""

    async def voices(self, meeting: MeetingId) -> list[KnownVoice]:
        """Every voice that was heard, kept or made, by participant and number."""

    async def rename_voice(self, meeting: MeetingId, participant: ParticipantId, voice: int, name: str | None) -> None:
        """A name is that of the voice it turned out to be. None takes it back; ``UNNAMED``: no enrolment gives one."""

    async def merge_voices(self, meeting: MeetingId, participant: ParticipantId, voice: int, into: int | None) -> None:
        """What ``voice`` said is said by ``into``; None parts them again. Raises ``InvalidInput`` for a circle."""

    async def move_segment_to_voice(
        self, meeting: MeetingId, segment: SegmentId, voice: int | None, count: int | None = None
    ) -> int:
        """The words of ``segment`` were said by ``voice``, ``NOBODY``, or for None a new one; its number.

        ``count`` is how many caption words it was shown with. Raises ``OutOfDate`` where it has others.
        """

    async def changes(self, meeting: MeetingId) -> dict[SegmentId, SegmentChange]:
        """What people changed, by segment."""
