"""A live meeting in virtual time: the real edge, live core and recogniser, and a clock that a cost model moves.

What a busy machine would show later does not depend on how busy this one is, so settings are compared exactly: the
same settings give the same figures. ``slower`` stretches the time for which a window keeps a caller busy: 2 makes four
tracks stand for eight.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from api.detecting import speech_detectors
from models.faster_whisper import WhisperEngine
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    Hypothesis,
    Participant,
    ParticipantId,
    Samples,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
    Window,
    WindowKind,
)
from pipeline.edge import MeetingEdge
from pipeline.export.event import caption_event
from pipeline.live.loudness import level_of
from pipeline.live.meeting import MeetingCaptioner
from tests.benchmarks.events import Event, by_track, event_of
from tests.benchmarks.mixing import TrackFile, read_wav

_FRAME = 0.04
_CALLERS = 2


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of one caller, fitted on two cores with AVX2 (EPYC); ``both`` is what two callers cost one another.

    A window costs ``window`` and ``encode`` for each padded second; each step of decoding ``step``, and ``beam`` for
    every beam beyond the first.
    """

    window: float = 0.055
    encode: float = 0.0141
    language: float = 0.011
    step: float = 0.0088
    beam: float = 0.0010
    token: float = 0.0005
    both: float = 1.3


class CostedEngine(WhisperEngine):
    """Adds up what the windows it hears would cost."""

    costs = Costs()
    spent = 0.0

    def _hear_group(self, rows: list[Any]) -> None:
        super()._hear_group(rows)
        costs = self.costs
        padded = self._padded(max(row.duration for row in rows))
        looked = sum(row.window.detect_language or row.window.language is None for row in rows)
        steps = max(len(row.tokens) for row in rows) + 1
        beams = len(rows) * self._beam(rows[0].window.kind)
        self.spent += costs.both * (
            len(rows) * (costs.window + costs.encode * padded)
            + costs.language * looked
            + costs.token * sum(len(row.tokens) + len(row.forced) for row in rows)
            + steps * (costs.step + costs.beam * (beams - 1))
        )


@dataclass
class VirtualReplay:
    """What ``tests.benchmarks.measures`` reads of a replay; ``busy`` is the seconds that callers worked."""

    tracks: dict[str, TrackFile]
    events: list[Event] = field(default_factory=list)
    busy: float = 0.0

    @cached_property
    def by_track(self) -> dict[str, list[Event]]:
        return by_track(self.events)

    def texts(self, *_: str) -> dict[str, Any]:
        """No record is made."""
        return {}


def play(
    tracks: Sequence[TrackFile], core: MeetingCaptioner, engine: CostedEngine, slower: float = 1.0
) -> VirtualReplay:
    """Captions of ``tracks``, as ``greffier caption`` would show them on a machine of these costs."""
    meeting = _Meeting(core, engine, slower, VirtualReplay({track.name: track for track in tracks}))
    for track in tracks:
        meeting.sounds[TrackId(track.name)] = read_wav(track.path)
        for at, event in _edge_events(track):
            meeting.plan(at, event)
    meeting.run()
    return meeting.replay


def _edge_events(track: TrackFile) -> list[tuple[float, TrackEvent]]:
    """What the edge passes on, each with the moment at which it does."""
    name, sound = TrackId(track.name), read_wav(track.path)
    edge = MeetingEdge(speech_detectors())
    opened = TrackOpened(Track(name, Participant(ParticipantId(name), name)), 0.0)
    events = [(0.0, event) for event in edge.feed(opened)]
    step = round(_FRAME * SAMPLE_RATE)
    for begin in range(0, len(sound), step):
        frame = AudioFrame(name, begin / SAMPLE_RATE, sound[begin : begin + step])
        events += [(frame.end, event) for event in edge.feed(frame)]
    return [*events, *((len(sound) / SAMPLE_RATE, event) for event in edge.close())]


@dataclass(frozen=True, slots=True)
class _Free:
    """A caller has room again."""


@dataclass(slots=True)
class _Meeting:
    core: MeetingCaptioner
    engine: CostedEngine
    slower: float
    replay: VirtualReplay
    sounds: dict[TrackId, Samples] = field(default_factory=dict)
    free: int = _CALLERS
    _agenda: list[tuple[float, int, object]] = field(default_factory=list)
    _serial: int = 0
    _asked: dict[TrackId, float] = field(default_factory=dict)

    def plan(self, at: float, happening: object) -> None:
        heapq.heappush(self._agenda, (at, self._serial, happening))
        self._serial += 1

    def run(self) -> None:
        while self._agenda:
            now, _, happening = heapq.heappop(self._agenda)
            self._take(happening)
            self._serve(now)
            self._show(now)
        self.core.close()

    def _take(self, happening: object) -> None:
        core = self.core
        match happening:
            case _Free():
                self.free += 1
            case (Window() as window, Hypothesis() as heard):
                core.hypothesis(window, heard)
            case TrackOpened(track=track):
                core.track_opened(track)
            case AudioFrame(track=name):
                core.audio_level(name, happening.start, happening.end, level_of(happening.samples))
                core.audio_until(name, happening.end)
            case SpeechStarted(track=name, at=at):
                core.speech_started(name, at)
            case SpeechEnded(track=name, at=at):
                core.speech_ended(name, at)
            case TrackClosed(track=name, at=at):
                core.track_closed(name, at)

    def _serve(self, now: float) -> None:
        """Callers that have room take one window each: finals first, then the longest waiting."""
        while self.free:
            wanted = {track: kind for track, kind in self.core.wanted() if kind is not WindowKind.RECORD}
            self._asked = {track: self._asked.get(track, now) for track in wanted}
            chosen = min(wanted, key=lambda track: (wanted[track], self._asked[track]), default=None)
            window = self.core.window_to_recognize(chosen, False, 0.0) if chosen else None
            if window is None:
                return
            begin, end = (round(at * SAMPLE_RATE) for at in (window.start, window.end))
            self.engine.spent = 0.0
            heard = self.engine.hear([(window, self.sounds[window.track][begin:end])])
            self.replay.busy += self.engine.spent
            self.free -= 1
            self.plan(now + self.engine.spent, (window, heard[0]))
            self.plan(now + self.engine.spent * self.slower, _Free())

    def _show(self, now: float) -> None:
        self.replay.events += [event_of(caption_event(caption, now)) for caption in self.core.captions_to_send()]
        self.core.records_to_keep()
        self.core.gaps_to_mark()
