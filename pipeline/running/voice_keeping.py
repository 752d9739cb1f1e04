"""Between the shared rooms of a running meeting, its readers and its store: labels are told at once, and kept soon."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.domain import MeetingId, ParticipantId, SegmentId, Track, UtteranceId, VoiceRun
from pipeline.ports import KeptMeetings
from pipeline.record.division import changed_runs, changes_by_utterance
from pipeline.running.equipment import Equipment
from pipeline.running.keeping import Keeping
from pipeline.running.past import Past, Resumed
from pipeline.running.shared_room import Centroids
from pipeline.running.shared_rooms import SharedRooms
from pipeline.running.telling import Telling
from pipeline.speakers import FIRST_MADE, KnownVoice, SegmentChange, VoiceKeeping


@dataclass(slots=True, eq=False)
class KeptRooms:
    """The ``shared`` rooms of a meeting, their labels told and kept.

    Runs and centroids wait for the next flush of ``keeping``; a newer one takes the place of one that waits. None is
    dropped: there is one of each utterance and voice, as in the feed."""

    meeting: MeetingId
    store: KeptMeetings
    shelf: VoiceKeeping
    telling: Telling
    keeping: Keeping
    shared: SharedRooms = field(init=False)
    _changed: dict[SegmentId, SegmentChange] = field(default_factory=dict)
    _runs: dict[UtteranceId, tuple[VoiceRun, ...]] = field(default_factory=dict)
    _centroids: dict[tuple[ParticipantId, int], NDArray[np.float32]] = field(default_factory=dict)

    def open(self, equipment: Equipment, past: Past) -> SharedRooms:
        """Goes on with the voices of ``past``."""
        known: dict[ParticipantId, dict[int, NDArray[np.float32]]] = {}
        for voice in past.voices:
            if voice.centroid is not None and voice.voice < FIRST_MADE:
                known.setdefault(voice.participant, {})[voice.voice] = voice.centroid
        self.shared = SharedRooms(
            equipment.voice_model,
            self._told,
            self._learnt,
            self._is_marked,
            equipment.rooms_by_themselves,
            dict(known),
        )
        return self.shared

    def resume(self, resumed: Resumed, past: Past) -> None:
        """A track of another session goes on."""
        shown = resumed.open
        told = [run for run in past.runs if shown is not None and run.utterance == shown.utterance]
        self.shared.resume(resumed.track, shown, told)

    def _told(self, track: Track, runs: tuple[VoiceRun, ...]) -> None:
        if self.keeping.superseded.is_set():
            return
        utterance = runs[0].utterance
        self.telling.runs(track.participant.id, utterance, self._as_changed({utterance: runs})[utterance])
        self._runs[utterance] = runs
        self.keeping.do_later(self._keep)

    def _learnt(self, participant: ParticipantId, centroids: Centroids) -> None:
        sound = {voice: centroid for voice, centroid in centroids.items() if np.isfinite(centroid).all()}
        self._centroids |= {(participant, voice): centroid for voice, centroid in sound.items()}
        self.keeping.do_later(self._keep)

    async def read(self) -> None:
        """Somebody marked a room, named a voice or moved words: that counts now. Raises what the store raises."""
        waiting = dict(self._runs)
        self.telling.people |= {each.id: each for each in await self.store.participants(self.meeting)}
        voices, runs = await self.store.voices(self.meeting), await self.store.runs(self.meeting)
        self._changed = await self.store.changes(self.meeting)
        newer = waiting | self._runs  # told, and not yet kept when the store was read
        moved = changes_by_utterance(self._changed, self.telling.voiced())
        nobody: dict[UtteranceId, list[VoiceRun]] = {utterance: [] for utterance in moved}
        self._tell_again(voices, nobody | _by_utterance(runs) | self._as_changed(newer))
        self.shared.consider()

    def again(self, voices: Iterable[KnownVoice], runs: Iterable[VoiceRun]) -> None:
        """Tells what readers do not know yet of these runs, in order, and of these names."""
        self._tell_again(voices, _by_utterance(runs))

    def _tell_again(self, voices: Iterable[KnownVoice], runs: Mapping[UtteranceId, Sequence[VoiceRun]]) -> None:
        self.telling.voices = {(voice.participant, voice.voice): voice for voice in voices}
        self.telling.runs_again(runs)

    def _as_changed(self, runs: Mapping[UtteranceId, Sequence[VoiceRun]]) -> dict[UtteranceId, list[VoiceRun]]:
        """Runs as they were heard, with what people moved of their utterances."""
        changed = changes_by_utterance(self._changed, runs.keys())
        return {
            utterance: changed_runs(each, {utterance: changed.get(utterance, {})}) for utterance, each in runs.items()
        }

    def _is_marked(self, participant: ParticipantId) -> bool | None:
        known = self.telling.people.get(participant)
        return None if known is None else known.shared_room

    async def _keep(self) -> None:
        runs, centroids = dict(self._runs), dict(self._centroids)
        await self.shelf.keep_runs(tuple(_all(runs.values())))
        for (participant, voice), centroid in centroids.items():
            await self.shelf.keep_voice(participant, voice, centroid)
        if centroids and _names(await self.store.voices(self.meeting)) != _names(self.telling.voices.values()):
            await self.read()  # somebody's enrolment knows one of them now
        for utterance, each in runs.items():
            if self._runs.get(utterance) is each:
                del self._runs[utterance]
        for key, centroid in centroids.items():
            if self._centroids.get(key) is centroid:
                del self._centroids[key]


def _names(voices: Iterable[KnownVoice]) -> dict[tuple[ParticipantId, int], str]:
    return {(voice.participant, voice.voice): voice.name for voice in voices if voice.name is not None}


def _by_utterance(runs: Iterable[VoiceRun]) -> dict[UtteranceId, list[VoiceRun]]:
    found: dict[UtteranceId, list[VoiceRun]] = {}
    for run in runs:
        found.setdefault(run.utterance, []).append(run)
    return found


def _all(runs: Iterable[Sequence[VoiceRun]]) -> list[VoiceRun]:
    return [run for each in runs for run in each]
