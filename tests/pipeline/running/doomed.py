"""A process in which four people talk, until it is killed: says each caption on its standard output as readers get it.

``python -m tests.pipeline.running.doomed FOLDER``
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

from models.batching import Batcher
from models.level import LevelDetector
from models.scripted import Cost, ScriptedEngine
from pipeline.bus.feed import CaptionFeed
from pipeline.bus.memory import MemoryAudioBus
from pipeline.domain import (
    AudioFrame,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Track,
    TrackEvent,
    TrackId,
    TrackOpened,
    Word,
)
from pipeline.live.meeting import MeetingCaptioner
from pipeline.running import Equipment, RunningMeeting, RunningMeetings
from pipeline.store.spool import AudioSpool
from pipeline.store.sql import SqlStore
from tests.recordings import beep, silence

MEETING = MeetingId("doomed")
TALKERS = 4
_FRAME = 0.04
_SPEECH = 4.0
_PAUSE = 1.0


class Microphone:
    """Speech of 4 s and pauses of 1 s, each talker half a second after the one before, in real time."""

    def __init__(self, track: Track, meeting: RunningMeeting, number: int) -> None:
        self._track = track
        self._meeting = meeting
        self._number = number

    async def events(self) -> AsyncIterator[TrackEvent]:
        loud, still = beep(_FRAME), silence(_FRAME)
        start = self._meeting.now()
        yield TrackOpened(self._track, start)
        for number in count():
            at = start + number * _FRAME
            await self._meeting.until(at + _FRAME)
            phase = (number * _FRAME - self._number * 0.5) % (_SPEECH + _PAUSE)
            yield AudioFrame(self._track.id, at, loud if phase < _SPEECH else still)


async def main(folder: Path) -> None:
    store = SqlStore.open(f"sqlite:///{folder / 'greffier.sqlite'}")
    words = {
        TrackId(f"p{number}.1"): [Word(f" w{k}", k * 0.4, k * 0.4 + 0.35, 0.9) for k in range(500)]
        for number in range(TALKERS)
    }
    async with Batcher(ScriptedEngine(words, cost=Cost(0.02, 0.01))) as batcher:
        meetings = RunningMeetings(
            Equipment(
                store=store,
                recognizer=batcher,
                new_captioner=lambda languages, glossary: MeetingCaptioner(languages=("en",)),
                check_languages=lambda languages: None,
                new_detector=LevelDetector,
                new_bus=MemoryAudioBus,
                new_memory=AudioSpool,
                new_feed=CaptionFeed,
            )
        )
        await meetings.start()
        await store.create_meeting(Meeting(MEETING, "Doomed", time.time()))
        meeting = await meetings.of(MEETING)
        async with asyncio.TaskGroup() as group:
            for number in range(TALKERS):
                track = await meeting.join(Participant(ParticipantId(f"p{number}"), f"P{number}"))
                group.create_task(meeting.publish(Microphone(track, meeting, number), track))
            group.create_task(tell(meeting))


async def tell(meeting: RunningMeeting) -> None:
    async for batch in meeting.feed.read(None):
        for reading in batch:
            if reading.event["type"] == "caption":
                print(json.dumps({"told_at": time.time()} | reading.event), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
