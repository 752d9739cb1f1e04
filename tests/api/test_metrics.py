"""What the server counts is what happened."""

import asyncio

import websockets
from prometheus_client.parser import text_string_to_metric_families

from pipeline.domain import Participant, ParticipantId
from tests.api.serving import Serving
from tests.api.speech import caption, say


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
