"""What the server counts is what happened."""

import asyncio

import websockets
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import Metrics
from pipeline.bus.redis.captions_out import PublishedFeed
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.leases import RedisLeases, meeting_lease_key
from pipeline.domain import MeetingId, Participant, ParticipantId
from pipeline.export.event import Event
from tests.api.serving import Serving
from tests.api.speech import caption, say
from tests.redis_server import RedisServer


async def measured(served: Serving) -> dict[str, float]:
    answer = await served.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_meetings_readers_and_captions_are_counted(served: Serving) -> None:
    meeting = await served.meeting()
    assert (await measured(served))["greffier_sessions"] == 0
    await say(served, meeting, caption("one two", final=False), caption("one two three"), caption("un", number=2))
    await say(served, meeting, caption("and", number=3, final=False))
    address = f"{served.sockets}/api/v1/meetings/{meeting}/captions.ws?token={served.token(meeting)}"
    async with websockets.connect(address) as reader:
        await reader.recv()
        found = await measured(served)
    assert found["greffier_sessions"] == 1
    assert found["greffier_readers"] == 1
    assert found["greffier_talkers"] == 1
    assert found["greffier_captions_totalpartial"] == 2
    assert found["greffier_captions_totalfinal"] == 2
    assert found["greffier_caption_lag_seconds_count"] == 4
    assert found["greffier_commit_latency_seconds_count"] == 5  # each word once


async def test_what_is_restored_from_the_store_is_not_counted_again(served: Serving) -> None:
    meeting = await served.meeting()
    await served.house.store.add_participant(meeting, Participant(ParticipantId("anne"), "Anne"))
    await served.house.store.for_meeting(meeting).keep_final(caption("long ago"))
    await served.house.meetings.of(meeting)
    assert "greffier_captions_totalfinal" not in await measured(served)


async def test_what_another_worker_captioned_is_not_counted_again(redis_server: RedisServer) -> None:
    metrics, meeting = Metrics(), MeetingId("council")
    bus = await RedisBus.open(redis_server.url, "worker-1")
    one, other = RedisLeases(bus, "worker-1/1"), RedisLeases(bus, "worker-2/1")

    def said(words: int, revision: int) -> Event:
        told = [{"text": " w", "start": float(number), "end": number + 0.5} for number in range(words)]
        common = {"utterance": "anne.1.1", "final": False, "lag": 0.1, "sent_at": float(words)}
        return {"type": "caption", "revision": revision, "words": told} | common

    try:
        assert await one.acquire(meeting_lease_key(meeting), 60.0)
        feed = await PublishedFeed.open(bus, meeting, one.holder, 1)
        feed.publish({"type": "meeting", "state": "running"}, "meeting")
        feed.publish(said(2, 1), "anne.1.1")
        await feed.flush()
        await feed.close_pump()
        await one.release(meeting_lease_key(meeting))
        assert await other.acquire(meeting_lease_key(meeting), 60.0)
        feed = await PublishedFeed.open(bus, meeting, other.holder, 100, metrics.watch())
        for words, revision in ((3, 2), (5, 3)):
            feed.publish(said(words, revision), "anne.1.1")
        await feed.close_pump()
    finally:
        await bus.close()
    assert metrics.registry.get_sample_value("greffier_captions_total", {"kind": "partial"}) == 2
    assert metrics.registry.get_sample_value("greffier_commit_latency_seconds_count") == 3


async def test_batches_and_their_wait_are_measured(served: Serving) -> None:
    served.house.metrics.batch_heard([0.1, 0.3], 0.7)
    served.house.metrics.batch_failed()
    found = await measured(served)
    assert found["greffier_batch_windows_sum"] == 2
    assert found["greffier_queue_seconds_count"] == 2
    assert found["greffier_queue_seconds_sum"] == 0.4
    assert found["greffier_recognition_seconds_sum"] == 0.7
    assert found["greffier_batch_failures_total"] == 1


async def test_tracks_of_the_sample_are_counted(served: Serving) -> None:
    meeting = await served.meeting()
    await served.http.post(f"/api/v1/meetings/{meeting}/sample")
    async with asyncio.timeout(5):
        while (await measured(served))["greffier_tracks"] < 4:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.05)
