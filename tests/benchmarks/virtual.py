"""A live meeting in virtual time: the real edge, live core and recogniser, and a clock that a cost model moves.

What a busy machine would show later does not depend on how busy this one is, so settings are compared exactly: the
same settings give the same figures. ``slower`` stretches the cost of every window, so that four tracks stand for eight.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from api.wiring import speech_detectors
from models.faster_whisper import EngineSettings, WhisperEngine
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    AudioLost,
    Hypothesis,
    Participant,
    ParticipantId,
    Samples,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackEvent,
    TrackId,
    Window,
    WindowKind,
)
from pipeline.edge import EdgeSettings, MeetingEdge
from pipeline.export.event import caption_event
from pipeline.live.meeting import MeetingCaptioner
from tests.benchmarks.events import Event, by_track, event_of
from tests.benchmarks.mixing import TrackFile, read_wav

_FRAME = 0.04


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of one caller, fitted on two cores with AVX2 (EPYC); ``both`` is what callers cost one another.

    A window costs ``window`` + ``encode`` a padded second; a step of decoding ``step`` and ``step_row`` for every row
    beyond the first, each beam being a row.
    """

    window: float = 0.055
    encode: float = 0.0141
    language: float = 0.011
    step: float = 0.0088
    step_row: float = 0.0010
    token: float = 0.0005
    both: float = 1.3


class CostedEngine(WhisperEngine):
    """Adds up what the batches it hears would cost."""

    costs = Costs()
    spent = 0.0

    def _hear_group(self, rows: list) -> None:
        super()._hear_group(rows)
        costs = self.costs
        padded = self._padded(max(row.duration for row in rows))
        count = len(rows)
        detected = sum(row.window.detect_language or row.window.language is None for row in rows)
        steps = max(len(row.tokens) for row in rows) + 1
        beams = count * self._beam(rows[0].window.kind)
        tokens = sum(len(row.tokens) + len(row.forced) for row in rows)
        self.spent += costs.both * (
            count * (costs.window + costs.encode * padded)
            + costs.language * detected
            + steps * (costs.step + costs.step_row * (beams - 1))
            + costs.token * tokens
        )

    def cost_of(self, batch: Sequence[tuple[Window, Samples]]) -> tuple[list[Hypothesis], float]:
        self.spent = 0.0
        return self.hear(batch), self.spent


@dataclass(slots=True)
class VirtualReplay:
    """What ``tests.benchmarks.measures`` reads of a replay."""

    tracks: dict[str, TrackFile]
    events: list[Event] = field(default_factory=list)
    windows: int = 0
    busy: float = 0.0

    @property
    def by_track(self) -> dict[str, list[Event]]:
        return by_track(self.events)

    def texts(self, *_: str) -> dict:
        return {}


@dataclass(slots=True)
class Machine:
    """How the batcher serves: ``callers`` at once, ``batch`` windows at most."""

    engine: CostedEngine
    callers: int = 2
    batch: int = 2
    slower: float = 1.0


def edge_events(track: TrackFile, edge: EdgeSettings | None = None) -> list[tuple[float, TrackEvent]]:
    """What the edge passes on, each with the moment at which it does."""
    name = TrackId(track.name)
    sound = read_wav(track.path)
    meeting = MeetingEdge(speech_detectors(), edge)
    from pipeline.domain import TrackOpened

    events: list[tuple[float, TrackEvent]] = [
        (0.0, event) for event in meeting.feed(TrackOpened(Track(name, Participant(ParticipantId(name), name)), 0.0))
    ]
    step = round(_FRAME * SAMPLE_RATE)
    for begin in range(0, len(sound), step):
        frame = AudioFrame(name, begin / SAMPLE_RATE, sound[begin : begin + step])
        events += [(frame.end, event) for event in meeting.feed(frame)]
    end = len(sound) / SAMPLE_RATE
    events += [(end, event) for event in meeting.close()]
    return events


def play(
    tracks: Sequence[TrackFile],
    core: MeetingCaptioner,
    machine: Machine,
    edge: EdgeSettings | None = None,
) -> VirtualReplay:
    """Captions of ``tracks``, as ``greffier caption`` would show them on a machine of these costs."""
    run = VirtualReplay({track.name: track for track in tracks})
    sounds = {TrackId(track.name): read_wav(track.path) for track in tracks}
    pending = sorted(
        (event for track in tracks for event in edge_events(track, edge)), key=lambda timed: timed[0]
    )
    pending.reverse()
    free = machine.callers
    done: list[tuple[float, int, list[tuple[Window, Hypothesis]]]] = []
    serial = 0
    asked: dict[TrackId, float] = {}
    now = 0.0
    while pending or done:
        now = min([pending[-1][0]] if pending else [] + ([done[0][0]] if done else []), default=now)
        if done and done[0][0] <= now or not pending:
            now, _, heard = heapq.heappop(done)
            free += 1
            for window, hypothesis in heard:
                core.hypothesis(window, hypothesis)
        else:
            at, event = pending.pop()
            now = at
            _take(core, event)
        _show(run, core, now)
        while free:
            wanted = {track: kind for track, kind in core.wanted() if kind is not WindowKind.RECORD}
            asked = {track: asked.get(track, now) for track in wanted}
            if not wanted:
                break
            order = sorted(wanted, key=lambda track: (wanted[track], asked[track]))
            chosen = order[: max(1, min(machine.batch, -(-len(order) // machine.callers)))]
            batch = []
            for track in chosen:
                asked.pop(track, None)
                window = core.window_to_recognize(track, False, 0.0)
                if window is not None:
                    sound = sounds[track][round(window.start * SAMPLE_RATE) : round(window.end * SAMPLE_RATE)]
                    batch.append((window, sound))
            if not batch:
                break
            hypotheses, cost = machine.engine.cost_of(batch)
            cost *= machine.slower
            run.windows += len(batch)
            run.busy += cost
            serial += 1
            heapq.heappush(
                done, (now + cost, serial, list(zip([w for w, _ in batch], hypotheses, strict=True)))
            )
            free -= 1
    core.close()
    _show(run, core, now)
    return run


def _take(core: MeetingCaptioner, event: TrackEvent) -> None:
    from pipeline.domain import TrackClosed, TrackOpened

    match event:
        case TrackOpened(track=track):
            core.track_opened(track)
        case AudioFrame(track=name):
            core.audio_until(name, event.end)
        case SpeechStarted(track=name, at=at):
            core.speech_started(name, at)
        case SpeechEnded(track=name, at=at):
            core.speech_ended(name, at)
        case AudioLost(track=name, start=start, end=end):
            core.audio_lost(name, start, end, "lost")
        case TrackClosed(track=name, at=at):
            core.track_closed(name, at)


def _show(run: VirtualReplay, core: MeetingCaptioner, now: float) -> None:
    for caption in core.captions_to_send():
        run.events.append(event_of(caption_event(caption, now)))
    core.records_to_keep()
    core.gaps_to_mark()
