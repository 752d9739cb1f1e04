"""A gateway knows how many seconds of speech it sent, keeps, and lost."""

import asyncio

import numpy as np
import pytest

from pipeline.bus.redis import keys
from pipeline.bus.redis.audio_out import AudioOutlet
from pipeline.bus.redis.connection import RedisBus
from pipeline.domain import SAMPLE_RATE, AudioFrame, MeetingId, Participant, ParticipantId, Track, TrackId, TrackOpened
from tests.redis_server import RedisServer

MEETING = MeetingId("council")
TRACK = Track(TrackId("anne.1"), Participant(ParticipantId("anne"), "Anne"))
WAIT = 30.0


async def speak(outlet: AudioOutlet, start: float, seconds: float) -> None:
    sound = np.zeros(round(seconds * SAMPLE_RATE), dtype=np.int16)
    await outlet.send(AudioFrame(TRACK.id, start, sound))


async def test_seconds_that_were_sent_are_kept_until_they_are_not_needed(redis_server: RedisServer) -> None:
    bus = await RedisBus.open(redis_server.url, "gateway-1")
    outlet = AudioOutlet(bus, MEETING)
    try:
        await outlet.send(TrackOpened(TRACK, 0.0))
        for second in range(4):
            await speak(outlet, float(second), 1.0)
        assert (bus.sent.seconds_sent, bus.sent.seconds_kept) == (4.0, 4.0)
        await bus.call("HSET", keys.of_meeting(MEETING, "progress"), TRACK.id, "2.5")
        async with asyncio.timeout(WAIT):
            while bus.sent.seconds_kept != 2.0:  # noqa: ASYNC110 - nothing tells when
                await asyncio.sleep(0.02)
        await outlet.close()
        assert bus.sent.seconds_kept == pytest.approx(0.0)
        assert (bus.sent.seconds_sent, bus.sent.seconds_lost) == (4.0, 0.0)
    finally:
        await outlet.close()
        await bus.close()


async def test_what_is_dropped_because_too_much_is_kept_is_lost(redis_server: RedisServer) -> None:
    bus = await RedisBus.open(redis_server.url, "gateway-1")
    outlet = AudioOutlet(bus, MEETING)
    try:
        for second in range(63):
            await speak(outlet, float(second), 1.0)
        assert (bus.sent.seconds_kept, bus.sent.seconds_lost) == (60.0, 3.0)
    finally:
        await outlet.close()
        await bus.close()
