"""A meeting goes from one owner to another in mid sentence: nothing is lost, doubled or written by the wrong one."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import session as shell
from pipeline.domain import (
    Pause,
    Presence,
    SpeechEnded,
    TrackClosed,
)
from pipeline.errors import Superseded
from pipeline.running import RunningMeeting, upkeep
from tests.pipeline.running.owners import TRACK, Gateway
from tests.pipeline.running.stage import (
    ANNE,
    BILAL,
    MEETING,
    Stage,
    TellingFeed,
    events,
    eventually,
    finals,
    kept,
    notices,
    states,
    until,
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_BEAT", 0.01)
    monkeypatch.setattr(shell, "_TICK", 0.01)


@pytest.fixture(params=["sqlite", "postgresql"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else None
    async with Stage(tmp_path, database_url=url) as stage:
        await stage.create()
        await stage.store.add_participant(MEETING, ANNE)
        await stage.store.next_track(MEETING, ANNE.id)
        yield stage


@pytest.fixture
async def gateway(stage: Stage) -> AsyncIterator[Gateway]:
    gateway = Gateway(stage)
    yield gateway
    stage.gate.set()
    for owner in gateway.owners:
        await owner.drop()


def committed(owner: RunningMeeting) -> str:
    """What is committed of the newest utterance."""
    told = events(owner, "caption")
    return str(told[-1]["committed"]).strip() if told else ""


def gapless(gateway: Gateway) -> bool:
    numbers = [event["sequence"] for event in gateway.feed.told]
    return numbers == list(range(1, len(numbers) + 1))


async def needs(owner: RunningMeeting, at: float) -> None:
    await until(lambda: owner.needed().get(TRACK, 0.0) >= at)


# --- one after the other ----------------------------------------------------------------------------------------


async def test_a_meeting_handed_over_in_mid_sentence_is_one_sentence(stage: Stage, gateway: Gateway) -> None:
    first = await gateway.take()
    await gateway.begin("we are handed over in the middle")
    await until(lambda: "over in" in committed(first))
    before = time.monotonic()
    await first.hand_over()
    assert time.monotonic() - before < 1.0
    assert first.finished
    assert not [event for event in events(first, "caption") if event["final"]], "nothing is final before it is"
    (opened,) = await stage.store.open_captions(MEETING)
    assert opened.committed.strip() == committed(first), "what was shown is kept"
    second = await gateway.take(first.needed())
    assert states(second) == ["running"], "readers notice nothing"
    await gateway.begin("of a sentence")
    await gateway.end()
    await until(lambda: finals(second))
    assert finals(second) == [("Anne", "we are handed over in the middle of a sentence")]
    assert await kept(stage.store) == ["we are handed over in the middle of a sentence"]
    assert len({event["utterance"] for event in events(second, "caption")}) == 1
    assert gapless(gateway)


async def test_what_a_killed_owner_showed_goes_on_and_its_record_is_made_by_the_next(
    stage: Stage, gateway: Gateway
) -> None:
    first = await gateway.take()
    await gateway.begin("that was said")
    await gateway.end()
    await until(lambda: finals(first))
    await gateway.begin("and then it was killed")
    await until(lambda: "then" in committed(first))
    await first.cancel()
    second = await gateway.take(first.needed())
    await gateway.begin("by somebody")
    await gateway.end()
    await until(lambda: len(finals(second)) == 2)
    assert await kept(stage.store) == ["that was said", "and then it was killed by somebody"]
    stage.clock.at += 3.0

    async def recorded() -> list[str]:
        segments = (await stage.store.transcript(MEETING)).segments
        return ["".join(word.text for word in segment.record).strip() for segment in segments]

    whole = ["that was said", "and then it was killed by somebody"]
    assert await eventually(recorded, lambda texts: texts == whole) == whole
    assert await stage.store.unrecorded(MEETING, 0.0) == []
    assert gapless(gateway)


async def test_a_final_that_was_kept_and_not_told_is_told_by_the_next(stage: Stage, gateway: Gateway) -> None:
    first = await gateway.take()
    await gateway.begin("kept but never told")
    await until(lambda: "but" in committed(first))
    await first.hand_over()
    (opened,) = await stage.store.open_captions(MEETING)
    await stage.store.for_meeting(MEETING).keep_final(replace(opened, final=True, revision=opened.revision + 1))
    second = await gateway.take()
    assert finals(second) == [("Anne", opened.committed.strip())]
    revisions = [event["revision"] for event in events(second, "caption")]
    assert revisions == sorted(set(revisions))


async def test_an_emptied_feed_is_told_everything_again(stage: Stage, gateway: Gateway) -> None:
    first = await gateway.take()
    await gateway.begin("before")
    await gateway.end()
    await until(lambda: finals(first))
    await gateway.begin("we go on")
    await until(lambda: "we" in committed(first))
    await first.pause()
    await first.hand_over()
    gateway.feed = TellingFeed(20_001)
    second = await gateway.take(first.needed())
    assert finals(second) == [("Anne", "before")]
    assert committed(second).startswith("we")
    assert (states(second), notices(second), second.paused) == (["running"], ["paused"], True)
    assert events(second, "meeting")[0]["paused"] is True


async def test_a_track_that_was_closed_meanwhile_gets_the_final_of_what_was_shown(
    stage: Stage, gateway: Gateway
) -> None:
    first = await gateway.take()
    await gateway.begin("my microphone is gone")
    await until(lambda: "microphone" in committed(first))
    shown = committed(first)
    await first.hand_over()
    gateway.sent.clear()
    second = await gateway.take({TRACK: 1e9})
    await gateway.send(TrackClosed(TRACK, stage.clock.at))
    await until(lambda: finals(second))
    assert finals(second) == [("Anne", shown)]
    await needs(second, float("inf"))
    assert (await stage.store.transcript(MEETING)).gaps == ()


async def test_sound_that_was_lost_between_two_owners_is_a_marked_gap(stage: Stage, gateway: Gateway) -> None:
    first = await gateway.take()
    await gateway.begin("one two three four")
    await until(lambda: "two" in committed(first))
    await first.hand_over()
    end = max(word.end for caption in await stage.store.open_captions(MEETING) for word in caption.words)
    stage.clock.at += 2.0
    gateway.sent.clear()
    second = await gateway.take()
    await gateway.sound(1.0)
    await gateway.send(SpeechEnded(TRACK, stage.clock.at))
    await until(lambda: finals(second))
    (gap,) = (await stage.store.transcript(MEETING)).gaps
    assert (gap.start, gap.end) == (pytest.approx(end, abs=0.01), stage.clock.at - 1.0)


# --- one beside the other ---------------------------------------------------------------------------------------


async def test_an_owner_that_others_have_followed_writes_and_tells_nothing_more(stage: Stage, gateway: Gateway) -> None:
    first = await gateway.take()
    await gateway.begin("I was asleep myself")
    await until(lambda: "was" in committed(first))
    shown, feed = committed(first), gateway.feed
    bus, gateway.feed = gateway.bus, TellingFeed(1)
    second = await gateway.take()
    await bus.send(SpeechEnded(TRACK, stage.clock.at))  # the first one hears it, too
    await asyncio.wait_for(first.superseded.wait(), 5.0)
    told = len(feed.told)
    await first.drop()
    assert first.finished
    assert first.over
    assert len(feed.told) == told
    assert not [event for event in feed.told if event.get("final")]
    await gateway.begin("for a while")
    await gateway.end()
    await until(lambda: finals(second))
    assert await kept(stage.store) == ["I was asleep myself for a while"]
    assert shown in (await kept(stage.store))[0]


async def test_an_owner_that_others_have_followed_ends_no_meeting_and_takes_no_numbers(
    stage: Stage, gateway: Gateway
) -> None:
    first = await gateway.take()
    await stage.store.claim(MEETING)
    await first.end()
    assert first.superseded.is_set()
    await until(lambda: first.finished)
    assert (await stage.store.meeting(MEETING)).ended_at is None
    with pytest.raises(Superseded):
        await stage.store.for_meeting(MEETING, 1).reserve_sequence(10)


async def test_an_owner_that_dropped_a_meeting_does_not_write_what_still_waited(stage: Stage, gateway: Gateway) -> None:
    first = await gateway.take()
    await gateway.begin("not for me to write")
    stage.store.full = True
    await gateway.end()
    await until(lambda: "not_kept" in notices(first))
    stage.store.full = False
    await first.drop()
    assert await kept(stage.store) == []
    second = await gateway.take(first.needed())
    await until(lambda: finals(second))
    assert await kept(stage.store) == ["not for me to write"]


# --- what the next owner would have to hear -------------------------------------------------------------------


async def test_sound_is_needed_until_its_final_and_its_record_text_are_kept(stage: Stage, gateway: Gateway) -> None:
    owner = await gateway.take()
    await gateway.begin("good morning everybody")
    await until(lambda: committed(owner))
    assert owner.needed().get(TRACK, 0.0) == 0.0, "the record hears an utterance as a whole"
    await gateway.end()
    await until(lambda: finals(owner))
    await asyncio.sleep(0.05)
    assert owner.needed()[TRACK] == 0.0, "its record text is not there"
    stage.clock.at += 3.0
    await needs(owner, 2.0)
    assert await stage.store.unrecorded(MEETING, 0.0) == []
    assert owner.needed()[TRACK] == pytest.approx(2.0), "all that was heard is done"
    await gateway.send(TrackClosed(TRACK, stage.clock.at))
    await needs(owner, float("inf"))


async def test_sound_is_needed_while_the_store_does_not_take_what_was_heard_in_it(
    stage: Stage, gateway: Gateway
) -> None:
    owner = await gateway.take()
    await gateway.begin("first")
    await gateway.end()
    stage.clock.at += 3.0
    await needs(owner, 1.0)
    before = owner.needed()[TRACK]
    stage.store.full = True
    await gateway.begin("the disk is full")
    await gateway.end()
    stage.clock.at += 3.0
    await gateway.send(TrackClosed(TRACK, stage.clock.at))
    await until(lambda: "not_kept" in notices(owner))
    await until(lambda: owner.session.core.idle)
    await asyncio.sleep(0.1)
    assert owner.needed()[TRACK] == before
    stage.store.full = False
    await needs(owner, float("inf"))
    assert await kept(stage.store) == ["first", "the disk is full"]
    assert await stage.store.unrecorded(MEETING, 0.0) == []


async def test_a_handover_of_a_store_that_hangs_or_an_engine_that_is_stuck_takes_a_second(
    stage: Stage, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await gateway.take()
    await gateway.begin("everything is stuck")
    await until(lambda: committed(owner))
    stage.gate.clear()
    await gateway.begin("really")

    async def hang(*_: object) -> None:
        await asyncio.sleep(60.0)

    monkeypatch.setattr(type(stage.store), "_write", hang)
    before = time.monotonic()
    await owner.hand_over()
    assert time.monotonic() - before < 1.5
    assert owner.finished
    await owner.hand_over()
    monkeypatch.undo()


# --- who is there -----------------------------------------------------------------------------------------------


async def test_who_is_there_stays_there_when_the_meeting_goes_to_another_owner(stage: Stage, gateway: Gateway) -> None:
    def told() -> list[tuple[object, object, object]]:
        return [(each["speaker"], each["state"], each["present"]) for each in events(gateway.owners[-1], "participant")]

    first = await gateway.take()
    await first.people({ANNE.id: (ANNE, ()), BILAL.id: (BILAL, ("fr",))})
    assert told() == [("Anne", "joined", True), ("Bilal", "joined", True)]
    assert await stage.store.languages(MEETING) == {ANNE.id: (), BILAL.id: ("fr",)}
    stage.clock.at = 7.0
    await first.hand_over()
    second = await gateway.take()
    await second.people({ANNE.id: (replace(ANNE, name="Somebody"), ())})
    assert told()[2:] == [("Bilal", "left", False)]
    await second.rename(ANNE.id, "Dr. Anne")
    await second.people({ANNE.id: (ANNE, ())})
    assert told()[3:] == [("Dr. Anne", "renamed", True)]
    wanted = [Presence(ANNE.id, 0.0), Presence(BILAL.id, 0.0, 7.0)]

    async def presences() -> list[Presence]:
        return await stage.store.presences(MEETING)

    assert await eventually(presences, lambda found: found == wanted) == wanted
    (anne, bilal) = second.snapshot()["participants"]  # type: ignore[misc]
    assert (anne["present"], bilal["present"]) == (True, False)


async def test_a_pause_that_was_asked_for_earlier_is_kept_from_then_on(stage: Stage, gateway: Gateway) -> None:
    stage.clock.at = 10.0
    owner = await gateway.take()
    await owner.pause(at=9.5)
    stage.clock.at = 20.0
    await owner.resume(at=19.0)
    assert await stage.store.pauses(MEETING) == [Pause(9.5, 19.0)]
    assert [(event["state"], event["paused"]) for event in events(owner, "meeting")] == [
        ("running", False),
        ("running", True),
        ("running", False),
    ]
