"""What readers of one running meeting are told: captions with names, who comes and goes, notices."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.domain import Caption, Meeting, Participant, ParticipantId, TrackId, UtteranceId, VoiceRun
from pipeline.export.event import Event, caption_event, seconds, voices_event
from pipeline.ports import EventFeed
from pipeline.speakers import KnownVoice

CAPTIONS = frozenset({"caption", "voices"})
"""The events that a snapshot brings: what was said, and by which voices of shared microphones."""


@dataclass(slots=True)
class Telling:
    """``people`` are the participants the meeting knows, by their id, ``voices`` those that share a microphone, by
    participant and number; times are ``now``, meeting time."""

    meeting: Meeting
    feed: EventFeed
    now: Callable[[], float]
    people: dict[ParticipantId, Participant]
    voices: dict[tuple[ParticipantId, int], KnownVoice] = field(default_factory=dict)

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

    def runs(self, participant: ParticipantId, utterance: UtteranceId, runs: Sequence[VoiceRun]) -> None:
        """Takes the place of what was told of the voices in ``utterance``."""
        self._publish_voices(self._voices(participant, utterance, runs))

    def named_anew(self, participant: ParticipantId) -> None:
        """``participant`` has another name: so have its voices that have none of their own."""
        events: list[dict[str, Any]] = [reading.event for reading in self.feed.history()]
        told = [event for event in events if event["type"] == "voices" and event["participant"] == participant]
        self.runs_again({event["utterance"]: [_run(event, run) for run in event["runs"]] for event in told})

    def runs_again(self, runs: Mapping[UtteranceId, Sequence[VoiceRun]]) -> None:
        """Tells of ``runs``, all of each utterance, what the feed does not hold, or under other names."""
        events: list[dict[str, Any]] = [reading.event for reading in self.feed.history()]
        told = {event["utterance"]: event for event in events if event["type"] == "voices"}
        owners = {each["utterance"]: participant_of(each["track"]) for each in events if each["type"] == "caption"}
        for utterance, each in runs.items():
            if utterance not in owners:
                continue
            event, before = self._voices(owners[utterance], utterance, each), told.get(utterance, {})
            if any(before.get(name) != event[name] for name in ("speaker", "runs")):
                self._publish_voices(event)

    def voiced(self) -> set[UtteranceId]:
        """The utterances of which readers were told who said what."""
        events: list[dict[str, Any]] = [reading.event for reading in self.feed.history()]
        return {event["utterance"] for event in events if event["type"] == "voices"}

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
        captions = [reading.event for reading in self.feed.history(after) if reading.event["type"] in CAPTIONS]
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

    def _voices(self, participant: ParticipantId, utterance: UtteranceId, runs: Sequence[VoiceRun]) -> Event:
        owner = self.people.get(participant) or Participant(participant, participant)
        return self._event("voices") | voices_event(owner, utterance, runs, self.voices)

    def _publish_voices(self, event: Event) -> None:
        self.feed.publish(event, f"voices:{event['utterance']}")

    def _event(self, kind: str) -> Event:
        return {"type": kind, "meeting": self.meeting.id, "sent_at": seconds(self.now())}


def _run(event: Mapping[str, Any], run: Mapping[str, Any]) -> VoiceRun:
    return VoiceRun(event["utterance"], run["first"], run["count"], run["voice"])


def participant_of(track: TrackId) -> ParticipantId:
    """Whose track it is: ids of tracks are ``<participant>.<number>``."""
    return ParticipantId(track.rpartition(".")[0] or track)
