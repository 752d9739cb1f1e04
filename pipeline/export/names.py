"""The names under which participants appear; two people of one name stay two."""

from itertools import count

from pipeline.domain import Participant, ParticipantId, Transcript
from pipeline.export.characters import one_line

NOBODY = "?"


def speaker_names(transcript: Transcript, longest: int | None = None) -> dict[ParticipantId, str]:
    """A distinct one-line name for every participant: ``Anne``, ``Anne (2)`` in order of appearance.

    Order is that of ``transcript.participants``, then of segments, then of gaps; who has no name goes by the id.
    Names over ``longest`` characters are cut, before they are told apart, to end in an ellipsis.
    """
    names: dict[ParticipantId, str] = {}
    for participant in everybody(transcript):
        if participant.id not in names:
            names[participant.id] = _distinct(_cut(_own_name(participant), longest), set(names.values()))
    return names


def everybody(transcript: Transcript) -> list[Participant]:
    """Participants in order of appearance, each as often as it appears."""
    speaking = (segment.participant for segment in transcript.segments)
    missed = (gap.participant for gap in transcript.gaps)
    return [*transcript.participants, *speaking, *missed]


def _own_name(participant: Participant) -> str:
    return one_line(participant.name) or one_line(participant.id) or NOBODY


def _cut(name: str, longest: int | None) -> str:
    if longest is None or len(name) <= longest:
        return name
    return name[: longest - 1].rstrip() + "…"


def _distinct(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    return next(numbered for number in count(2) if (numbered := f"{name} ({number})") not in taken)
