"""What is known of a meeting when a session of it starts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.domain import Caption, Meeting, Participant, ParticipantId, Pause


@dataclass(frozen=True, slots=True)
class Past:
    """``first`` is the first number of its feed; ``cut`` says that the session before was not ended in order."""

    first: int
    finals: Sequence[Caption] = ()
    participants: Sequence[Participant] = ()
    pauses: Sequence[Pause] = ()
    languages: Mapping[ParticipantId, tuple[str, ...]] = field(default_factory=dict)
    cut: bool = False

    def clock(self, meeting: Meeting, wall: Callable[[], float], steady: Callable[[], float]) -> Callable[[], float]:
        """Meeting time, steady from here on, and never before what the meeting holds, should ``wall`` be set back."""
        known = [final.words[-1].end for final in self.finals if final.words]
        known += [pause.end or pause.start for pause in self.pauses]
        offset = max([0.0, wall() - meeting.created_at, *known]) - steady()
        return lambda: offset + steady()
