"""What a process counts and measures as it happens, and the way to all of its metrics for Prometheus."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from api.access import Need, needs
from pipeline.export.event import Event

if TYPE_CHECKING:
    from api.vitals import Vitals

router = APIRouter(tags=["health"])

_MOST_FAILING = 3
_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


class CaptionWatch:
    """Counts the captions of one meeting as they are published; begins after what was restored."""

    def __init__(self, metrics: "Metrics") -> None:
        self._metrics = metrics
        self._begun = False
        self._committed: dict[object, int] = {}

    @property
    def open(self) -> int:
        """Utterances that have no final yet: as many people speak, or did a moment ago."""
        return len(self._committed)

    def __call__(self, event: Event) -> None:
        if event["type"] == "meeting":
            self._begun = event["state"] == "running"  # told again when it is paused or goes on
            if not self._begun:
                self._committed.clear()
        elif event["type"] == "caption":
            if self._begun:
                self._count(event)
            self._remember(event)

    def _count(self, event: Mapping[str, Any]) -> None:
        metrics, utterance, words = self._metrics, event["utterance"], event["words"]
        metrics.captions.labels("final" if event["final"] else "partial").inc()
        metrics.lag.observe(event["lag"])
        for word in words[self._committed.get(utterance, 0) :]:
            metrics.commit.observe(max(0.0, event["sent_at"] - word["end"]))

    def _remember(self, event: Mapping[str, Any]) -> None:
        utterance, words = event["utterance"], event["words"]
        if event["final"]:
            self._committed.pop(utterance, None)
        else:
            self._committed[utterance] = len(words)


class Metrics:
    """What is counted as it happens, in a registry of its own; a ``BatchObserver``.

    Where a process ``recognises`` nothing, there is nothing of it but memory and processor time.
    """

    def __init__(self, *, recognises: bool = True) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        registry = self.registry if recognises else None
        self.batch = Histogram(
            "greffier_batch_windows",
            "Windows recognised together.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.queue = Histogram(
            "greffier_queue_seconds",
            "How long a window waited for the recogniser.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.recognition = Histogram(
            "greffier_recognition_seconds", "How long a batch took to recognise.", buckets=_SECONDS, registry=registry
        )
        self.failures = Counter("greffier_batch_failures", "Batches that the recogniser failed on.", registry=registry)

        self.captions = Counter("greffier_captions", "Captions that were sent.", ["kind"], registry=registry)
        self.lag = Histogram(
            "greffier_caption_lag_seconds",
            "Sound that was heard and not yet recognised when a caption was made.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.commit = Histogram(
            "greffier_commit_latency_seconds",
            "From the end of a word to the caption in which it no longer changes.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.heard = 0
        self.elsewhere: Callable[[], int] = lambda: 0
        """Where else somebody speaks than in meetings."""
        self._failing = 0
        self._watches: WeakSet[CaptionWatch] = WeakSet()

    def watch(self) -> CaptionWatch:
        """For the events of one more meeting."""
        watch = CaptionWatch(self)
        self._watches.add(watch)
        return watch

    @property
    def talking(self) -> int:
        """Tracks on which somebody speaks, or did a moment ago."""
        return sum(watch.open for watch in self._watches) + self.elsewhere()

    @property
    def engine_works(self) -> bool:
        """Whether one of the last few batches was recognised; the engine is loaded before the server listens."""
        return self._failing < _MOST_FAILING

    def batch_heard(self, waited: Sequence[float], seconds: float) -> None:
        self._failing = 0
        self.heard += 1
        self.batch.observe(len(waited))
        for wait in waited:
            self.queue.observe(wait)
        self.recognition.observe(seconds)

    def batch_failed(self) -> None:
        self._failing += 1
        self.failures.inc()


@router.get(
    "/metrics",
    dependencies=[needs(Need.METRICS)],
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"description": "All of them.", "content": {"text/plain": {"example": "greffier_sessions 2.0\n"}}}},
)
async def metrics(request: Request) -> Response:
    vitals: Vitals = request.app.state.vitals
    await vitals.look()
    return Response(generate_latest(vitals), media_type=CONTENT_TYPE_LATEST)
