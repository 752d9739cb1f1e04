"""Which voices spoke at shared microphones, of a meeting that nobody captions: out of the store."""

from collections.abc import Iterable
from typing import Any, Protocol

from pipeline.domain import Caption, MeetingId, Participant, ParticipantId, TrackId, UtteranceId, VoiceRun
from pipeline.export.event import voices_event
from pipeline.speakers import KnownVoice


class Store(Protocol):
    async def tracks(self, meeting: MeetingId) -> dict[TrackId, Participant]: ...

    async def runs(self, meeting: MeetingId) -> list[VoiceRun]: ...

    async def voices(self, meeting: MeetingId) -> list[KnownVoice]: ...


async def labels_of(store: Store, meeting: MeetingId, finals: Iterable[Caption]) -> dict[UtteranceId, dict[str, Any]]:
    """What a ``voices`` event says of each of ``finals`` with words of a known voice. Raises what the store raises."""
    runs: dict[UtteranceId, list[VoiceRun]] = {}
    for run in await store.runs(meeting):
        runs.setdefault(run.utterance, []).append(run)
    if not runs:
        return {}
    voices = {(each.participant, each.voice): each for each in await store.voices(meeting)}
    tracks = await store.tracks(meeting)
    owners = {
        final.utterance: tracks.get(final.track) or Participant(ParticipantId(final.track), final.track)
        for final in finals
        if final.utterance in runs
    }
    return {utterance: voices_event(owner, utterance, runs[utterance], voices) for utterance, owner in owners.items()}
