"""A running meeting whose words come by themselves: however it stops, words are kept and slots given back."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import session as shell
from pipeline.domain import SAMPLE_RATE, Samples, Word
from pipeline.running import Equipment, upkeep
from pipeline.streams import Heard
from tests.pipeline.running.stage import MEETING, Stage, events, finals, kept, until

WORD = 0.5


@dataclass(slots=True, eq=False)
class Babble:
    """Says w1, w2, w3 for each half second of loud sound, as soon as it is there; its script is all it heard."""

    open_now: list["Babble"]
    sent: float = 0.0
    loud: int = 0
    said: int = 0
    flushed: bool = False
    closed: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, samples: Samples) -> None:
        self.sent += len(samples) / SAMPLE_RATE
        parts = np.array_split(np.abs(samples.astype(np.int32)), max(1, len(samples) // 160))
        self.loud += sum(len(part) for part in parts if part.max() > 500)
        self.flushed = False
        self.changed.set()

    async def flush(self) -> None:
        self.flushed = True
        self.changed.set()

    async def heard(self) -> AsyncIterator[Heard]:
        while not self.closed:
            await self.changed.wait()
            self.changed.clear()
            count = int(self.loud / SAMPLE_RATE / WORD + (0.5 if self.flushed else 0.0))
            numbers = range(self.said + 1, count + 1)
            words = [Word(f" w{number}", max(0.0, self.sent - WORD), self.sent) for number in numbers]
            self.said = max(self.said, count)
            yield Heard(tuple(words), (), self.sent if self.flushed else max(0.0, self.sent - WORD))

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.changed.set()
            self.open_now.remove(self)


@dataclass(slots=True)
class Babbles:
    open_now: list[Babble] = field(default_factory=list)
    opened: int = 0

    def takes(self, languages: tuple[str, ...]) -> bool:
        return True

    async def open(self) -> Babble:
        self.opened += 1
        stream = Babble(self.open_now)
        self.open_now.append(stream)
        return stream

    def given_up(self) -> None:
        raise AssertionError("windows are not to be asked")


@dataclass(slots=True)
class StreamedStage(Stage):
    streams: Babbles = field(default_factory=Babbles)

    def equipment(self) -> Equipment:
        return replace(Stage.equipment(self), streams=self.streams)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_BEAT", 0.01)
    monkeypatch.setattr(shell, "_TICK", 0.01)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[StreamedStage]:
    async with StreamedStage(tmp_path) as stage:
        yield stage


async def test_words_of_a_meeting_come_by_themselves_and_are_kept(stage: StreamedStage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.say(anne, "one two three four")
    await until(lambda: finals(meeting) == [("Anne", "w1 w2 w3 w4")])
    assert await kept(stage.store) == ["w1 w2 w3 w4"]
    await until(lambda: not stage.streams.open_now)


async def test_a_pause_in_mid_sentence_ends_it_with_its_words_and_gives_the_slot_back(stage: StreamedStage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.begin(anne, "one two three")
    await until(lambda: events(meeting, "caption"))
    await meeting.pause()
    await until(lambda: len(finals(meeting)) == 1)
    await until(lambda: not stage.streams.open_now)
    await meeting.resume()
    stage.clock.at += 1.0
    await stage.say(anne, "four five six")
    await until(lambda: len(finals(meeting)) == 2)


async def test_a_meeting_that_ends_in_mid_sentence_keeps_its_words_and_leaves_nothing_running(
    stage: StreamedStage,
) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.begin(anne, "one two three four")
    await until(lambda: events(meeting, "caption"))
    began = time.monotonic()
    await meeting.end()
    assert time.monotonic() - began < 2.0
    assert await kept(stage.store) == ["w1 w2 w3 w4"]
    await until(lambda: meeting.finished)
    assert not stage.streams.open_now


async def test_a_meeting_handed_over_in_mid_sentence_leaves_its_words_to_the_other(
    stage: StreamedStage, caplog: pytest.LogCaptureFixture
) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.begin(anne, "one two three four")
    await until(lambda: len(str(events(meeting, "caption")[-1:]).split(" w")) > 3)
    await meeting.hand_over()
    assert not stage.streams.open_now
    assert finals(meeting) == []
    (left,) = await stage.store.open_captions(MEETING)
    assert left.committed.startswith(" w1 w2 w3")
    assert 0.0 <= min(meeting.needed().values()) <= left.words[-1].end
    assert "meeting.failed" not in caplog.messages
