"""Counts of the messages of dramatiq's queues: offers of meetings, and recordings."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from dramatiq import Broker

_OF = ("queue_name", "actor_name")
_MILLISECONDS = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000, 600_000, 3_600_000)


def count_jobs(broker: "Broker", registry: CollectorRegistry) -> None:
    """Adds dramatiq's own middleware to ``broker``, once, with its metrics in ``registry``.

    As it comes it makes them in ``after_process_boot``, which only dramatiq's command calls, for several processes at
    once: files in a shared folder, a variable of the environment that changes how prometheus-client works, and a server
    at port 9191 of every interface. Its counting needs none of that.
    """
    from dramatiq.middleware.prometheus import Prometheus  # makes that folder when it is imported

    class Counting(Prometheus):
        def after_process_boot(self, broker: "Broker") -> None:
            """All metrics are there."""

    counting = Counting()
    counting.total_messages = Counter("dramatiq_messages", "Messages that were processed.", _OF, registry=registry)
    counting.total_errored_messages = Counter(
        "dramatiq_message_errors", "Those of them that raised something.", _OF, registry=registry
    )
    counting.total_retried_messages = Counter(
        "dramatiq_message_retries", "Messages put back to be tried again.", _OF, registry=registry
    )
    counting.total_rejected_messages = Counter(
        "dramatiq_message_rejects", "Messages that were given up.", _OF, registry=registry
    )
    counting.inprogress_messages = Gauge(
        "dramatiq_messages_inprogress", "Messages that are being processed.", _OF, registry=registry
    )
    counting.inprogress_delayed_messages = Gauge(
        "dramatiq_delayed_messages_inprogress", "Messages that wait here for their time.", _OF, registry=registry
    )
    counting.message_durations = Histogram(
        "dramatiq_message_duration_milliseconds",
        "How long it took to process a message.",
        _OF,
        buckets=_MILLISECONDS,
        registry=registry,
    )
    broker.add_middleware(counting)
