"""What is kept for as long as the process lives."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.domain import Caption, Gap, ParticipantId, Pause, Presence, RecordText, UtteranceId, VoiceRun
from pipeline.errors import NotFound
from pipeline.record.division import overlaid
from pipeline.speakers import KnownVoice, checked_centroid
from pipeline.store.disk import explained
from pipeline.store.keys import checked_key

_explained = partial(explained, "files of meetings", "GREFFIER_HOME")


@dataclass(slots=True)
class MemoryTranscriptStore:
    """A ``MeetingStore`` for as long as the process lives.

    A final is kept once: what comes again under its utterance is ignored.
    """

    finals: dict[UtteranceId, Caption] = field(default_factory=dict)
    records: list[RecordText] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    unfinished: dict[UtteranceId, Caption] = field(default_factory=dict)
    pauses: dict[float, Pause] = field(default_factory=dict)
    presences: dict[tuple[ParticipantId, float], Presence] = field(default_factory=dict)
    runs: dict[UtteranceId, list[VoiceRun]] = field(default_factory=dict)
    voices: dict[tuple[ParticipantId, int], KnownVoice] = field(default_factory=dict)

    async def keep_final(self, caption: Caption) -> None:
        self.finals.setdefault(caption.utterance, caption)
        self.unfinished.pop(caption.utterance, None)

    async def keep_record(self, record: RecordText) -> None:
        self.records.append(record)

    async def keep_gap(self, gap: Gap) -> None:
        same = [known for known in self.gaps if (known.track, known.start) == (gap.track, gap.start)]
        if all(known.end < gap.end for known in same):
            self.gaps = [known for known in self.gaps if known not in same] + [gap]

    async def keep_open(self, captions: Sequence[Caption]) -> None:
        for caption in captions:
            if caption.utterance not in self.finals:
                self.unfinished[caption.utterance] = replace(caption, final=False, tail=(), lag=0.0)

    async def keep_pause(self, pause: Pause) -> None:
        self.pauses[pause.start] = pause

    async def keep_presences(self, presences: Sequence[Presence]) -> None:
        for presence in presences:
            self.presences[presence.participant, presence.joined] = presence

    async def keep_runs(self, runs: Sequence[VoiceRun]) -> None:
        for run in runs:
            self.runs[run.utterance] = overlaid(self.runs.get(run.utterance, ()), run)

    async def keep_voice(self, participant: ParticipantId, voice: int, centroid: NDArray[np.float32]) -> None:
        known = self.voices.get((participant, voice), KnownVoice(participant, voice))
        self.voices[participant, voice] = replace(known, centroid=checked_centroid(centroid))


@dataclass(slots=True)
class MemoryObjects:
    """An ``ObjectStore``."""

    kept: dict[str, bytes] = field(default_factory=dict)

    async def put(self, key: str, content: bytes | BinaryIO) -> None:
        checked_key(key)
        with _explained():
            self.kept[key] = content if isinstance(content, bytes) else content.read()

    async def open(self, key: str) -> BinaryIO:
        try:
            return io.BytesIO(self.kept[checked_key(key)])
        except KeyError:
            raise NotFound(f"nothing is kept under {key}") from None

    async def delete_prefix(self, prefix: str) -> None:
        below = checked_key(prefix.removesuffix("/"))
        self.kept = {key: content for key, content in self.kept.items() if not f"{key}/".startswith(f"{below}/")}
