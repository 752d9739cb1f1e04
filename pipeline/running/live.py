"""What readers, gateways and the API need of meetings while they go on, wherever those are captioned."""

from collections.abc import Sequence
from typing import Protocol

from pipeline.domain import Meeting, MeetingId, Participant, ParticipantId, Track
from pipeline.export.event import Event
from pipeline.ports import AudioSource, EventFeed, KeptMeetings


class LiveMeeting(Protocol):
    """One meeting as one session of it goes on: ``RunningMeeting`` where it is captioned by this process."""

    # --- what it is ---------------------------------------------------------------------------------------

    @property
    def meeting(self) -> Meeting: ...

    @property
    def feed(self) -> EventFeed: ...

    def now(self) -> float:
        """Meeting time: seconds since the meeting was created, never going back."""

    async def until(self, at: float) -> None:
        """Returns once meeting time ``at`` has come."""

    @property
    def listening(self) -> bool:
        """False while paused and once it is over: sources need not even decode."""

    @property
    def paused(self) -> bool: ...

    @property
    def over(self) -> bool:
        """Whether this takes no more sound: the meeting is over, or ``LiveMeetings.of`` gives another one."""

    @property
    def tracks(self) -> int:
        """How many tracks this process publishes now."""

    def snapshot(self, after: int | None = None) -> Event:
        """What a reader who comes in needs first; its captions are those newer than ``after``, oldest first."""

    # --- who is there -------------------------------------------------------------------------------------

    async def enter(self, participant: Participant, languages: tuple[str, ...] = ()) -> None:
        """``participant`` is there, whether it ever publishes or not, until it leaves; raises as ``join`` does."""

    async def leave(self, participant: ParticipantId) -> None:
        """Takes one ``enter`` back. Does nothing for who never entered."""

    async def join(self, participant: Participant, languages: tuple[str, ...] = ()) -> Track:
        """A new track of ``participant``, under an id that this meeting has never had.

        Raises ``InvalidInput`` for a language that the model does not know or when the meeting is over.
        """

    async def publish(self, source: AudioSource, track: Track) -> None:
        """Takes the sound of ``source`` as ``track`` until it ends, fails, is cancelled or the meeting is over.

        Its participant is there for so long. Raises ``InvalidInput`` when the meeting is over already.
        """

    async def rename(self, participant: ParticipantId, name: str) -> None:
        """The name in the store and in events from now on. Raises ``NotFound``."""

    # --- what may change while it goes on -----------------------------------------------------------------

    async def pause(self) -> None:
        """Nobody is listened to until ``resume``; again, it does nothing."""

    async def resume(self) -> None: ...

    async def set_glossary(self, terms: tuple[str, ...]) -> None:
        """The terms from now on; the caller keeps them in the store."""

    async def set_languages(self, languages: tuple[str, ...], participant: ParticipantId | None = None) -> None:
        """The languages from now on, of the meeting or of one participant; the caller keeps them in the store.

        Raises ``InvalidInput`` for one that the model does not know, or for a meeting without any.
        """

    async def voices_changed(self) -> None:
        """What the store says of shared microphones, their voices and who said what, counts from now on."""

    async def tell(self, code: str) -> None:
        """Gives all readers a notice."""


class LiveMeetings(Protocol):
    """The meetings that go on: ``RunningMeetings`` where this process captions them itself."""

    @property
    def store(self) -> KeptMeetings: ...

    def check_languages(self, languages: tuple[str, ...]) -> None:
        """Raises ``InvalidInput`` for one that the model does not know."""

    async def start(self) -> None: ...

    def running(self, meeting: MeetingId) -> LiveMeeting | None:
        """The meeting where this process has it at hand."""

    def all(self) -> Sequence[LiveMeeting]:
        """Those that this process has at hand."""

    async def find(self, meeting: MeetingId) -> LiveMeeting | None:
        """The meeting where it may go on, here or elsewhere; starts nothing, and gives None for one that is over."""

    async def of(self, meeting: MeetingId) -> LiveMeeting:
        """The meeting, captioned from now on. Raises ``NotFound``; ``InvalidInput`` when it is over."""

    async def paused(self, meetings: Sequence[Meeting]) -> set[MeetingId]:
        """Those of ``meetings`` that are paused."""

    async def end(self, meeting: MeetingId) -> None:
        """Ends it, whether it runs or not. Raises ``NotFound``."""

    async def delete(self, meeting: MeetingId) -> None:
        """Removes everything of it; who reads it is told that it ended. Raises ``NotFound``."""

    async def close(self) -> None:
        """The process ends; meetings do not."""
