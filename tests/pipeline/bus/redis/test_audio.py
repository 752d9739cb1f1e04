"""What a gateway hears reaches the owner of the meeting, the next owner too, and what did not is marked."""

import asyncio

import numpy as np
import pytest

from pipeline.bus.redis import audio_in, audio_out
from pipeline.bus.redis.audio_in import AudioInbox
from pipeline.bus.redis.audio_out import AudioOutlet
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.leases import RedisLeases, meeting_lease_key
from pipeline.bus.redis.people import People
from pipeline.domain import (
    AudioFrame,
    AudioLost,
    Participant,
    ParticipantId,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackClosed,
    TrackOpened,
)
from tests.pipeline.bus.redis.sounding import (
    ANA,
    AUDIO,
    BEN,
    OURS,
    STEP,
    THEIRS,
    M,
    Owner,
    entries,
    frames,
    free_lease,
    heard_frames,
    lost,
    opened,
    plains,
    send,
    written,
)
from tests.pipeline.bus.redis.waiting import until
from tests.redis_server import RedisServer


async def test_every_event_comes_as_it_was_sent(outlet: AudioOutlet, owner: Owner) -> None:
    sound = AudioFrame(ANA, 0.1, np.array([-32768, -1, 0, 1, 32767], np.int16))
    events = [opened(), SpeechStarted(ANA, 0.1), sound, AudioLost(ANA, 0.2, 1 / 3), SpeechEnded(ANA, 0.5)]
    await send(outlet, *events, TrackClosed(ANA, 0.6))
    await owner.has(6)
    assert plains(owner.got) == plains([*events, TrackClosed(ANA, 0.6)])
    assert owner.inbox.gateway_of == {ANA: "gateway-1"}


async def test_what_was_sent_before_the_owner_came_is_there(outlet: AudioOutlet, worker: RedisBus) -> None:
    events = [opened(), SpeechStarted(ANA, 0.0), *frames(0, 1000)]
    await send(outlet, *events)
    await written(outlet)
    owner = await Owner.of(worker)
    assert await owner.inbox.tracks() == {ANA: (opened().track, 0.0, "gateway-1")}
    await owner.has(1002)
    assert plains(owner.got) == plains(events)
    await owner.leave()


async def test_a_closed_inbox_gives_what_is_in_the_stream_and_ends(outlet: AudioOutlet, worker: RedisBus) -> None:
    await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 600))
    await written(outlet)
    owner = await Owner.of(worker)
    await owner.inbox.close()
    assert owner.taking is not None
    await asyncio.wait_for(owner.taking, 10.0)
    assert heard_frames(owner.got) == list(range(600))


async def test_an_event_of_the_owners_own_comes_behind_the_others(owner: Owner) -> None:
    await owner.inbox.send(SpeechEnded(ANA, 1.0))
    await owner.has(1)
    assert owner.got == [SpeechEnded(ANA, 1.0)]


async def test_an_outlet_only_sends(outlet: AudioOutlet) -> None:
    with pytest.raises(RuntimeError):
        outlet.receive()


# --- what is needed -----------------------------------------------------------------------------------------------


async def test_what_is_needed_no_more_is_forgotten_by_all(
    outlet: AudioOutlet, owner: Owner, redis_server: RedisServer
) -> None:
    await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 100))
    await owner.has(102)
    assert await owner.inbox.report({ANA: 90 * STEP})
    assert entries(redis_server) == 10
    await until(lambda: len(outlet._tracks[ANA].kept) == 10)
    assert await owner.inbox.report({ANA: 100 * STEP})
    assert entries(redis_server) == 0
    await send(outlet, *frames(100, 110))
    await owner.has(112)
    assert heard_frames(owner.got) == list(range(110))


