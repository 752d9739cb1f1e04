"""A room is shown the newest state of every utterance, in turn, whatever fails; nothing that matters is skipped."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from media_gateway import shown as module
from media_gateway.shown import Pace, Shown
from pipeline.bus.feed import CaptionFeed
from pipeline.export.event import Event
from tests.media_gateway.rooms import captions, notices
from tests.media_gateway.sfu_script import ScriptedRoom
from tests.pipeline.running.stage import until


@dataclass
class Session:
    """As much of a running meeting as is shown."""

    feed: CaptionFeed = field(default_factory=CaptionFeed)
    at: float = 1000.0

    def now(self) -> float:
        return self.at

    def say(self, utterance: str, text: str, *, final: bool = False, end: float | None = None) -> None:
        words = [{"text": text, "start": 0.0, "end": self.at if end is None else end, "confidence": 1.0}]
        event = {"type": "caption", "sent_at": self.at, "utterance": utterance, "final": final}
        self.feed.publish(event | {"committed": text, "words": words if text else []}, utterance)

    def label(self, utterance: str) -> None:
        event = {"type": "voices", "sent_at": self.at, "utterance": utterance, "runs": []}
        self.feed.publish(event, f"voices:{utterance}")

    def notice(self, code: str) -> None:
        self.feed.publish({"type": "notice", "sent_at": self.at, "at": self.at, "code": code})


class Showing:
    """A room that follows a session until the test ends or cuts it."""

    def __init__(self) -> None:
        self.shown = Shown(Pace(0.005, 0.02))
        self.session = Session()
        self.room = ScriptedRoom("council")
        self.task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        session: Any = self.session
        self.task = asyncio.create_task(self.shown.follow(session, self.room))
        await asyncio.sleep(0)

    async def cut(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    async def end(self) -> None:
        self.session.feed.close()
        assert self.task is not None
        async with asyncio.timeout(5.0):
            await self.task

    @property
    def texts(self) -> list[object]:
        return [event["committed"] for event in captions(self.room)]


@pytest.fixture
async def showing() -> AsyncIterator[Showing]:
    showing = Showing()
    yield showing
    await showing.cut()


async def test_captions_and_notices_come_in_order_and_nothing_else(showing: Showing) -> None:
    await showing.begin()
    showing.session.say("a#1", "one")
    showing.session.notice("delayed")
    showing.session.feed.publish({"type": "participant", "sent_at": 0.0})
    await until(lambda: len(showing.room.shown) == 2)
    showing.session.say("a#1", "one two", final=True)
    await showing.end()
    assert [event.get("code") or event["committed"] for event in showing.room.shown] == ["one", "delayed", "one two"]
    assert showing.room.tries == 3


async def test_which_voices_said_a_caption_goes_beside_it_and_takes_the_place_of_nothing(showing: Showing) -> None:
    await showing.begin()
    showing.room.pace.clear()
    showing.session.notice("delayed")
    await until(lambda: showing.room.tries)
    showing.session.say("a#1", "one", final=True)
    showing.session.label("a#1")
    showing.room.pace.set()
    await showing.end()
    assert [event["type"] for event in showing.room.shown] == ["notice", "voices", "caption"]


async def test_a_room_is_told_the_voices_of_what_was_just_said_before_the_words(showing: Showing) -> None:
    showing.session.say("a#0", "one", final=True, end=1.0)
    showing.session.at -= 1000.0
    showing.session.label("a#0")
    showing.session.at += 1000.0
    showing.session.say("a#1", "two", final=True)
    showing.session.label("a#1")
    await showing.begin()
    await showing.end()
    assert [(event["type"], event["utterance"]) for event in showing.room.shown] == [
        ("voices", "a#1"),
        ("caption", "a#1"),
    ]


async def test_a_room_that_is_slow_is_shown_the_newest_state_of_each_utterance_in_turn(showing: Showing) -> None:
    await showing.begin()
    showing.room.pace.clear()
    showing.session.say("a#1", "a")
    await until(lambda: showing.room.tries)
    for count in range(2, 50):
        showing.session.say("b#1", "b" * count)
        showing.session.say("a#1", "a" * count)
        showing.session.say("c#1", "c" * count)
    showing.room.pace.set()
    await showing.end()
    assert showing.texts == ["a", "b" * 49, "a" * 49, "c" * 49]


async def test_an_utterance_that_changes_all_the_time_holds_up_no_other(showing: Showing) -> None:
    """Each time something is shown, everything changes."""

    class Stirring(ScriptedRoom):
        async def show(self, event: Event) -> None:
            await super().show(event)
            for utterance in ("a#1", "b#1", "c#1") if len(self.shown) < 30 else ():
                showing.session.say(utterance, f"{utterance} {len(self.shown)}")

    showing.room = room = Stirring("council")
    await showing.begin()
    showing.session.say("a#1", "first")
    await until(lambda: len(room.shown) >= 30)
    assert {event["utterance"] for event in room.shown[-3:]} == {"a#1", "b#1", "c#1"}


async def test_what_fails_is_shown_again_in_its_place(showing: Showing) -> None:
    await showing.begin()
    showing.room.failures = 2
    showing.session.say("a#1", "one", final=True)
    showing.session.say("a#2", "two", final=True)
    await showing.end()
    assert showing.texts == ["one", "two"]


async def test_while_nothing_goes_nothing_is_given_up(showing: Showing) -> None:
    await showing.begin()
    showing.room.failures = 40
    for number in range(5):
        showing.session.say(f"a#{number}", f"{number}", final=True)
    await until(lambda: len(showing.room.shown) == 5)
    assert sorted(map(str, showing.texts)) == ["0", "1", "2", "3", "4"]


async def test_what_never_goes_is_passed_over_while_others_go(
    showing: Showing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "greffier.room")
    await showing.begin()
    showing.room.poison = {"a#1"}
    showing.session.say("a#1", "never")
    for number in range(2, 10):
        showing.session.say(f"a#{number}", f"{number}", final=True)
        await until(lambda number=number: str(number) in showing.texts)  # type: ignore[misc]
    assert showing.texts == [str(number) for number in range(2, 10)]
    tries = showing.room.tries
    await asyncio.sleep(0.05)
    assert showing.room.tries == tries
    assert [record.message for record in caplog.records].count("caption.unshown") == 1
    assert "never" not in caplog.text
    await showing.end()


async def test_a_room_that_hangs_is_as_one_that_fails(showing: Showing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_SHOW", 0.01)
    await showing.begin()
    showing.room.pace.clear()
    showing.session.say("a#1", "one")
    await until(lambda: showing.room.tries > 2)
    showing.room.pace.set()
    await showing.end()
    assert showing.texts[-1] == "one"


async def test_a_meeting_that_is_over_does_not_wait_for_a_room_that_takes_nothing(showing: Showing) -> None:
    await showing.begin()
    showing.room.failures = 1000
    showing.session.say("a#1", "one", final=True)
    await showing.end()
    assert showing.texts == []


async def test_what_was_said_in_the_last_two_minutes_is_shown_to_a_room_that_joins(showing: Showing) -> None:
    session = showing.session
    session.notice("delayed")
    session.say("a#1", "older", final=True, end=870.0)
    session.say("a#2", "recent", final=True, end=890.0)
    session.say("a#3", "", final=True)
    session.say("a#4", "unfinished")
    session.at = 1006.0
    session.notice("paused")
    await showing.begin()
    await until(lambda: len(showing.room.shown) == 2)
    session.say("a#4", "unfinished no more", final=True)
    await showing.end()
    assert showing.texts == ["recent", "unfinished no more"]
    assert notices(showing.room) == ["paused"]


async def test_after_a_stay_it_goes_on_where_it_stood_and_shows_the_last_five_seconds_again(showing: Showing) -> None:
    session = showing.session
    await showing.begin()
    session.say("a#1", "old", final=True)
    session.at += 10.0
    session.notice("delayed")
    session.say("a#2", "new", final=True)
    session.say("a#3", "in the")
    await until(lambda: len(showing.room.shown) == 4)
    await showing.cut()
    session.say("a#3", "in the middle")
    session.notice("in_time")
    session.say("a#4", "missed", final=True)
    showing.room = ScriptedRoom("council")
    await showing.begin()
    await until(lambda: len(showing.room.shown) == 4)
    await showing.end()
    assert sorted(map(str, showing.texts)) == ["in the middle", "missed", "new"]
    assert notices(showing.room) == ["in_time"], "no notice is shown twice"


async def test_whoever_comes_back_late_is_shown_it_once_more(showing: Showing) -> None:
    showing.shown.again()
    await showing.begin()
    showing.session.say("a#1", "just before the loss", final=True)
    await until(lambda: showing.texts)
    showing.shown.again()
    await asyncio.sleep(0.02)
    assert len(showing.texts) == 1, "nothing was lost yet"
    await showing.cut()
    await showing.begin()
    await until(lambda: len(showing.texts) == 2)
    showing.session.at += 8.0
    showing.session.say("a#2", "after it")
    await until(lambda: len(showing.texts) == 3)
    showing.shown.again()
    await until(lambda: len(showing.texts) == 5)
    assert showing.texts[-2:] == ["just before the loss", "after it"]


async def test_what_was_on_its_way_when_the_stay_ended_is_not_lost(showing: Showing) -> None:
    await showing.begin()
    showing.room.pace.clear()
    showing.session.say("a#1", "cut off", final=True)
    await until(lambda: showing.room.tries)
    showing.session.at += 60.0
    await showing.cut()
    showing.room = ScriptedRoom("council")
    await showing.begin()
    await until(lambda: showing.texts == ["cut off"])


async def test_another_session_of_the_meeting_is_shown_from_its_beginning(showing: Showing) -> None:
    await showing.begin()
    showing.session.say("a#1", "one", final=True)
    await showing.end()
    showing.session = Session(CaptionFeed(first=10_001))
    showing.session.say("a#1", "one", final=True)
    await showing.begin()
    showing.session.say("a#2", "two", final=True)
    await showing.end()
    assert showing.texts == ["one", "one", "two"]


async def test_of_more_than_can_wait_the_oldest_are_dropped_and_counted(
    showing: Showing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "greffier.room")
    monkeypatch.setattr(module, "_WAITING", 3)
    await showing.begin()
    showing.room.pace.clear()
    showing.session.say("a#0", "0", final=True)
    await until(lambda: showing.room.tries)
    for number in range(1, 9):
        showing.session.say(f"a#{number}", f"{number}", final=True)
    showing.room.pace.set()
    await showing.end()
    assert showing.texts == ["0", "6", "7", "8"]
    assert [record.message for record in caplog.records] == ["captions.dropped"]
