"""What the owner of a meeting is asked to do by those who read it and take part (``Control``)."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.domain import Meeting, ParticipantId, Pause
from pipeline.running import RunningMeeting

_MOST = 200


@dataclass(slots=True, eq=False)
class Wishes:
    """In the order in which they came, the newest 200; the oldest is dropped: the store has what lasts."""

    _waiting: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_MOST))
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, wish: dict[str, Any]) -> None:
        self._waiting.append(wish)
        self._arrived.set()

    async def next(self) -> dict[str, Any]:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    @staticmethod
    async def fulfil(wish: dict[str, Any], running: RunningMeeting) -> None:
        """What is not known is passed over: processes of two versions may share a meeting. Raises ``GreffierError``."""
        match wish:
            case {"do": "pause", **rest}:
                await running.pause(rest.get("at"))
            case {"do": "resume", **rest}:
                await running.resume(rest.get("at"))
            case {"do": "languages", "languages": languages, **rest}:
                participant = rest.get("participant")
                named = None if participant is None else ParticipantId(participant)
                await running.set_languages(tuple(languages), named)
            case {"do": "glossary", "terms": terms}:
                await running.set_glossary(tuple(terms))
            case {"do": "rename", "participant": participant, "name": name}:
                await running.rename(ParticipantId(participant), name)
            case {"do": "voices"}:
                await running.voices_changed()
            case {"do": "notice", "code": code}:
                await running.tell(code)
            case {"do": "end"}:
                await running.end()

    @staticmethod
    def missed(running: RunningMeeting, kept: Meeting, pauses: Sequence[Pause]) -> Iterator[dict[str, Any]]:
        """What was wished, as the store has it, and is not yet so."""
        yield {"do": "voices"}
        paused = pauses[-1] if pauses and pauses[-1].end is None else None
        if kept.ended_at is not None:
            yield {"do": "end"}
        if kept.languages and kept.languages != running.meeting.languages:
            yield {"do": "languages", "languages": kept.languages}
        if kept.glossary != running.meeting.glossary:
            yield {"do": "glossary", "terms": kept.glossary}
        if paused is not None and not running.paused:
            yield {"do": "pause", "at": paused.start}
        if paused is None and running.paused:
            yield {"do": "resume", "at": pauses[-1].end if pauses else None}
