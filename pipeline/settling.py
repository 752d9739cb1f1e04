"""After a meeting its stored transcript is settled: by its kept sound, or by what was kept of its voices.

What is to be done stands in the store (a meeting that is over and not settled), so a message that was lost with its
process costs nothing and one that comes twice changes nothing. All that is found is kept in one step in the end: a
process that is killed meanwhile leaves the transcript as it was, and another one begins anew.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Protocol

import numpy as np

from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    Caption,
    Diarization,
    Hypothesis,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    RecordText,
    Samples,
    Settled,
    TrackId,
    UtteranceId,
    VoiceRun,
    Window,
)
from pipeline.errors import GreffierError, NotFound, RecognitionFailed, UnreadableMedia
from pipeline.leased import LeasedWork, Stopping
from pipeline.live.record_windows import RecordWindows
from pipeline.mixed import VoiceSearch
from pipeline.offline import RecordingRequest
from pipeline.ports import MeetingAudioMemory, Recognizer, RecordedSound
from pipeline.record.settled import Heard, Settlement, by_centroids, by_sound, named_or_merged
from pipeline.speakers import KnownVoice

_log = logging.getLogger("greffier.settling")

_JOIN, _WINDOW = 3.0, 28.0
"""Utterances closer than this are heard together, in windows up to so long: more context than live (1.5 s)."""
_BEYOND = 1.0
"""Seconds that words may seem to end after the sound of their track; of what ends later the sound is missing."""
_PIECE = 10.0
_ALL = float("inf")


class KeptSounds(Protocol):
    """The kept sound of tracks; called in threads, since files are fetched."""

    def open(self, meeting: MeetingId, track: TrackId) -> RecordedSound:
        """It begins at meeting time 0. Raises ``NotFound``, ``UnreadableMedia``."""


class SettledMeetings(Protocol):
    """Where meetings are read, and what settling them found is kept. Raises ``NotFound``."""

    async def meeting(self, meeting: MeetingId) -> Meeting: ...

    async def finals(self, meeting: MeetingId) -> list[Caption]: ...

    async def tracks(self, meeting: MeetingId) -> dict[TrackId, Participant]: ...

    async def runs(self, meeting: MeetingId) -> list[VoiceRun]: ...

    async def voices(self, meeting: MeetingId) -> list[KnownVoice]: ...

    async def touched(self, meeting: MeetingId) -> frozenset[UtteranceId]:
        """The utterances of which people changed a segment."""

    async def unsettled(self, before: float) -> list[MeetingId]:
        """Those that ended in the week before ``before``, wall clock, and were not looked at again; oldest first."""

    async def settle(self, meeting: MeetingId, settlement: Settlement) -> None:
        """Keeps all of it or nothing; nothing of what people touched, and nothing where the meeting is settled.

        Raises ``OutOfDate`` where people named or merged voices since it was begun.
        """


@dataclass(frozen=True, slots=True)
class Settling:
    """Settles meetings, each in the calling thread, which is not that of the event loop.

    Voices are told apart by ``voices``, where it is there, and words heard again by ``recognizer``, after all else.
    """

    store: SettledMeetings
    work: LeasedWork
    sounds: KeptSounds
    recognizer: Recognizer
    new_memory: Callable[[], MeetingAudioMemory]
    voices: VoiceSearch | None = None

    def run(self, meeting: MeetingId) -> None:
        """A meeting that was deleted, is settled or in other hands is passed over.

        Raises ``Stopping`` and any ``GreffierError``.
        """
        with self.work.holding(f"settling:{meeting}") as ours, suppress(NotFound):
            if not ours:
                return
            kept = self.work.wait(self.store.meeting(meeting))
            if kept.ended_at is None or kept.settled is not None:
                return
            began = time.monotonic()
            _log.info("settling.started", extra={"meeting": meeting})
            settlement = self._settlement(kept)
            self.work.wait(self.store.settle(meeting, settlement))
            if settlement.how is not Settled.NOTHING:
                seconds, how = round(time.monotonic() - began, 1), settlement.how.value
                _log.info("meeting.settled", extra={"meeting": meeting, "by": how, "seconds": seconds})

    def give_up(self, meeting: MeetingId) -> None:
        """Trying again would not help, or something went wrong that nobody foresaw: the transcript stays as it is."""
        with suppress(NotFound):
            self.work.wait(self.store.settle(meeting, Settlement(Settled.FAILED)))
        _log.error("meeting.unsettled", extra={"meeting": meeting})

    def _settlement(self, meeting: Meeting) -> Settlement:
        runs = self.work.wait(self.store.runs(meeting.id))
        if not runs and not meeting.keep_audio:
            return Settlement(Settled.NOTHING)
        finals = self.work.wait(self.store.finals(meeting.id))
        tracks = self.work.wait(self.store.tracks(meeting.id))
        voices = self.work.wait(self.store.voices(meeting.id))
        sounds = self._opened(meeting, {final.track for final in finals})
        whose = {final.utterance: tracks[final.track].id for final in finals if final.track in tracks}
        talked = {whose[run.utterance] for run in runs if run.utterance in whose}
        settled: list[tuple[Heard, list[VoiceRun], list[KnownVoice]]] = []
        by = {Settled.SOUND} if sounds else {Settled.NOTHING}
        for person in dict.fromkeys(tracks.values()):
            if person.shared_room or (person.shared_room is None and person.id in talked):
                heard = _heard(person.id, whose, finals, runs, voices)
                found = self._diarized(meeting.id, heard, sounds)
                if found is not None:
                    heard = replace(heard, captions=[said for said in heard.captions if _is_kept(said, sounds)])
                    settled.append((heard, *by_sound(heard, found)))
                elif heard.runs:
                    settled.append((heard, by_centroids(heard), []))
                    by.add(Settled.VOICES)
        return Settlement(
            Settled.VOICES if Settled.VOICES in by else by.pop(),
            frozenset(caption.utterance for heard, _, _ in settled for caption in heard.captions),
            tuple(run for _, found_runs, _ in settled for run in found_runs),
            tuple(voice for _, _, found_voices in settled for voice in found_voices),
            self._records(meeting, finals, sounds),
            named_or_merged(voices),
        )

    def _opened(self, meeting: Meeting, tracks: set[TrackId]) -> dict[TrackId, RecordedSound]:
        """The kept sound of those ``tracks`` that have any."""
        opened: dict[TrackId, RecordedSound] = {}
        for track in sorted(tracks) if meeting.keep_audio else ():
            try:
                opened[track] = self.sounds.open(meeting.id, track)
            except NotFound:
                pass
            except UnreadableMedia as error:
                _log.warning("settling.unreadable", extra={"meeting": meeting.id, "track": track, "error": str(error)})
        return opened

    # --- who spoke --------------------------------------------------------------------------------------------

    def _diarized(
        self, meeting: MeetingId, heard: Heard, sounds: Mapping[TrackId, RecordedSound]
    ) -> Diarization | None:
        """None where the voices of ``heard`` cannot be told apart by their sound; a log says why."""
        tracks = {caption.track for caption in heard.captions}
        if self.voices is None or not tracks or not tracks <= sounds.keys():
            return None
        together = _Together([sounds[track] for track in sorted(tracks)])
        try:
            return self.voices.diarize(together, lambda _: self.work.check())
        except Stopping:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a model raises, what is known of the voices stands
            foreseen = isinstance(error, GreffierError)
            said = {"meeting": meeting, "error": str(error) if foreseen else type(error).__name__}
            _log.warning("settling.voices_unknown", extra=said, exc_info=None if foreseen else error)
            return None

    # --- what was said ----------------------------------------------------------------------------------------

    def _records(
        self, meeting: Meeting, finals: Sequence[Caption], sounds: Mapping[TrackId, RecordedSound]
    ) -> tuple[RecordText, ...]:
        """Better texts of what nobody changed. Raises ``RecognitionFailed`` where nothing could be heard at all."""
        touched = self.work.wait(self.store.touched(meeting.id))
        records: list[RecordText] = []
        failures: list[RecognitionFailed] = []
        for track, sound in sounds.items():
            of_track, memory = [final for final in finals if final.track == track], self.new_memory()
            try:
                records.extend(self._records_of(meeting, of_track, touched, _Played(track, sound, memory)))
            except RecognitionFailed as failure:
                failures.append(failure)
            except UnreadableMedia as error:
                _log.warning("settling.unreadable", extra={"meeting": meeting.id, "track": track, "error": str(error)})
            finally:
                memory.close()
        if failures and not records:
            raise failures[0]
        return tuple(records)

    def _records_of(
        self, meeting: Meeting, finals: Sequence[Caption], touched: frozenset[UtteranceId], played: "_Played"
    ) -> Iterator[RecordText]:
        records = RecordWindows(played.track, _JOIN, _WINDOW)
        for final in finals:
            if final.utterance in touched:
                records.quiet(_ALL)  # no window reaches over it
            elif final.words:
                records.finished(final.words[0].start, final)
        records.quiet(_ALL)
        borders = [final for final in finals if final.utterance in touched and final.words]
        heard = 0
        while (window := records.window_to_recognize(meeting.glossary, 0.0)) is not None:
            apart = _apart(window, borders)
            try:
                found = self._hear(apart, played.sound(apart.start, apart.end))
            except RecognitionFailed:
                records.failed(window)
                if not records.wanted and not heard:
                    raise
                continue
            heard += 1
            record = records.recognized(window, found.words, found.cut)
            if record is not None:
                yield record
            played.forget(records.needed_from)

    def _hear(self, window: Window, samples: Samples) -> Hypothesis:
        asked = asyncio.run_coroutine_threadsafe(self._recognized(RecordingRequest(window, samples)), self.work.loop)
        try:
            return self.work.answer(asked)
        finally:
            asked.cancel()

    async def _recognized(self, request: RecordingRequest) -> Hypothesis:
        answer = await self.recognizer.recognize(request)
        if answer is None:
            raise RecognitionFailed("the recogniser gave no answer", request.window)
        return answer[1]


def _heard(
    participant: ParticipantId,
    whose: Mapping[UtteranceId, ParticipantId],
    finals: Sequence[Caption],
    runs: Sequence[VoiceRun],
    voices: Sequence[KnownVoice],
) -> Heard:
    return Heard(
        participant,
        [final for final in finals if whose.get(final.utterance) == participant],
        [run for run in runs if whose.get(run.utterance) == participant],
        [voice for voice in voices if voice.participant == participant],
    )


def _is_kept(caption: Caption, sounds: Mapping[TrackId, RecordedSound]) -> bool:
    """Whether ``caption`` was said before its track's sound ends: of one whose gateway died the end is missing."""
    duration = sounds[caption.track].duration
    return duration is None or not caption.words or caption.words[-1].end <= duration + _BEYOND


