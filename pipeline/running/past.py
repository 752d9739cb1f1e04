"""What is known of a meeting when a session of it starts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.domain import Caption, Meeting, Participant, ParticipantId, Pause, Presence, Track, VoiceRun
from pipeline.speakers import KnownVoice


@dataclass(frozen=True, slots=True)
class Resumed:
    """A track that another session captioned, and how far it came.

    All its ``finals`` in the order of their words; the utterance that is ``open``, in the newer of what was shown and
    what was kept; those finals that are ``unrecorded``, without record text.
    """

    track: Track
    finals: Sequence[Caption] = ()
    open: Caption | None = None
    unrecorded: Sequence[Caption] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """``first`` is the first number of its feed; ``cut`` says that the session before was not ended in order.

    ``voices`` share microphones, ``runs`` are the words they said, by utterance and in order. ``presences`` are those
    that last. ``newest`` is a meeting time that this session must not fall behind. With a
    ``fence``, the meeting was claimed: whatever this session writes is refused once another has claimed it.
    """

    first: int
    finals: Sequence[Caption] = ()
    participants: Sequence[Participant] = ()
    pauses: Sequence[Pause] = ()
    languages: Mapping[ParticipantId, tuple[str, ...]] = field(default_factory=dict)
    cut: bool = False
    resumed: Sequence[Resumed] = ()
    presences: Sequence[Presence] = ()
    voices: Sequence[KnownVoice] = ()
    runs: Sequence[VoiceRun] = ()
    newest: float = 0.0
    fence: int | None = None

    def clock(self, meeting: Meeting, wall: Callable[[], float], steady: Callable[[], float]) -> Callable[[], float]:
        """Meeting time, steady from here on, and never before what the meeting holds, should ``wall`` be set back."""
        shown = [each.open for each in self.resumed if each.open is not None]
        known = [caption.words[-1].end for caption in (*self.finals, *shown) if caption.words]
        known += [pause.end or pause.start for pause in self.pauses]
        offset = max([0.0, wall() - meeting.created_at, self.newest, *known]) - steady()
        return lambda: offset + steady()
