"""A stage with shared microphones: who really speaks when is scripted, and how a model would hear it."""

import asyncio
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.domain import SAMPLE_RATE, Participant, ParticipantId, Samples, VoiceSpan
from pipeline.errors import RecognitionFailed
from pipeline.running import Equipment
from pipeline.speakers import VoiceActivity
from tests.pipeline.running.stage import Stage

ROOM = Participant(ParticipantId("descartes"), "Salle Descartes", shared_room=True)
STEP = 0.02
_DIMENSION = 12


def sound_of(voice: int) -> NDArray[np.float32]:
    """Every voice is at right angles to the others."""
    return np.eye(_DIMENSION, dtype=np.float32)[voice]


@dataclass(slots=True)
class ScriptedVoices:
    """A ``VoiceModel`` that knows who speaks. ``failures`` calls fail; ``open`` is cleared to let none come back."""

    turns: list[VoiceSpan] = field(default_factory=list)
    failures: int = 0
    breaks: bool = False
    open: asyncio.Event = field(default_factory=asyncio.Event)
    heard: list[tuple[float, float]] = field(default_factory=list)
    checked: list[float] = field(default_factory=list)
    finds: list[bool] = field(default_factory=list)
    now: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        self.open.set()

    async def hear(self, samples: Samples, start: float) -> VoiceActivity:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.open.wait()
        finally:
            self.now -= 1
        if self.breaks:
            raise ZeroDivisionError
        if self.failures:
            self.failures -= 1
            raise RecognitionFailed("the model is away")
        self.heard.append((start, start + len(samples) / SAMPLE_RATE))
        return self._activity(samples, start)

    async def several(self, samples: Samples) -> bool:
        """What ``finds`` says next, then that there is nobody else."""
        self.checked.append(len(samples) / SAMPLE_RATE)
        return self.finds.pop(0) if self.finds else False

    def _activity(self, samples: Samples, start: float) -> VoiceActivity:
        """Nobody is heard where there is silence."""
        each = round(STEP * SAMPLE_RATE)
        count = max(1, len(samples) // each)
        loud = np.abs(samples[: count * each].reshape(count, -1)).max(axis=1) > 0
        moments = start + (np.arange(count) + 0.5) * STEP
        said = [turn for turn in self.turns if (loud & (moments >= turn.start) & (moments < turn.end)).any()]
        local = list(dict.fromkeys(turn.voice for turn in said))[::-1][:3]
        activity = np.zeros((len(moments), 3), np.float32)
        embeddings = np.full((3, _DIMENSION), np.nan, np.float32)
        for place, voice in enumerate(local):
            for turn in self.turns:
                if turn.voice == voice:
                    activity[loud & (moments >= turn.start) & (moments < turn.end), place] = 0.9
            if activity[:, place].sum() * STEP >= 0.45:
                embeddings[place] = sound_of(voice)
        return VoiceActivity(start, STEP, activity, embeddings)


@dataclass(slots=True)
class RoomStage(Stage):
    """Participants who are marked share their microphones; ``by_themselves``: others may, too."""

    model: ScriptedVoices = field(default_factory=ScriptedVoices)
    by_themselves: bool = False

    def equipment(self) -> Equipment:
        equipped = super(RoomStage, self).equipment()
        return replace(equipped, voice_model=self.model, rooms_by_themselves=self.by_themselves)
