"""Where they are asked for, traces reach a collector: what took how long, with ids and nothing that was said."""

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from api.roles import Role
from api.telemetry import Traces
from api.tracing import tracing
from models.batching import Batcher
from models.scripted import ScriptedEngine
from pipeline.distributed.offers import Offers, broker_at
from pipeline.domain import Meeting, MeetingId, Samples, TrackId, UtteranceId, Window, WindowKind, Word
from pipeline.errors import InvalidSetting, RecognitionFailed
from pipeline.store.sql import SqlStore
from tests.api.role_serving import role_serving, shared_settings
from tests.api.serving import serving
from tests.houses import settings_in
from tests.otlp_receiver import receiving_traces
from tests.recordings import recorded, silence
from tests.redis_server import RedisServer

SECRET_WORD = "rutabaga"


class Request:
    kind = WindowKind.LIVE

    def cut(self) -> tuple[Window, Samples] | None:
        window = Window(
            TrackId("anne.1"), UtteranceId("anne.1.1"), self.kind, 0.0, 1.0, ("en",), glossary=(SECRET_WORD,)
        )
        return window, silence(1.0)


async def test_an_upload_is_one_trace_from_its_request_to_its_transcription(tmp_path: Path) -> None:
    with receiving_traces() as receiver:
        async with serving(tmp_path, traces=receiver.url) as served:
            with recorded("en_jfk.flac").open("rb") as file:
                title = {"title": SECRET_WORD}
                answer = await served.http.post("/api/v1/recordings", data=title, files={"file": ("a.flac", file)})
            assert answer.status_code == 202, answer.text
            recording = answer.json()["id"]
            async with asyncio.timeout(30):
                while (await served.http.get(answer.headers["Location"])).json()["state"] != "done":  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await served.http.get("/healthz")
        await asyncio.to_thread(receiver.wait_for, "transcribe_recording")
    assert receiver.paths == {"/v1/traces"}
    [request] = receiver.named("POST /api/v1/recordings")
    [job] = receiver.named("transcribe_recording")
    assert (job.trace, job.parent) == (request.trace, request.id)
    assert request.attributes["http.response.status_code"] == 202
    assert job.attributes["greffier.recording"] == recording
    assert job.resource["service.name"] == "greffier-serve"
    assert receiver.named("GET /api/v1/recordings/{recording}")
    windows = receiver.named("window")
    assert windows
    assert {window.attributes["greffier.kind"] for window in windows} == {"recording"}
    assert not receiver.named("GET /healthz")
    assert SECRET_WORD not in repr(receiver.spans)
    assert served.key not in repr(receiver.spans)


async def test_a_window_says_how_long_it_waited_and_how_long_it_was_recognised() -> None:
    engine = ScriptedEngine({TrackId("anne.1"): [Word(f" {SECRET_WORD}", 0.1, 0.5)]})
    with receiving_traces() as receiver:
        traces = Traces(receiver.url, "worker", "worker-1a2b3c4d")
        async with Batcher(engine) as batcher:
            heard = await traces.recognizer(batcher).recognize(Request())
            engine.fail = lambda _: True
            with pytest.raises(RecognitionFailed):
                await traces.recognizer(batcher).recognize(Request())
        await traces.close()
    assert heard is not None
    assert heard[1].words[0].text == f" {SECRET_WORD}"
    fine, failed = receiver.named("window")
    assert fine.resource["service.instance.id"] == "worker-1a2b3c4d"
    assert (fine.attributes["greffier.track"], fine.attributes["greffier.kind"]) == ("anne.1", "live")
    [wait] = [span for span in receiver.named("wait") if span.parent == fine.id]
    [recognise] = [span for span in receiver.named("recognise") if span.parent == fine.id]
    assert wait.seconds + recognise.seconds == pytest.approx(fine.seconds, abs=1e-6)
    assert (fine.failed, failed.failed) == (False, True)
    assert failed.attributes["error.type"] == "RecognitionFailed"
    assert SECRET_WORD not in repr(receiver.spans)


async def test_a_worker_that_takes_a_meeting_leaves_a_span_with_its_id(
    tmp_path: Path, redis_server: RedisServer, postgresql_url: str
) -> None:
    meeting = MeetingId("council")
    with receiving_traces() as receiver:
        settings = replace(shared_settings(tmp_path, redis_server.url, postgresql_url), traces=receiver.url)
        store = await asyncio.to_thread(SqlStore.open, postgresql_url)
        await store.create_meeting(Meeting(meeting, SECRET_WORD, time.time()))
        await store.close()
        offers = Offers(broker_at(redis_server.url))
        async with role_serving(settings, Role.WORKER) as worker:
            await offers.send(meeting)
            async with asyncio.timeout(30):
                while worker.vitals.facts()["meetings"] != 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        await offers.close()
        await asyncio.to_thread(receiver.wait_for, "caption_meeting")
    taken = receiver.named("caption_meeting")[0]
    assert (taken.attributes["greffier.meeting"], taken.failed) == (meeting, False)
    assert (taken.resource["service.name"], taken.resource["service.instance.id"]) == (
        "greffier-worker",
        worker.process,
    )
    assert SECRET_WORD not in repr(receiver.spans)


async def test_a_collector_that_is_away_holds_nobody_up() -> None:
    with receiving_traces() as receiver:
        gone = receiver.url
    traces = Traces(gone, "worker", None)
    async with Batcher(ScriptedEngine({})) as batcher:
        await traces.recognizer(batcher).recognize(Request())
    began = time.monotonic()
    await traces.close()
    assert time.monotonic() - began < 10


async def test_without_the_variable_there_are_none(tmp_path: Path) -> None:
    async with tracing(settings_in(tmp_path), "serve") as traces:
        assert traces is None


async def test_without_the_packages_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "api.telemetry", None)
    with pytest.raises(InvalidSetting, match=r"OTEL_EXPORTER_OTLP_ENDPOINT is set.*\[traces\]"):
        async with tracing(settings_in(tmp_path, traces="http://localhost:4318"), "serve"):
            pass
