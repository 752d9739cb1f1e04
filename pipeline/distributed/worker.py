"""A worker: takes meetings that are offered, as many as it has room for, and hands them over when it ends.

How a process is made of it (``greffier worker --queues live``)::

    bus = await RedisBus.open(url, f"worker-{token}")
    offers = Offers(broker_at(url))
    worker = LiveWorker(bus, offers, equipment, talkers, empty_after=600.0, observe=metrics.watch)
    await worker.start()                     # takes offers from now on
    Registry.announce(bus, worker.facts)     # by the process, as in every role
    ...
    await worker.close()                     # SIGTERM: hands everything over; then offers.close(), bus.close()

``equipment`` is as in embedded mode; what of it belongs to one process alone (``new_bus``, ``new_feed``,
``new_keeper``, ``wall``) is replaced here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.export.event import Event
from pipeline.running import Equipment


@dataclass(slots=True)
class Counts:
    """Since the process began: meetings taken that had been captioned before, tracks whose engine state was reset,
    meetings handed over because it gave no words, those handed over in all, and those that another one had taken."""

    failovers: int = 0
    resets: int = 0
    moved: int = 0
    handed_over: int = 0
    superseded: int = 0


@dataclass(slots=True)
class LiveWorker:
    """``talkers`` is how many may talk at once; ``observe`` makes a watch for the events of one more meeting."""

    bus: object
    offers: object
    equipment: Equipment
    talkers: int
    empty_after: float = 600.0
    observe: Callable[[], Callable[[Event], None]] | None = None
    counts: Counts = field(default_factory=Counts)

    async def start(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        """No more offers are taken; every meeting is handed over, all at once. Again, it does nothing."""
        raise NotImplementedError

    @property
    def held(self) -> int:
        """Talkers held: those who speak now, at least one for each meeting in which somebody spoke within a minute."""
        raise NotImplementedError

    @property
    def load(self) -> float:
        """Talkers held over talkers possible: what an autoscaler follows."""
        return self.held / self.talkers

    @property
    def lag(self) -> float:
        """Seconds for which the speech that has waited longest has been waiting for recognition."""
        raise NotImplementedError

    def facts(self) -> dict[str, object]:
        """For the registry: talkers_held, talkers_possible, load, meetings, lag and the counts."""
        raise NotImplementedError
