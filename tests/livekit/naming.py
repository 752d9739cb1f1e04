"""The rule by which La Suite Meet's summary names speakers: each is the participant who spoke most while they did."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

Spans = Sequence[tuple[float, float]]
ENOUGH = 0.5
"""The share of what a speaker said during which the participant was heard."""


def spoken(metadata: dict[str, Any], begins: float, ends: float) -> dict[str, list[tuple[float, float]]]:
    """When each participant spoke, in seconds from the beginning of a recording that lasts from ``begins`` to ``ends``.

    Speech without an end lasts as long as the recording; an end without a start says nothing.
    """
    open_since: dict[str, float] = {}
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for event in metadata["events"]:
        who, at = event["participant_id"], datetime.fromisoformat(event["timestamp"]).timestamp() - begins
        if event["type"] == "speech_start":
            open_since[who] = max(at, 0.0)
        elif event["type"] == "speech_end" and who in open_since:
            spans[who].append((open_since.pop(who), max(at, 0.0)))
    for who, since in open_since.items():
        spans[who].append((since, ends - begins))
    return spans


def names(metadata: dict[str, Any], turns: dict[str, Spans], begins: float, ends: float) -> dict[str, str | None]:
    """The name of each speaker of ``turns``, or None; times are seconds from the beginning of the recording."""
    called = {each["participantId"]: each["name"] for each in metadata["participants"]}
    heard = spoken(metadata, begins, ends)
    found: dict[str, str | None] = {}
    for speaker, spans in turns.items():
        duration = sum(end - start for start, end in spans)
        shares = {who: _common(spans, theirs) / duration for who, theirs in heard.items()}
        best = max(shares, key=lambda who: shares[who], default=None)
        found[speaker] = called[best] if best is not None and shares[best] >= ENOUGH else None
    return found


def _common(some: Spans, others: Spans) -> float:
    return sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a in some for b in others)
