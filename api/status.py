"""``greffier status``: which processes there are, what workers hold, who waits; whether somebody should see to it.

Reads what processes say of themselves (``Registry``), the leases of meetings, and the meetings that are open. Nothing
is changed.
"""

import argparse
import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from api.settings import Settings, for_many_processes
from pipeline.bus.redis import keys
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.leases import holders_of
from pipeline.bus.redis.registry import Registry
from pipeline.distributed.queues import QueueLength, queue_lengths
from pipeline.domain import Meeting
from pipeline.errors import BusFailed, GreffierError
from pipeline.store.database import existing_database
from pipeline.store.sql import SqlStore

_PATIENCE = 10.0
_OFFER_SECONDS = 3.0
"""An offer that is not taken for so long waits; one that has just been made does not."""
_MOST_SHOWN = 20
_ROLES = ("api", "gateway", "worker")

Facts = dict[str, Any]


class Captioning(Enum):
    """Somebody captions the meeting; nobody does, though somebody is there; nobody is there."""

    CAPTIONED = "captioned"
    WAITING = "waiting"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class OpenMeeting:
    """``worker`` is the process that captions it; ``seconds`` since it was created."""

    id: str
    state: Captioning
    worker: str | None
    seconds: float


@dataclass(slots=True)
class Status:
    """What was found; ``amiss`` has a sentence for each thing that somebody should see to."""

    redis: bool = False
    database: bool = False
    processes: list[Facts] = field(default_factory=list)
    meetings: list[OpenMeeting] = field(default_factory=list)
    queues: dict[str, QueueLength] = field(default_factory=dict)
    amiss: list[str] = field(default_factory=list)


def status(arguments: argparse.Namespace, settings: Settings) -> int:
    """1 where something is amiss. Raises ``InvalidSetting`` where the settings name no Redis or no PostgreSQL."""
    url = for_many_processes(settings, signs=False)
    found = asyncio.run(look(url, settings.database_url))
    print(as_json(found) if arguments.json else render(found))
    return 1 if found.amiss else 0


async def look(redis_url: str, database_url: str, offer_seconds: float = _OFFER_SECONDS) -> Status:
    found = Status()
    meetings = await _asked(found, "the database", lambda: _open_meetings(database_url))
    found.database = meetings is not None
    bus = await _asked(found, "Redis", lambda: RedisBus.open(redis_url, f"status-{secrets.token_hex(4)}"))
    if bus is None:
        return found
    try:
        found.redis = True
        found.processes = [_aged(facts, bus.wall()) for facts in await Registry.all(bus)]
        found.queues = await queue_lengths(bus)
        found.meetings = await _captioning(bus, meetings or [])
        if any(meeting.state is Captioning.WAITING for meeting in found.meetings):
            await asyncio.sleep(offer_seconds)
            found.meetings = await _captioning(bus, meetings or [])
    except BusFailed as failure:
        found.redis = False
        found.amiss.append(f"Redis went away: {failure}")
        return found
    finally:
        await bus.close()
    found.amiss.extend(_wants(found))
    return found


def render(found: Status) -> str:
    answers = {True: "answers", False: "does not answer"}
    waiting = "  ".join(f"{name} {length.waiting}" for name, length in found.queues.items())
    parts = [
        f"redis     {answers[found.redis]}\ndatabase  {answers[found.database]}\nqueues    {waiting or 'unknown'}",
        _table(
            ("PROCESS", "ROLE", "HOST", "VERSION", "UP", "LOAD", "MEETINGS", "TALKERS", "LAG"), _of_processes(found)
        ),
        _table(("MEETING", "STATE", "BY", "OPEN FOR"), _of_meetings(found)),
        "\n".join(found.amiss) if found.amiss else "all is well",
    ]
    return "\n\n".join(part for part in parts if part)


def as_json(found: Status) -> str:
    return json.dumps(asdict(found), indent=2, default=lambda value: value.value)


# --- looking ---------------------------------------------------------------------------------------------------


