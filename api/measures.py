"""What is counted elsewhere in a process, read when Prometheus asks: each class is a collector of one part.

``docs/operations.md`` says what each of them means; a test holds it complete.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

from api.roles import Role

if TYPE_CHECKING:
    from api.house import House
    from pipeline.distributed.queues import QueueLength


class Measures(Protocol):
    """A collector, as prometheus-client calls it; called on the event loop."""

    def collect(self) -> Iterable[Metric]: ...


@dataclass(frozen=True, slots=True)
class ProcessMeasures:
    """Which process this is."""

    role: str
    version: str

    def collect(self) -> Iterator[Metric]:
        what = {"role": self.role, "version": self.version}
        yield InfoMetricFamily("greffier_process", "Which part of Greffier this is.", value=what)


@dataclass(frozen=True, slots=True)
class HouseMeasures:
    """Meetings, readers and rooms of a process that serves people."""

    house: "House"

    def collect(self) -> Iterator[Metric]:
        meetings = self.house.meetings.all()
        yield _gauge("greffier_sessions", "Meetings that this process has at hand.", len(meetings))
        readers = sum(each.feed.readers for each in meetings)
        yield _gauge("greffier_readers", "Connections that read captions.", readers)
        if self.house.role is not Role.API:
            yield _gauge("greffier_tracks", "Tracks that are published here.", sum(each.tracks for each in meetings))
            yield from self._rooms()

    def _rooms(self) -> Iterator[Metric]:
        rooms = GaugeMetricFamily(
            "greffier_sfu_rooms", "Rooms of SFUs that are captioned, or are to be.", labels=("provider", "state")
        )
        there = GaugeMetricFamily(
            "greffier_sfu_registered", "1 while the SFU would be heard if it asked for captions.", labels=("provider",)
        )
        for sfu in self.house.sfus:
            provider = sfu.rooms.gateway.provider
            there.add_metric((provider,), float(sfu.at_hand()))
            states = [room.state for room in sfu.rooms.all()]
            for state in sorted(set(states)):
                rooms.add_metric((provider, state), states.count(state))
        yield rooms
        yield there


class Worker(Protocol):
    """What a live worker tells of itself."""

    @property
    def talkers_held(self) -> int: ...
    @property
    def talkers_possible(self) -> int: ...
    @property
    def meetings_held(self) -> int: ...
    @property
    def load(self) -> float: ...
    @property
    def lag(self) -> float: ...
    @property
    def draining(self) -> bool: ...
    @property
    def failovers(self) -> int: ...
    @property
    def watchdog_resets(self) -> int: ...
    @property
    def moved(self) -> int: ...
    @property
    def superseded(self) -> int: ...


@dataclass(frozen=True, slots=True)
class WorkerMeasures:
    """The meetings that a worker holds, and what befell it."""

    worker: Worker

    def collect(self) -> Iterator[Metric]:
        worker = self.worker
        yield _gauge("greffier_sessions", "Meetings that this process has at hand.", worker.meetings_held)
        yield _gauge("greffier_lag_seconds", "How long the oldest speech waits for its words.", worker.lag)
        yield _gauge("greffier_draining", "1 while it hands its meetings over.", float(worker.draining))
        yield _counter("greffier_failovers", "Meetings taken that another worker had captioned.", worker.failovers)
        yield _counter(
            "greffier_watchdog_resets", "Tracks with speech but no words that were begun anew.", worker.watchdog_resets
        )
        yield _counter(
            "greffier_watchdog_moves", "Meetings that went to another worker for want of words.", worker.moved
        )
        yield _counter("greffier_superseded", "Meetings that another worker had taken meanwhile.", worker.superseded)
        yield from load_measures(worker.talkers_held, worker.talkers_possible, worker.load)


def load_measures(held: int, possible: int, load: float) -> Iterator[Metric]:
    """What an autoscaler follows."""
    yield _gauge("greffier_talkers_held", "Talkers whom this process makes room for.", held)
    yield _gauge("greffier_talkers_possible", "Talkers whom it can caption at once.", possible)
    yield _gauge("greffier_load", "The first over the second: 1 is full.", load)


@dataclass(frozen=True, slots=True)
class RecogniserMeasures:
    """The same of a process that captions its own meetings; ``talking`` counts tracks on which somebody speaks."""

    talking: Callable[[], int]
    possible: int

    def collect(self) -> Iterator[Metric]:
        talking = self.talking()
        yield _gauge("greffier_talkers", "Tracks on which somebody speaks.", talking)
        yield from load_measures(talking, self.possible, talking / self.possible)


class Channels(Protocol):
    """Those who come for the recogniser alone."""

    @property
    def most(self) -> int: ...
    @property
    def refused(self) -> int: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ChannelMeasures:
    channels: Channels

    def collect(self) -> Iterator[Metric]:
        channels = self.channels
        yield _gauge("greffier_channels", "Connections in the dialect of moshi-server.", len(channels))
        yield _gauge("greffier_channels_possible", "How many there may be at once.", channels.most)
        yield _counter("greffier_channels_refused", "Those that found no free channel.", channels.refused)


class Kyutai(Protocol):
    """A moshi-server, as this process knows it."""

    @property
    def name(self) -> str: ...
    @property
    def slots(self) -> int: ...
    @property
    def used(self) -> int: ...
    @property
    def healthy(self) -> bool: ...
    @property
    def refused(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def lost(self) -> int: ...
    @property
    def rotated(self) -> int: ...


class KyutaiServers(Protocol):
    @property
    def servers(self) -> Sequence[Kyutai]: ...
    @property
    def fallbacks(self) -> int: ...


@dataclass(frozen=True, slots=True)
class KyutaiMeasures:
    """The servers that recognise French and English, by ``server``; nothing where there are none."""

    kyutai: KyutaiServers | None

    def collect(self) -> Iterator[Metric]:
        servers = () if self.kyutai is None else self.kyutai.servers
        gauges = (
            ("healthy", "1 while talkers are sent there.", [float(server.healthy) for server in servers]),
            ("slots", "How many this process may use.", [server.slots for server in servers]),
            ("slots_used", "Slots in use.", [server.used for server in servers]),
        )
        counters = (
            ("refused", "Answers that no channel is free.", [server.refused for server in servers]),
            ("failures", "Connections that were not made, or hung.", [server.failed for server in servers]),
            ("lost", "Streams that broke while somebody spoke.", [server.lost for server in servers]),
            ("rotations", "Connections that a new one took the place of.", [server.rotated for server in servers]),
        )
        for kind, measured in ((GaugeMetricFamily, gauges), (CounterMetricFamily, counters)):
            for name, meaning, values in measured:
                family = kind(f"greffier_kyutai_{name}", meaning, labels=("server",))
                for server, value in zip(servers, values, strict=True):
                    family.add_metric((server.name,), value)
                yield family
        fallbacks = 0 if self.kyutai is None else self.kyutai.fallbacks
        yield _counter("greffier_kyutai_fallbacks", "Utterances that Whisper recognised in their place.", fallbacks)


class Outlets(Protocol):
    """What a gateway sent to workers, in seconds of sound; counted since the process began but for what is kept."""

    @property
    def seconds_sent(self) -> float: ...
    @property
    def seconds_kept(self) -> float: ...
    @property
    def seconds_lost(self) -> float: ...


@dataclass(frozen=True, slots=True)
class OutletMeasures:
    outlets: Outlets

    def collect(self) -> Iterator[Metric]:
        outlets = self.outlets
        yield _counter("greffier_audio_sent_seconds", "Speech that was sent to workers.", outlets.seconds_sent)
        yield _gauge(
            "greffier_audio_kept_seconds", "Speech kept until a worker needs it no more.", outlets.seconds_kept
        )
        yield _counter("greffier_audio_lost_seconds", "Speech dropped because too much was kept.", outlets.seconds_lost)


@dataclass(frozen=True, slots=True)
class BusMeasures:
    """Redis and its queues; ``queues`` is what was found when it was last asked, nothing while it cannot be."""

    reachable: Callable[[], bool]
    queues: Callable[[], "Mapping[str, QueueLength]"]

    def collect(self) -> Iterator[Metric]:
        yield _gauge("greffier_redis_reachable", "1 while Redis answers.", float(self.reachable()))
        waiting = GaugeMetricFamily(
            "greffier_jobs_waiting", "Offers of meetings (live) and recordings (batch) not yet done.", labels=("queue",)
        )
        dead = GaugeMetricFamily("greffier_jobs_dead", "Those that were given up lately.", labels=("queue",))
        for name, length in self.queues().items():
            waiting.add_metric((name,), length.waiting)
            dead.add_metric((name,), length.dead)
        yield waiting
        yield dead


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(name, meaning, value=value)
