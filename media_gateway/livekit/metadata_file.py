"""The metadata of one recording: who was there, when they spoke, what they wrote; the file that names its speakers.

La Suite Meet's summary reads it, as Meet's own collector writes it (its src/agents/metadata_collector.py)::

    {"events": [{"participant_id": "…", "type": "speech_start", "timestamp": "2026-03-17T15:30:33.250000+00:00",
                 "data": null}, …],
     "participants": [{"participantId": "…", "name": "…"}, …]}

Events are in order of time; ``data`` holds the text of a chat message, and is null in all others. Participants are
called by their LiveKit identity. Pure: times are given, in seconds since 1970.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from pipeline.errors import InvalidInput

MOST_EVENTS = 200_000
"""Of one recording; after them only the ends of what has begun are noted. Fifty people who talk all the time need a day
for so many."""
MOST_TEXT, MOST_TEXT_EACH = 10_000_000, 1_000_000
"""Characters of chat of one recording, and of one participant; messages beyond them are not noted."""
MOST_MESSAGES, MOST_MESSAGES_EACH = 20_000, 2_000
"""Likewise, so that whoever writes without end leaves room for what others write and say."""


class EventKind(Enum):
    CONNECTED = "participant_connected"
    DISCONNECTED = "participant_disconnected"
    SPEECH_START = "speech_start"
    SPEECH_END = "speech_end"
    CHAT = "chat_received"


@dataclass(frozen=True, slots=True)
class MetadataEvent:
    """``text`` is that of a chat message."""

    participant: str
    kind: EventKind
    at: float
    text: str | None = None


class RecordingMetadata:
    """What is known of one recording so far. Every state of it can be written, and gone on with after it was read."""

    def __init__(self, events: Iterable[MetadataEvent] = (), names: Mapping[str, str] | None = None) -> None:
        self._events: list[MetadataEvent] = []
        self._names = dict(names or {})
        self._present: set[str] = set()
        self._left: dict[str, float] = {}
        self._speaking: dict[str, float] = {}
        self._chat: dict[str | None, tuple[int, int]] = {}  # messages and characters; None: of all together
        for event in events:
            self._note(event)

    @property
    def events(self) -> list[MetadataEvent]:
        """In order of time."""
        return sorted(self._events, key=lambda event: event.at)

    @property
    def names(self) -> dict[str, str]:
        """The newest name of everybody who was ever there, by identity."""
        return dict(self._names)

    @property
    def present(self) -> frozenset[str]:
        """Who is there now."""
        return frozenset(self._present)

    @property
    def speaking(self) -> frozenset[str]:
        return frozenset(self._speaking)

    @property
    def newest(self) -> float | None:
        """The latest time of all that is noted."""
        return max((event.at for event in self._events), default=None)

    def copy(self) -> "RecordingMetadata":
        """As it stands, for another thread to write."""
        copy = RecordingMetadata(names=self._names)
        copy._events, copy._speaking = list(self._events), dict(self._speaking)
        copy._present, copy._left, copy._chat = set(self._present), dict(self._left), dict(self._chat)
        return copy

    def follow(self, earlier: "RecordingMetadata") -> None:
        """Puts what an earlier process noted in front. Whoever was there then, and was not seen since, has left."""
        whole, mine = earlier.copy(), self.events
        gone = earlier.present - {event.participant for event in mine}
        for event in mine:
            whole._repeat(event, self._names.get(event.participant, ""))
        if mine and earlier.newest is not None:
            for participant in gone:
                whole.disconnected(participant, earlier.newest)
        whole._names |= self._names
        self._events, self._names, self._speaking = whole._events, whole._names, whole._speaking
        self._present, self._left, self._chat = whole._present, whole._left, whole._chat

    def connected(self, participant: str, name: str, at: float) -> None:
        """Also when told again of somebody who is there. Whoever had left comes back after that."""
        if participant in self._names or len(self._events) < MOST_EVENTS:
            self._names[participant] = name
        if participant not in self._present:
            self._note(MetadataEvent(participant, EventKind.CONNECTED, max(at, self._left.get(participant, at))))

    def renamed(self, participant: str, name: str) -> None:
        """The file knows one name of each participant, the last."""
        if participant in self._names:
            self._names[participant] = name

    def disconnected(self, participant: str, at: float) -> None:
        """Ends what they say, too; does nothing when they are not there."""
        self.speech_ended(participant, at)
        if participant in self._present:
            self._note(MetadataEvent(participant, EventKind.DISCONNECTED, at))

    def speech_started(self, participant: str, at: float) -> None:
        if participant not in self._speaking:
            self._note(MetadataEvent(participant, EventKind.SPEECH_START, at))

    def speech_ended(self, participant: str, at: float) -> None:
        """Does nothing when no speech of theirs is under way: whoever reads the file pairs starts with ends."""
        if participant in self._speaking:
            self._note(MetadataEvent(participant, EventKind.SPEECH_END, max(at, self._speaking[participant])))

    def wrote(self, participant: str, text: str, at: float) -> None:
        there_is_room = self._takes(None, text, MOST_MESSAGES, MOST_TEXT)
        if there_is_room and self._takes(participant, text, MOST_MESSAGES_EACH, MOST_TEXT_EACH):
            self._note(MetadataEvent(participant, EventKind.CHAT, at, text))

    def written(self, at: float) -> bytes:
        """The file as it stands at ``at``: speech under way ends there, so that it counts if nothing follows."""
        cut = [
            MetadataEvent(participant, EventKind.SPEECH_END, max(at, start))
            for participant, start in self._speaking.items()
        ]
        events = sorted([*self._events, *cut], key=lambda event: event.at)
        content = {
            "events": [_shape(event) for event in events],
            "participants": [{"participantId": identity, "name": name} for identity, name in self._names.items()],
        }
        return json.dumps(content, indent=2, ensure_ascii=False).encode()

    def _repeat(self, event: MetadataEvent, name: str) -> None:
        """Notes what another one has noted."""
        match event.kind:
            case EventKind.CONNECTED:
                self.connected(event.participant, name, event.at)
            case EventKind.DISCONNECTED:
                self.disconnected(event.participant, event.at)
            case EventKind.SPEECH_START:
                self.speech_started(event.participant, event.at)
            case EventKind.SPEECH_END:
                self.speech_ended(event.participant, event.at)
            case EventKind.CHAT:
                self.wrote(event.participant, event.text or "", event.at)

    def _takes(self, writer: str | None, text: str, most: int, most_text: int) -> bool:
        messages, characters = self._chat.get(writer, (0, 0))
        return messages < most and characters + len(text) <= most_text

    def _note(self, event: MetadataEvent) -> None:
        ends = event.kind in {EventKind.DISCONNECTED, EventKind.SPEECH_END}
        if len(self._events) >= MOST_EVENTS and not ends:
            return
        self._events.append(event)
        match event.kind:
            case EventKind.CONNECTED:
                self._present.add(event.participant)
            case EventKind.DISCONNECTED:
                self._present.discard(event.participant)
                self._left[event.participant] = event.at
            case EventKind.SPEECH_START:
                self._speaking[event.participant] = event.at
            case EventKind.SPEECH_END:
                self._speaking.pop(event.participant, None)
            case EventKind.CHAT:
                for writer in (None, event.participant):
                    messages, characters = self._chat.get(writer, (0, 0))
                    self._chat[writer] = messages + 1, characters + len(event.text or "")


def read_metadata(content: bytes) -> RecordingMetadata:
    """What ``written`` gave, or Meet's own collector. Raises ``InvalidInput`` for anything else."""
    try:
        found = json.loads(content)
        names = {str(each["participantId"]): str(each["name"]) for each in found["participants"]}
        events = [_event(each) for each in found["events"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput("this is no metadata of a recording: it has no events and participants") from error
    return RecordingMetadata(events, names)


def _shape(event: MetadataEvent) -> dict[str, str | None]:
    return {
        "participant_id": event.participant,
        "type": event.kind.value,
        "timestamp": datetime.fromtimestamp(event.at, UTC).isoformat(timespec="microseconds"),
        "data": event.text,
    }


def _event(shape: dict[str, str | None]) -> MetadataEvent:
    moment = datetime.fromisoformat(str(shape["timestamp"]))
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return MetadataEvent(str(shape["participant_id"]), EventKind(shape["type"]), moment.timestamp(), shape.get("data"))
