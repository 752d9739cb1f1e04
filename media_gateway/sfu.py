"""What an SFU's adapter gives and takes, in a room: who is there, what they publish, and captions to show there."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from pipeline.domain import Participant, ParticipantId, Track
from pipeline.export.event import Event
from pipeline.ports import AudioSource


class Parting(Enum):
    """Why Greffier is no longer in a room."""

    EMPTY = "empty"
    """Nobody is left, or the room was closed: the meeting is over."""
    EVICTED = "evicted"
    """Somebody removed it: it does not come back until it is asked to."""
    ENCRYPTED = "encrypted"
    """Its audio is end-to-end encrypted: only participants can hear it. Notices are shown until it is left."""
    LOST = "lost"
    """The connection failed: it tries again."""
    LEFT = "left"
    """It was told to leave."""


class TrackTap(Protocol):
    """One published microphone, already subscribed."""

    @property
    def id(self) -> str:
        """What the SFU calls the track."""

    def source(self, track: Track, now: Callable[[], float], listening: Callable[[], bool]) -> AudioSource:
        """Its sound as ``track``, in meeting time ``now``; ends when it is unpublished, its participant leaves or the
        room is left. May be called again, when a session of the meeting takes the place of another; the source given
        before then ends. ``listening``: while False, sound need not be decoded."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A participant is there; ``languages`` are those it declares to speak. Told for those already there, too."""

    participant: Participant
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """A participant has another name or other languages; both as they are now."""

    participant: Participant
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Departed:
    participant: ParticipantId


@dataclass(frozen=True, slots=True)
class Published:
    """A microphone of a participant that has arrived; the end of its sources says that it is gone."""

    participant: ParticipantId
    tap: TrackTap


@dataclass(frozen=True, slots=True)
class Renewed:
    """The connection of this stay was lost, ``since`` seconds ago as far as was noticed, and stands again.

    What was shown meanwhile, or shortly before, may not have arrived. Others may come back later, told as ever.
    """

    since: float


@dataclass(frozen=True, slots=True)
class Parted:
    """The last event of a room."""

    why: Parting


RoomEvent = Arrived | Changed | Departed | Published | Renewed | Parted


class SfuRoom(Protocol):
    """One stay in one room."""

    def events(self) -> AsyncIterator[RoomEvent]:
        """May be called once; the last event is ``Parted``, and nothing is raised."""

    async def show(self, event: Event) -> None:
        """Shows a ``caption``, ``voices`` or ``notice`` event of the meeting's feed, of others nothing; returns when it
        is on its way. A caption is the whole state of its utterance; the same one may come again, and what is known
        of its voices before it. Raises ``GatewayFailed`` when it could not be sent, after which it may be shown again.
        """

    async def leave(self) -> None:
        """``events`` then ends with ``Parted(LEFT)``; does nothing the second time."""


class SfuGateway(Protocol):
    """One SFU."""

    @property
    def provider(self) -> str:
        """``livekit`` or ``janus``."""

    async def join(self, room: str) -> SfuRoom:
        """Raises ``NotFound`` for a room that is not there, ``GatewayFailed`` when it cannot be joined."""