async def test_a_quiet_track_keeps_only_its_own_sound(
    outlet: AudioOutlet, owner: Owner, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last second is needed for hours."""
    monkeypatch.setattr(audio_in, "_USELESS", 50)
    await send(outlet, opened(BEN), SpeechStarted(BEN, 0.0), *frames(0, 10, BEN), opened(), SpeechStarted(ANA, 0.0))
    for first in range(0, 1000, 100):
        await send(outlet, *frames(first, first + 100))
        await owner.has(14 + first + 100)
        await owner.inbox.report({BEN: 5 * STEP, ANA: (first + 95) * STEP})
    assert entries(redis_server) < 70


async def test_a_track_that_is_over_is_in_no_list_and_whoever_waits_for_it_is_told(
    outlet: AudioOutlet, owner: Owner, redis_server: RedisServer
) -> None:
    await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 10), SpeechEnded(ANA, 0.3), TrackClosed(ANA, 0.4))
    ended = asyncio.create_task(outlet.ended(ANA))
    await owner.has(14)
    await owner.inbox.report({ANA: 0.2})
    await asyncio.sleep(0.6)
    assert not ended.done()
    await owner.inbox.report({ANA: float("inf")})
    await asyncio.wait_for(ended, 10.0)
    assert await owner.inbox.tracks() == {}
    assert entries(redis_server) == 0
    assert not outlet._tracks
    await asyncio.wait_for(outlet.ended(ANA), 1.0)


async def test_the_next_owner_of_a_track_that_was_closed_is_told_so(
    outlet: AudioOutlet, owner: Owner, gateway: RedisBus, redis_server: RedisServer
) -> None:
    end = 10 * STEP
    await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 10), SpeechEnded(ANA, end), TrackClosed(ANA, end))
    await owner.has(14)
    await owner.inbox.report({ANA: 1.0})
    assert entries(redis_server) == 1
    free_lease(redis_server)
    second = await Owner.of(gateway, THEIRS)
    await second.has(2)
    assert second.got == [opened(), TrackClosed(ANA, end)]
    await second.leave()


async def test_who_does_not_hold_the_lease_reports_nothing(
    outlet: AudioOutlet, owner: Owner, redis_server: RedisServer
) -> None:
    await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 10))
    await owner.has(12)
    free_lease(redis_server)
    assert not await owner.inbox.report({ANA: float("inf")})
    assert entries(redis_server) == 12


async def test_whoever_waits_for_a_track_is_told_when_the_outlet_closes(gateway: RedisBus) -> None:
    outlet = AudioOutlet(gateway, M)
    await send(outlet, opened())
    ended = asyncio.create_task(outlet.ended(ANA))
    await asyncio.sleep(0)
    await outlet.close()
    await asyncio.wait_for(ended, 1.0)
    await outlet.send(TrackClosed(ANA, 1.0))


# --- the next owner ---------------------------------------------------------------------------------------------


async def test_the_next_owner_hears_again_what_was_still_needed(
    outlet: AudioOutlet, owner: Owner, gateway: RedisBus, redis_server: RedisServer
) -> None:
    await send(outlet, opened(at=0.5), SpeechStarted(ANA, 0.5), *frames(20, 100))
    await owner.has(82)
    await owner.inbox.report({ANA: 60 * STEP + 0.001})
    free_lease(redis_server)
    second = await Owner.of(gateway, THEIRS)
    await send(outlet, *frames(100, 120), SpeechEnded(ANA, 120 * STEP))
    await second.has(63)
    assert second.got[:2] == [opened(at=0.5), SpeechStarted(ANA, 60 * STEP)]
    assert heard_frames(second.got) == list(range(60, 120))
    assert second.got[-1] == SpeechEnded(ANA, 120 * STEP)
    assert not lost(second.got)
    await second.leave()


async def test_what_is_left_of_what_nobody_needs_is_not_heard_again(
    outlet: AudioOutlet, owner: Owner, gateway: RedisBus, redis_server: RedisServer
) -> None:
    await send(outlet, opened(BEN), SpeechStarted(BEN, 0.0), *frames(0, 10, BEN))
    await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 50))
    await owner.has(64)
    await owner.inbox.report({ANA: 40 * STEP, BEN: 5 * STEP})
    assert entries(redis_server) > 50
    free_lease(redis_server)
    second = await Owner.of(gateway, THEIRS)
    await second.has(lambda got: heard_frames(got)[-1:] == [49])
    assert heard_frames(second.got) == list(range(40, 50))
    assert heard_frames(second.got, BEN) == list(range(5, 10))
    assert not lost(second.got)
    await second.leave()


async def test_a_frame_that_is_missing_is_marked(
    outlet: AudioOutlet, worker: RedisBus, redis_server: RedisServer
) -> None:
    await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 20))
    await written(outlet)
    with redis_server.connect() as client:
        names = [name for name, _ in client.xrange(AUDIO)]
        client.xdel(AUDIO, *names[7:12])
    owner = await Owner.of(worker)
    await owner.has(18)
    assert heard_frames(owner.got) == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]
    assert owner.got[7] == AudioLost(ANA, pytest.approx(5 * STEP), 10 * STEP)
    await owner.leave()


async def test_without_an_owner_60_seconds_of_each_track_are_kept_and_the_rest_is_marked(
    outlet: AudioOutlet, worker: RedisBus, redis_server: RedisServer
) -> None:
    await send(outlet, opened(BEN), SpeechStarted(BEN, 0.0), *frames(0, 10, BEN))
    await send(outlet, opened(), SpeechStarted(ANA, 0.0))
    for first in range(0, 2500, 500):
        await send(outlet, *frames(first, first + 500))
        await written(outlet)
    assert entries(redis_server) == 1875 + 14
    owner = await Owner.of(worker)
    await owner.has(lambda got: heard_frames(got)[-1:] == [2499])
    assert heard_frames(owner.got) == list(range(625, 2500))
    assert heard_frames(owner.got, BEN) == list(range(10))
    assert lost(owner.got) == [AudioLost(ANA, 0.0, pytest.approx(20.0))]
    await owner.leave()


async def test_what_was_needed_and_is_gone_is_marked_from_where_it_was_needed(
    outlet: AudioOutlet, owner: Owner, gateway: RedisBus, redis_server: RedisServer
) -> None:
    await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 100))
    await owner.has(102)
    await owner.inbox.report({ANA: 90 * STEP})
    await until(lambda: len(outlet._tracks[ANA].kept) == 10)
    free_lease(redis_server)
    await send(outlet, *frames(100, 3000))
    await written(outlet)
    second = await Owner.of(gateway, THEIRS)
    await second.has(lambda got: heard_frames(got)[-1:] == [2999])
    assert lost(second.got) == [AudioLost(ANA, 90 * STEP, 1125 * STEP)]
    assert second.got[0] == opened()
    await second.leave()


async def test_an_owner_that_is_far_behind_marks_what_it_drops(
    outlet: AudioOutlet, worker: RedisBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio_in, "_MOST_BYTES", 100 * 1024)
    await RedisLeases(worker, OURS).acquire(meeting_lease_key(M), 60.0)
    inbox = await AudioInbox.open(worker, M, OURS)
    await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 300))
    await until(lambda: inbox._taken > (0, 0) and len(inbox._queue) == 102)
    await written(outlet)
    await inbox.close()
    got = [event async for event in inbox.receive()]
    assert heard_frames(got) == list(range(200, 300))
    assert lost(got) == [AudioLost(ANA, 0.0, pytest.approx(200 * STEP))]


# --- gateways ---------------------------------------------------------------------------------------------------


async def test_the_sound_of_a_gateway_that_died_is_marked_from_where_it_was_last_heard(
    outlet: AudioOutlet, owner: Owner
) -> None:
    await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 10))
    outlet.heard(12.5)
    await owner.has(12)
    await until(lambda: owner.inbox.heard == {"gateway-1": 12.5})
    await owner.inbox.lose(ANA, 16.0)
    await owner.has(14)
    assert owner.got[12:] == [AudioLost(ANA, 12.5, 16.0), TrackClosed(ANA, 16.0)]
    await owner.inbox.lose(ANA, 17.0)
    await send(outlet, *frames(1000, 1002))
    await owner.has(lambda got: heard_frames(got)[-1:] == [1001])
    assert plains(owner.got[14:]) == plains([opened(), SpeechStarted(ANA, 1000 * STEP), *frames(1000, 1002)])


async def test_the_next_owner_knows_until_when_a_dead_gateway_was_heard(
    outlet: AudioOutlet, owner: Owner, gateway: RedisBus, redis_server: RedisServer
) -> None:
    await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 10), SpeechEnded(ANA, 10 * STEP))
    outlet.heard(12.5)
    await until(lambda: owner.inbox.heard)
    await owner.has(13)
    await owner.inbox.report({ANA: 11.0})
    free_lease(redis_server)
    second = await Owner.of(gateway, THEIRS)
    assert second.inbox.heard == {"gateway-1": 12.5}
    await second.inbox.lose(ANA, 16.0)
    await second.has(3)
    assert second.got == [opened(), AudioLost(ANA, 12.5, 16.0), TrackClosed(ANA, 16.0)]
    await second.leave()


async def test_of_a_gateway_nobody_ever_heard_nothing_is_marked(owner: Owner) -> None:
    await owner.inbox.lose(BEN, 16.0)
    await owner.has(2)
    assert owner.got == [
        TrackOpened(Track(BEN, Participant(ParticipantId("ben"), "ben")), 0.0),
        TrackClosed(BEN, 16.0),
    ]


async def test_an_owner_that_gave_a_track_up_wrongly_has_it_in_its_list_again(
    outlet: AudioOutlet, owner: Owner
) -> None:
    await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 10))
    await owner.has(12)
    await owner.inbox.lose(ANA, 1.0)
    await owner.has(14)
    await owner.inbox.report({ANA: float("inf")})
    assert await owner.inbox.tracks() == {}
    await until(owner.inbox.tracks)


async def test_who_is_there_by_which_gateway_is_told_and_forgotten(
    outlet: AudioOutlet, owner: Owner, gateway: RedisBus, worker: RedisBus
) -> None:
    told: list[int] = []
    owner.inbox.on_people = lambda: told.append(1)
    other = AudioOutlet(gateway, M, "gateway-2")
    outlet.set_person(Participant(ParticipantId("ana b"), "Ana"), ("fr",))
    other.set_person(Participant(ParticipantId("ben"), "Ben"))
    other.set_person(Participant(ParticipantId("cam"), "Cam"))
    await until(lambda: len(told) == 2)
    other.drop_person(ParticipantId("cam"))
    outlet.set_person(Participant(ParticipantId("ana b"), "Ana"), ("fr",))
    await until(lambda: len(told) == 3)
    assert await People.load(worker, M) == {
        ("gateway-1", "ana b"): ("Ana", ("fr",)),
        ("gateway-2", "ben"): ("Ben", ()),
    }
    await People.forget_gateway(worker, M, "gateway-2")
    await People.forget_gateway(worker, M, "gateway-3")
    assert list(await People.load(worker, M)) == [("gateway-1", "ana b")]
    await other.close()


async def test_a_gateway_that_was_thought_dead_tells_again_who_is_there(
    outlet: AudioOutlet, worker: RedisBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlet.set_person(Participant(ParticipantId("ana"), "Ana"))
    await until(lambda: People.load(worker, M))
    await People.forget_gateway(worker, M, "gateway-1")
    outlet.heard(1.0)
    await until(lambda: outlet._heard is None)
    assert not await People.load(worker, M)
    monkeypatch.setattr(audio_out, "_MISSED", 0.2)
    await asyncio.sleep(0.3)
    outlet.heard(1.5)
    await until(lambda: People.load(worker, M))


async def test_a_meeting_that_nobody_captions_fills_nothing_by_being_heard(
    outlet: AudioOutlet, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio_out, "_HEARD_KEPT", 5)
    for now in range(50):
        outlet.heard(float(now))
        await until(lambda: outlet._heard is None and outlet._flight.heard is None)
    assert entries(redis_server) < 15
