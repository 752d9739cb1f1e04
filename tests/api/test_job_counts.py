"""What becomes of messages is counted by dramatiq's own middleware, in the registry of the process."""

import os

import dramatiq
from dramatiq.brokers.stub import StubBroker
from prometheus_client import CollectorRegistry

from api.job_counts import count_jobs


def test_messages_and_their_failures_are_counted_by_queue_and_actor() -> None:
    broker, registry = StubBroker(), CollectorRegistry()
    before = dict(os.environ)
    count_jobs(broker, registry)
    broker.emit_after("process_boot")  # as a process does that works on recordings

    @dramatiq.actor(broker=broker, queue_name="batch", max_retries=0)
    def work(fails: bool) -> None:
        if fails:
            raise RuntimeError

    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=50)
    work.send(False)
    work.send(True)
    worker.start()
    try:
        broker.join("batch", timeout=30_000, fail_fast=False)
    finally:
        worker.stop()
    of = {"queue_name": "batch", "actor_name": "work"}
    assert registry.get_sample_value("dramatiq_messages_total", of) == 2
    assert registry.get_sample_value("dramatiq_message_errors_total", of) == 1
    assert registry.get_sample_value("dramatiq_message_rejects_total", of) == 1
    assert registry.get_sample_value("dramatiq_messages_inprogress", of) == 0
    assert registry.get_sample_value("dramatiq_message_duration_milliseconds_count", of) == 2
    assert dict(os.environ) == before
