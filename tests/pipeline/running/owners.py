"""Owners of one meeting that follow one another, as workers do, and the gateway that hears what is said in it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pipeline.bus.memory import MemoryAudioBus
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    Caption,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackEvent,
    TrackId,
    TrackOpened,
    Word,
)
from pipeline.export.event import word_of
from pipeline.running import RunningMeeting, upkeep
from pipeline.running.past import Past, Resumed
from tests.pipeline.running.stage import ANNE, MEETING, Stage, TellingFeed
from tests.recordings import beep

TRACK = TrackId("anne.1")


@dataclass(slots=True)
class Gateway:
    """Hears Anne, and keeps what she says; the feed is what readers see, whoever captions the meeting."""

    stage: Stage
    feed: TellingFeed = field(default_factory=lambda: TellingFeed(1))
    owners: list[RunningMeeting] = field(default_factory=list)
    sent: list[TrackEvent] = field(default_factory=lambda: [TrackOpened(Track(TRACK, ANNE), 0.0)])
    bus: MemoryAudioBus = field(default_factory=MemoryAudioBus)

    async def take(self, needed: Mapping[TrackId, float] = {}, **past: Any) -> RunningMeeting:
        """Another owner takes the meeting, and gets what the one before said is ``needed``."""
        store, clock = self.stage.store, self.stage.clock
        fence = await store.claim(MEETING)
        known = {
            "finals": await store.finals(MEETING),
            "participants": await store.participants(MEETING),
            "pauses": await store.pauses(MEETING),
            "voices": await store.voices(MEETING),
            "runs": await store.runs(MEETING),
            "presences": [each for each in await store.presences(MEETING) if each.left is None],
            "newest": clock.at,
            "fence": fence,
        }
        known["resumed"] = [await self.resumed(needed)] if fence > 1 else []
        first = await store.for_meeting(MEETING, fence).reserve_sequence(upkeep.RESERVED)
        self.bus = MemoryAudioBus()
        equipment = replace(self.stage.equipment(), new_bus=lambda: self.bus, new_feed=lambda first: self.feed)
        owner = RunningMeeting(equipment, await store.meeting(MEETING), Past(first, **(known | past)))
        self.owners.append(owner)
        for event in self.sent if fence == 1 else self.still_there(needed.get(TRACK, 0.0)):
            await self.bus.send(event)
        return owner

    def still_there(self, start: float) -> list[TrackEvent]:
        """What a stream holds once what was needed no longer is gone; sound without its beginning is speech, too."""
        frames = [k for k, each in enumerate(self.sent) if isinstance(each, AudioFrame) and each.end > start]
        rest = self.sent[frames[0] :] if frames else []
        implied = [SpeechStarted(TRACK, each.start) for each in rest[:1] if isinstance(each, AudioFrame)]
        return [*implied, *rest]

    async def resumed(self, needed: Mapping[TrackId, float]) -> Resumed:
        store = self.stage.store
        done = await store.finals(MEETING)
        left = await store.open_captions(MEETING)
        told: list[Any] = [each.event for each in self.feed.history() if each.event["type"] == "caption"]
        left += [caption_of(event) for event in told if event["utterance"] not in {each.utterance for each in done}]
        newest = max(left, key=lambda caption: caption.revision, default=None)
        unrecorded = await store.unrecorded(MEETING, needed.get(TRACK, 0.0))
        return Resumed(Track(TRACK, ANNE), done, newest, unrecorded)

    async def send(self, *new: TrackEvent) -> None:
        for event in new:
            self.sent.append(event)
            await self.bus.send(event)

    async def begin(self, text: str) -> None:
        """Anne says ``text``, half a second a word, and goes on speaking."""
        start, words = self.stage.clock.at, text.split()
        self.stage.script[TRACK] = [
            *self.stage.script.get(TRACK, ()),
            *(Word(f" {word}", start + k * 0.5, start + (k + 1) * 0.5 - 0.05, 0.9) for k, word in enumerate(words)),
        ]
        if not self.speaking:
            await self.send(SpeechStarted(TRACK, start))
        await self.sound(len(words) * 0.5)

    async def sound(self, seconds: float) -> None:
        samples = beep(seconds)
        for begin in range(0, len(samples), SAMPLE_RATE // 10):
            piece = np.asarray(samples[begin : begin + SAMPLE_RATE // 10])
            await self.send(AudioFrame(TRACK, self.stage.clock.at + begin / SAMPLE_RATE, piece))
        self.stage.clock.at += seconds
        await asyncio.sleep(0.02)

    async def end(self) -> None:
        """She has stopped."""
        at = self.stage.clock.at
        await self.sound(0.5)
        await self.send(SpeechEnded(TRACK, at))

    @property
    def speaking(self) -> bool:
        turns = [event for event in self.sent if isinstance(event, SpeechStarted | SpeechEnded)]
        return bool(turns) and isinstance(turns[-1], SpeechStarted)


def caption_of(event: dict[str, Any]) -> Caption:
    words = tuple(word_of(word) for word in event["words"])
    return Caption(event["track"], event["utterance"], event["revision"], False, event["language"], words)
