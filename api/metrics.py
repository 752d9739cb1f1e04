"""What the server counts and measures, for Prometheus."""

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from api.access import Need, needs
from api.house import House, house_of

router = APIRouter(tags=["health"])

_MOST_FAILING = 3
_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


class Metrics:
    """All metrics of one server, in a registry of its own; a ``BatchObserver``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.sessions = Gauge("greffier_sessions", "Meetings that run.", registry=registry)
        self.tracks = Gauge("greffier_tracks", "Tracks that are published.", registry=registry)
        self.talkers = Gauge("greffier_talkers", "Tracks on which somebody speaks.", registry=registry)
        self.readers = Gauge("greffier_readers", "Connections that read captions.", registry=registry)
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

        self._failing = 0

    @property
    def engine_works(self) -> bool:
        """Whether one of the last few batches was recognised; the engine is loaded before the server listens."""
        return self._failing < _MOST_FAILING

    def batch_heard(self, waited: Sequence[float], seconds: float) -> None:
        self._failing = 0
        self.batch.observe(len(waited))
        for wait in waited:
            self.queue.observe(wait)
        self.recognition.observe(seconds)

    def batch_failed(self) -> None:
        self._failing += 1
        self.failures.inc()

    def look(self, house: House) -> None:
        """Takes what is counted elsewhere."""
        running = house.meetings.all()
        self.sessions.set(len(running))
        self.tracks.set(sum(meeting.tracks for meeting in running))
        self.readers.set(sum(meeting.feed.readers for meeting in running))


@router.get("/metrics", dependencies=[needs(Need.METRICS)], summary="Metrics for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    house = house_of(request)
    house.metrics.look(house)
    return Response(generate_latest(house.metrics.registry), media_type=CONTENT_TYPE_LATEST)
