"""The minutes of a meeting as JSON and as Markdown.

JSON::

    {
      "schema": "greffier/minutes",
      "version": 1,
      "meeting": str,
      "title": str,
      "start": s, "end": s,
      "participants": [{
        "id": str, "name": str, "label": str,
        "present": [[s, s]], "attendance": seconds | null,
        "spoke": [[s, s]], "speaking": seconds, "share": number, "turns": number
      }]
    }

Times are seconds of meeting time, to the millisecond. ``start`` and ``end`` are the first and the last moment that is
known of anybody. ``label`` is the name by which all formats tell participants apart; voices of a shared microphone
stand beside its participant. ``attendance`` is null where nobody noted who was there. Where two speak at once both
count; ``share`` is of what all spoke, in [0, 1]. Within a version keys are only added.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pipeline.domain import Transcript
from pipeline.export.characters import one_line
from pipeline.export.clock import short
from pipeline.export.event import seconds
from pipeline.export.json import without_surrogates
from pipeline.export.markdown import escaped
from pipeline.export.names import speaker_names
from pipeline.record.minutes import Attendee, Minutes, Span

SCHEMA = "greffier/minutes"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Labels:
    """What the minutes say in one language."""

    minutes: str
    participant: str
    attendance: str
    speaking: str
    turns: str
    timeline: str
    silent: str
    spoke: str
    """With the holes ``name``, ``time`` and ``share``."""


LABELS: Mapping[str, Labels] = MappingProxyType(
    {
        "fr": Labels(
            minutes="Compte rendu",
            participant="Participant",
            attendance="Présence",
            speaking="Temps de parole",
            turns="Interventions",
            timeline="Qui a parlé quand",
            silent="Personne n’a parlé.",
            spoke="{name} : {time} ({share} %)",
        ),
        "en": Labels(
            minutes="Minutes",
            participant="Participant",
            attendance="Attendance",
            speaking="Speaking time",
            turns="Turns",
            timeline="Who spoke when",
            silent="Nobody spoke.",
            spoke="{name}: {time} ({share}%)",
        ),
    }
)
"""By language."""

NOT_NOTED = "–"


def minutes_json(minutes: Minutes) -> str:
    """``minutes`` as a JSON document on one line."""
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "meeting": minutes.meeting,
        "title": minutes.title,
        "start": seconds(minutes.start),
        "end": seconds(minutes.end),
        "participants": [_fields(minutes, each, name) for each, name in named(minutes)],
    }
    return without_surrogates(json.dumps(document, ensure_ascii=False, allow_nan=False)) + "\n"


def minutes_markdown(minutes: Minutes, labels: Labels) -> str:
    """A heading, a table with a row for each attendee, and when each spoke."""
    title = one_line(minutes.title)
    blocks = [f"# {escaped(title)}", f"## {labels.minutes}"] if title else [f"# {labels.minutes}"]
    heads = (labels.participant, labels.attendance, labels.speaking, labels.turns)
    rows = ["| " + " | ".join(heads) + " |", "|---|---|---|---|"]
    rows += [_row(minutes, each, name) for each, name in named(minutes)]
    blocks += ["\n".join(rows)] if minutes.attendees else []
    spoke = [_when(each, name) for each, name in named(minutes) if each.spoke]
    blocks += [f"## {labels.timeline}", "\n".join(spoke) or labels.silent]
    return "\n\n".join(blocks) + "\n"


def named(minutes: Minutes) -> list[tuple[Attendee, str]]:
    """Every attendee with a name of its own: the one that the transcript has for it, where it is there."""
    people = tuple(attendee.participant for attendee in minutes.attendees)
    names = speaker_names(Transcript(minutes.meeting, (), participants=people))
    return [(attendee, names[attendee.participant.id]) for attendee in minutes.attendees]


def percent(minutes: Minutes, attendee: Attendee) -> int:
    return round(100 * minutes.share(attendee))


def _fields(minutes: Minutes, attendee: Attendee, label: str) -> dict[str, object]:
    return {
        "id": attendee.participant.id,
        "name": attendee.participant.name,
        "label": label,
        "present": _spans(attendee.present),
        "attendance": seconds(attendee.attendance) if attendee.present else None,
        "spoke": _spans(attendee.spoke),
        "speaking": seconds(attendee.speaking),
        "share": round(minutes.share(attendee), 4),
        "turns": attendee.turns,
    }


def _spans(spans: tuple[Span, ...]) -> list[list[float]]:
    return [[seconds(start), seconds(end)] for start, end in spans]


def _row(minutes: Minutes, attendee: Attendee, name: str) -> str:
    there = ", ".join(f"{short(start)}–{short(end)}" for start, end in attendee.present)
    present = f"{short(attendee.attendance)} ({there})" if there else NOT_NOTED
    spoke = f"{short(attendee.speaking)} ({percent(minutes, attendee)} %)"
    return f"| {escaped(name)} | {present} | {spoke} | {attendee.turns} |"


def _when(attendee: Attendee, name: str) -> str:
    return f"- **{escaped(name)}**: " + ", ".join(f"{short(start)}–{short(end)}" for start, end in attendee.spoke)