def _apart(window: Window, others: Sequence[Caption]) -> Window:
    """``window`` without what was said in ``others``, which its ends may reach into."""
    middle = (window.start + window.end) / 2
    before = [end for other in others if (end := other.words[-1].end) <= middle]
    after = [start for other in others if (start := other.words[0].start) >= middle]
    return replace(window, start=max([window.start, *before]), end=min([window.end, *after]))


@dataclass(frozen=True, slots=True)
class _Together:
    """The tracks of one participant as one ``RecordedSound``: who comes again publishes another track."""

    sounds: Sequence[RecordedSound]

    @property
    def duration(self) -> float | None:
        known = [sound.duration for sound in self.sounds]
        return None if None in known else max(length for length in known if length is not None)

    def pieces(self, seconds: float) -> Iterator[Samples]:
        for parts in zip_longest(*(sound.pieces(seconds) for sound in self.sounds)):
            there = [part for part in parts if part is not None]
            mixed = np.zeros(max(map(len, there)), np.int32)
            for part in there:
                mixed[: len(part)] += part
            yield np.clip(mixed, -32768, 32767).astype(np.int16)


@dataclass(slots=True)
class _Played:
    """The sound of one track from its beginning on; ``memory`` holds what is still needed of it."""

    track: TrackId
    recorded: RecordedSound
    memory: MeetingAudioMemory
    _end: float = 0.0
    _pieces: Iterator[Samples] = field(init=False)

    def __post_init__(self) -> None:
        self._pieces = self.recorded.pieces(_PIECE)

    def sound(self, start: float, end: float) -> Samples:
        while self._end < end and (piece := next(self._pieces, None)) is not None:
            frame = AudioFrame(self.track, self._end, piece)
            self._end += len(piece) / SAMPLE_RATE
            if self._end > start:
                self.memory.append(frame)
        return self.memory.read(self.track, start, end)

    def forget(self, before: float | None) -> None:
        self.memory.forget(self.track, self._end if before is None else before)
