"""What is said by one process reaches whoever captions the meeting, with who says it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.bus.redis.audio_in import AudioInbox
from pipeline.bus.redis.people import People
from pipeline.distributed.remote_meeting import RemoteMeeting
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    MeetingId,
    Participant,
    ParticipantId,
    SpeechStarted,
    Track,
    TrackClosed,
    TrackEvent,
    TrackOpened,
)
from pipeline.errors import InvalidInput
from tests.pipeline.distributed.remote import MEETING, WAIT, Owner, Stage, stage, until
from tests.recordings import beep, frames_of, silence
from tests.redis_server import RedisServer

ANNE = Participant(ParticipantId("anne"), "Anne")


@pytest.fixture
async def scene(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(redis_server.url, tmp_path) as one:
        yield one


@dataclass(slots=True)
class Talker:
    """Says what a test gives it, in meeting time, until it hangs up."""

    meeting: RemoteMeeting
    track: Track
    said: "asyncio.Queue[TrackEvent | None]" = field(default_factory=asyncio.Queue)

    async def events(self) -> AsyncIterator[TrackEvent]:
        yield TrackOpened(self.track, self.meeting.now())
        while (event := await self.said.get()) is not None:
            yield event

    def say(self, seconds: float, *, loud: bool = True) -> None:
        sound = beep(seconds) if loud else silence(seconds)
        for frame in frames_of(sound, self.track.id, self.meeting.now()):
            self.said.put_nowait(frame)

    def hang_up(self) -> None:
        self.said.put_nowait(None)


class Keeper:
    """Counts the samples it is given."""

    def __init__(self) -> None:
        self.samples = 0
        self.closed = False

    def write(self, frame: AudioFrame) -> None:
        self.samples += len(frame.samples)

    async def close(self) -> None:
        self.closed = True


async def received(owner: Owner) -> list[TrackEvent]:
    """What comes to the owner, in a list that grows until the test ends."""
    inbox = await AudioInbox.open(owner.bus, MEETING, owner.leases.holder)
    events: list[TrackEvent] = []

    async def take() -> None:
        async for event in inbox.receive():
            events.append(event)  # noqa: PERF401 - it is read while it grows

    owner.taking.append(asyncio.create_task(take()))
    return events


def kinds(events: list[TrackEvent]) -> list[type[TrackEvent]]:
    return [kind for kind in map(type, events) if kind is not AudioFrame]


async def there(owner: Owner, name: str | None) -> None:
    """Waits until Anne is there by that name, or nobody is."""
    expected = {} if name is None else {("gateway-1", ANNE.id): (name, ("fr",))}
    async with asyncio.timeout(WAIT):
        while await People.load(owner.bus, MEETING) != expected:  # noqa: ASYNC110 - a hash tells nobody
            await asyncio.sleep(0.02)


async def test_whoever_publishes_is_there_and_what_they_say_comes_to_the_owner(scene: Stage) -> None:
    owner = await scene.owner()
    events = await received(owner)
    meeting = await (await scene.process("gateway-1")).meetings.of(MEETING)
    track = await meeting.join(ANNE, ("fr",))
    talker = Talker(meeting, track)
    publishing = asyncio.create_task(meeting.publish(talker, track))
    talker.say(1.0)
    await until(lambda: AudioFrame in map(type, events))
    assert kinds(events) == [TrackOpened, SpeechStarted]
    opened = events[0]
    assert isinstance(opened, TrackOpened)
    assert opened.track == track
    await there(owner, "Anne")
    talker.hang_up()
    await until(lambda: TrackClosed in map(type, events))
    await publishing
    assert meeting.tracks == 0
    await there(owner, None)


async def test_silence_and_what_is_said_during_a_pause_go_nowhere(scene: Stage) -> None:
    events = await received(await scene.owner())
    process = await scene.process("gateway-1")
    meeting = await process.meetings.of(MEETING)
    track = await meeting.join(ANNE)
    talker = Talker(meeting, track)
    publishing = asyncio.create_task(meeting.publish(talker, track))
    talker.say(1.0, loud=False)
    await until(lambda: TrackOpened in map(type, events))
    await (await (await scene.process("api-1")).meetings.of(MEETING)).pause()
    await until(lambda: not meeting.listening)
    talker.say(1.0)
    await until(talker.said.empty)
    talker.hang_up()
    await until(lambda: TrackClosed in map(type, events))
    await publishing
    assert list(map(type, events)) == [TrackOpened, TrackClosed]


async def test_who_is_in_the_room_is_there_until_they_leave_under_the_name_they_have_now(scene: Stage) -> None:
    owner = await scene.owner()
    meeting = await (await scene.process("gateway-1")).meetings.of(MEETING)
    api = await (await scene.process("api-1")).meetings.of(MEETING)
    await meeting.enter(ANNE, ("fr",))
    await meeting.enter(ANNE)
    await api.rename(ANNE.id, "Anne B.")

    await there(owner, "Anne B.")
    await meeting.leave(ANNE.id)
    await asyncio.sleep(0.3)
    await there(owner, "Anne B.")
    await meeting.leave(ANNE.id)
    await meeting.leave(ANNE.id)
    await there(owner, None)


async def test_when_the_meeting_ends_its_tracks_do_and_its_sound_is_kept(scene: Stage) -> None:
    keeper = Keeper()
    process = await scene.process("gateway-1", new_keeper=lambda _: keeper)
    other = MeetingId("kept-sound")
    await scene.create(other, keep_audio=True)
    meeting = await process.meetings.of(other)
    track = await meeting.join(ANNE)
    talker = Talker(meeting, track)
    publishing = asyncio.create_task(meeting.publish(talker, track))
    talker.say(1.0)
    await until(lambda: keeper.samples == SAMPLE_RATE)
    await (await scene.process("api-1")).meetings.end(other)
    await publishing
    await until(lambda: keeper.closed)
    with pytest.raises(InvalidInput, match="over"):
        await meeting.publish(talker, track)


async def test_a_gateway_that_ends_closes_its_tracks_and_the_meeting_goes_on(scene: Stage) -> None:
    events = await received(await scene.owner())
    process = await scene.process("gateway-1")
    meeting = await process.meetings.of(MEETING)
    track = await meeting.join(ANNE)
    publishing = asyncio.create_task(meeting.publish(Talker(meeting, track), track))
    await until(lambda: TrackOpened in map(type, events))
    await process.meetings.close()
    await publishing
    await until(lambda: TrackClosed in map(type, events))
    assert (await scene.store.meeting(MEETING)).ended_at is None
    with pytest.raises(InvalidInput, match="shutting down"):
        await process.meetings.of(MEETING)