async def _asked(found: Status, who: str, ask: Callable[[], Awaitable[Any]]) -> Any:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await ask()
    except TimeoutError:
        found.amiss.append(f"{who} does not answer within {_PATIENCE:g} s")
    except GreffierError as error:
        found.amiss.append(f"{who} cannot be used: {error}")
    return None


async def _open_meetings(url: str) -> list[Meeting]:
    store = SqlStore(await asyncio.to_thread(existing_database, url))
    try:
        return await store.open_meetings()
    finally:
        await store.close()


async def _captioning(bus: RedisBus, meetings: Sequence[Meeting]) -> list[OpenMeeting]:
    held = await holders_of(bus, [meeting.id for meeting in meetings])
    there = await bus.ask([("EXISTS", keys.of_meeting(meeting.id, "wanted")) for meeting in meetings])
    states = {True: Captioning.WAITING, False: Captioning.EMPTY}
    return [
        OpenMeeting(
            meeting.id,
            Captioning.CAPTIONED if meeting.id in held else states[bool(wanted)],
            held[meeting.id].partition("/")[0] if meeting.id in held else None,
            round(bus.wall() - meeting.created_at, 1),
        )
        for meeting, wanted in zip(meetings, there, strict=True)
    ]


def _aged(facts: Facts, now: float) -> Facts:
    with suppress(KeyError, TypeError):
        return facts | {"seconds": round(now - facts["started_at"], 1)}
    return facts


def _wants(found: Status) -> list[str]:
    """What somebody should see to, where Redis answers."""
    roles = {facts.get("role") for facts in found.processes}
    wanting = [f"there is no {role}" for role in _ROLES if role not in roles]
    live = [facts for facts in found.processes if facts.get("queue") == "live"]
    if "worker" in roles and not any(_has_room(facts) for facts in live):
        wanting.append("no worker for live meetings has room")
    waiting = sum(meeting.state is Captioning.WAITING for meeting in found.meetings)
    if waiting:
        wanting.append(f"{waiting} {'meeting waits' if waiting == 1 else 'meetings wait'} for a worker")
    batch = found.queues.get("batch")
    if batch and batch.waiting and not any(facts.get("queue") == "batch" for facts in found.processes):
        wanting.append(f"recordings wait ({batch.waiting}), and there is no worker for them")
    return wanting


def _has_room(facts: Facts) -> bool:
    return not facts.get("draining") and facts.get("load", 1.0) < 1.0


# --- showing ---------------------------------------------------------------------------------------------------


def _of_processes(found: Status) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for facts in sorted(found.processes, key=lambda facts: (str(facts.get("role")), str(facts["process"]))):
        role = " ".join(str(facts[name]) for name in ("role", "queue") if name in facts)
        talkers = f"{facts['talkers_held']}/{facts['talkers_possible']}" if "talkers_held" in facts else ""
        rows.append(
            (
                str(facts["process"]),
                f"{role}, draining" if facts.get("draining") else role,
                str(facts.get("host", "")),
                str(facts.get("version", "")),
                _long(facts.get("seconds")),
                f"{facts['load']:.0%}" if "load" in facts else "",
                str(facts.get("meetings", "")),
                talkers,
                f"{facts['lag']:.1f} s" if "lag" in facts else "",
            )
        )
    return rows


def _of_meetings(found: Status) -> list[tuple[str, ...]]:
    """Those that wait first, then the oldest."""
    order = [Captioning.WAITING, Captioning.CAPTIONED, Captioning.EMPTY]
    meetings = sorted(found.meetings, key=lambda meeting: (order.index(meeting.state), -meeting.seconds))
    rows: list[tuple[str, ...]] = [
        (each.id, each.state.value, each.worker or "", _long(each.seconds)) for each in meetings[:_MOST_SHOWN]
    ]
    if len(meetings) > _MOST_SHOWN:
        rows.append((f"and {len(meetings) - _MOST_SHOWN} more (--json)", "", "", ""))
    return rows


def _long(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Nothing where there is no row."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    return "\n".join(line.rstrip() for line in lines) if rows else ""
