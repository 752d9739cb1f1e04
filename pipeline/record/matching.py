"""Which participant each voice of a mixed recording is, by when every participant is known to have spoken.

The rule is that of La Suite Meet's summary service (its src/summary/summary/core/user_assign.py), so that both name the
speakers of one recording alike.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from pipeline.domain import VoiceSpan

ENOUGH = 0.5
"""The share of what a voice says during which its participant must have been heard."""

Span = tuple[float, float]
"""From and until, in seconds of the recording."""


@dataclass(frozen=True, slots=True)
class ParticipantSpeech:
    """When a participant spoke; several people may have, at one microphone."""

    name: str
    spans: tuple[Span, ...]


def names_of(exclusive: Iterable[VoiceSpan], people: Sequence[ParticipantSpeech]) -> Mapping[int, str]:
    """The name of each voice that is one of ``people``: of whoever spoke most while it did, the first where two did.

    Voices that come to one name are told apart as Visio does, by ``(SPEAKER_xx)``, which counts from 00.
    """
    timelines = [(person.name, _apart(person.spans)) for person in people]
    found = {}
    for voice, spans in groupby(sorted(exclusive, key=_voice), key=_voice):
        spoken = _apart((span.start, span.end) for span in spans)
        shares = [(_shared(spoken, heard), name) for name, heard in timelines]
        shared, name = max(shares, key=lambda share: share[0], default=(0.0, ""))
        if shared > 0.0 and shared >= ENOUGH * sum(end - start for start, end in spoken):
            found[voice] = name
    times = Counter(found.values())
    return {voice: f"{name} (SPEAKER_{voice - 1:02d})" if times[name] > 1 else name for voice, name in found.items()}


def _voice(span: VoiceSpan) -> int:
    return span.voice


def _apart(spans: Iterable[Span]) -> list[Span]:
    """In order, those that touch joined."""
    apart: list[Span] = []
    for start, end in sorted(spans):
        if apart and start <= apart[-1][1]:
            apart[-1] = apart[-1][0], max(apart[-1][1], end)
        else:
            apart.append((start, end))
    return apart


def _shared(some: Sequence[Span], others: Sequence[Span]) -> float:
    """Seconds that are in both; each is in order and apart."""
    seconds, mine, theirs = 0.0, 0, 0
    while mine < len(some) and theirs < len(others):
        (start, end), (other_start, other_end) = some[mine], others[theirs]
        seconds += max(0.0, min(end, other_end) - max(start, other_start))
        if end <= other_end:
            mine += 1
        else:
            theirs += 1
    return seconds
