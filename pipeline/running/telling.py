"""What readers of one running meeting are told: captions with names, who comes and goes, notices."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from pipeline.domain import Caption, Meeting, Participant, ParticipantId, TrackId
from pipeline.export.event import Event, caption_event, seconds
from pipeline.ports import EventFeed


@dataclass(slots=True)
class Telling:
    """``people`` are the participants the meeting knows, by their id; times are ``now``, meeting time."""

    meeting: Meeting
    feed: EventFeed
    now: Callable[[], float]
    people: dict[ParticipantId, Participant]

    def caption(self, caption: Caption) -> None:
        """Takes the place of what was told of its utterance."""
        event = self._event("caption") | caption_event(caption, self.now())
        self.feed.publish(event | self.named(participant_of(caption.track)), caption.utterance)

    def again(self, captions: Iterable[Caption]) -> None:
        """Tells of ``captions``, which another session made, what the feed does not hold yet."""
        events: list[dict[str, Any]] = [reading.event for reading in self.feed.history()]
        told = {event["utterance"]: event for event in events if event["type"] == "caption"}
        for caption in captions:
            before = told.get(caption.utterance)
            if before is None or (caption.revision > before["revision"] and not before["final"]):
                self.caption(caption)
            elif caption.final and not before["final"]:
                self.caption(replace(caption, revision=before["revision"] + 1))

    def kept_late(self, final: Caption) -> None:
        """A final that the store has taken after all; as unfinished, readers have seen its revision."""
        self.caption(replace(final, revision=final.revision + 1))

    def notice(self, code: str, **fields: object) -> None:
        self.feed.publish(self._event("notice") | {"code": code, "at": seconds(self.now())} | fields)

    def participant(self, participant: ParticipantId, state: str, present: bool) -> None:
        """``state`` is what happened; takes the place of what was told of the participant before."""
        event = self._event("participant") | self.named(participant) | {"state": state, "present": present}
        self.feed.publish(event, f"participant:{participant}")

    def state(self, state: str, paused: bool) -> None:
        """Takes the place of the meeting's state before."""
        event = self._event("meeting") | {"state": state, "title": self.meeting.title, "paused": paused}
        self.feed.publish(event, "meeting")

    def snapshot(self, after: int | None, state: str, paused: bool, present: Callable[[ParticipantId], bool]) -> Event:
        """What a reader who comes in needs first; its captions are those newer than ``after``, oldest first."""
        captions = [reading.event for reading in self.feed.history(after) if reading.event["type"] == "caption"]
        return self._event("snapshot") | {
            "sequence": self.feed.newest,
            "title": self.meeting.title,
            "state": state,
            "paused": paused,
            "participants": [self.named(name) | {"present": present(name)} for name in self.people],
            "events": captions,
        }

    def named(self, participant: ParticipantId) -> Event:
        known = self.people.get(participant)
        return {"participant": participant, "speaker": known.name if known else participant}

    def _event(self, kind: str) -> Event:
        return {"type": kind, "meeting": self.meeting.id, "sent_at": seconds(self.now())}


def participant_of(track: TrackId) -> ParticipantId:
    """Whose track it is: ids of tracks are ``<participant>.<number>``."""
    return ParticipantId(track.rpartition(".")[0] or track)
