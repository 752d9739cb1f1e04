"""Who publishes in a VideoRoom, from what the plugin tells. Pure.

A participant is a publisher of sound or pictures. Whoever publishes data alone, as captions are, or nothing, is none;
nor is the placeholder that a room of ``dummy_publisher`` has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from media_gateway.janus.messages import RoomId
from media_gateway.people import participant
from media_gateway.sfu import Arrived, Changed, Departed, Parted, Parting
from pipeline.domain import Participant

_MEDIA = {"audio", "video"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A publisher's microphone: the section ``mid`` of its ``feed``."""

    participant: Participant
    feed: RoomId
    mid: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The microphone of ``feed`` is gone."""

    feed: RoomId


Change = Arrived | Changed | Departed | Parted | Opened | Closed


@dataclass(frozen=True, slots=True)
class _Publisher:
    participant: Participant
    microphone: str | None  # the first audio section that is in use


class Roster:
    """Fed with what the plugin tells one participant of one room; says what changed."""

    def __init__(self) -> None:
        self._publishers: dict[RoomId, _Publisher] = {}

    def __len__(self) -> int:
        return len(self._publishers)

    def told(self, content: Mapping[str, Any]) -> list[Change]:
        """``content`` of one message; of one that is about something else, nothing."""
        if content.get("videoroom") == "destroyed":
            return [Parted(Parting.EMPTY)]
        if content.get("leaving") == "ok":
            return [Parted(Parting.EVICTED)] if content.get("reason") == "kicked" else []
        changes: list[Change] = []
        for published in content.get("publishers") or ():
            changes += self._published(published["id"], published)
        for word in ("unpublished", "leaving", "kicked"):
            if word in content:
                changes += self._gone(content[word])
        if "display" in content and "id" in content:
            changes += self._renamed(content["id"], content["display"])
        return changes

    def _published(self, feed: RoomId, published: Mapping[str, Any]) -> list[Change]:
        streams = [each for each in published.get("streams") or () if not each.get("disabled")]
        if published.get("dummy") or not any(each.get("type") in _MEDIA for each in streams):
            return self._gone(feed)
        person = participant(str(feed), str(published.get("display") or ""))
        microphone = next((str(each["mid"]) for each in streams if each.get("type") == "audio"), None)
        before = self._publishers.get(feed)
        self._publishers[feed] = _Publisher(person, microphone)
        changes: list[Change] = []
        if before is None:
            changes.append(Arrived(person))
        elif before.participant != person:
            changes.append(Changed(person))
        heard = None if before is None else before.microphone
        if heard != microphone:
            changes += [Closed(feed)] if heard is not None else []
            changes += [Opened(person, feed, microphone)] if microphone is not None else []
        return changes

    def _gone(self, feed: RoomId) -> list[Change]:
        before = self._publishers.pop(feed, None)
        if before is None:
            return []
        closed: list[Change] = [Closed(feed)] if before.microphone is not None else []
        return [*closed, Departed(before.participant.id)]

    def _renamed(self, feed: RoomId, name: object) -> list[Change]:
        before = self._publishers.get(feed)
        person = participant(str(feed), str(name or ""))
        if before is None or before.participant == person:
            return []
        self._publishers[feed] = _Publisher(person, before.microphone)
        return [Changed(person)]
