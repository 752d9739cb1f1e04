"""The edge of the pipeline: from the raw frames of a tap to what goes on the audio bus. Silent tracks send nothing.

::

    frames ─► Arrivals ─► blocks of one detector frame ─► EnergyGate ─► Attention ─► SpeechDetector ─► Endpointer
              in order      (32 ms)                     microseconds                  0.05 to 0.14 ms   ─► TrackEvents

Everything here is synchronous and knows no clock; ``speech_only`` is its one line of asyncio.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import numpy as np

from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    AudioLost,
    Samples,
    SpeechEnded,
    SpeechStarted,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
)
from pipeline.live.arrival import Arrivals, ArrivalSettings, Hole, Run
from pipeline.live.attention import Attention, AttentionSettings, Listening
from pipeline.live.endpointing import Endpoint, Endpointer, EndpointKind, EndpointSettings
from pipeline.live.gate import EnergyGate, GateSettings
from pipeline.ports import SpeechDetector


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """In seconds. pre_roll: sound sent, and judged, from before speech was detected, for onsets are quiet.

    stall: a track that sends nothing for so long while speaking has stopped speaking.
    gated: whether the energy gate stands before the detector.
    """

    pre_roll: float = 0.5
    stall: float = 1.0
    gated: bool = True
    arrival: ArrivalSettings = field(default_factory=ArrivalSettings)
    gate: GateSettings = field(default_factory=GateSettings)
    attention: AttentionSettings = field(default_factory=AttentionSettings)
    endpoint: EndpointSettings = field(default_factory=EndpointSettings)


class TrackEdge:
    """One track: fed with its frames, gives speech starts, the sound of speech and speech ends.

    Between ``SpeechStarted`` and ``SpeechEnded`` the frames are continuous in time but for what ``AudioLost`` names;
    the first begins ``pre_roll`` before the speech, or where the last speech's frames ended.
    """

    def __init__(self, track: TrackId, detector: SpeechDetector, settings: EdgeSettings | None = None) -> None:
        settings = settings or EdgeSettings()
        self._track = track
        self._detector = detector
        self._gated = settings.gated
        self._block_samples = detector.frame_samples
        block_seconds = self._block_samples / SAMPLE_RATE
        self._pre_roll_blocks = round(settings.pre_roll / block_seconds)
        self._arrivals = Arrivals(settings.arrival)
        self._gate = EnergyGate(block_seconds, settings.gate)
        self._attention = Attention(block_seconds, settings.attention)
        self._endpointer = Endpointer(settings.endpoint)
        # The block being filled, and where it begins.
        self._block: Samples = np.empty(self._block_samples, np.int16)
        self._filled = 0
        self._position = 0
        # Unsent sound: bounded, since speech that is not believed is soon forgotten or sent.
        self._unsent: deque[AudioFrame | AudioLost] = deque()
        self._unjudged = 0  # how many of the newest of them the detector has not heard
        self._foreheard: deque[float] = deque()  # what it said of blocks that are being cut
        self._cut_short = False  # speech stalled: the hole that follows is a loss

    @property
    def speaking(self) -> bool:
        return self._endpointer.speaking

    @property
    def spoken_until(self) -> float:
        """Meeting time up to which somebody may have spoken; 0 before anybody did."""
        return self._endpointer.spoken_until

    @property
    def heard_until(self) -> float:
        """Meeting time up to which sound was taken in."""
        return (self._position + self._filled) / SAMPLE_RATE

    def feed(self, frame: AudioFrame) -> list[TrackEvent]:
        """Takes the next frame as it arrives, perhaps late, doubled or after a hole."""
        return self._take(self._arrivals.arrived(frame))

    def lost(self, start: float, end: float) -> list[TrackEvent]:
        """Takes the tap's word that the sound between ``start`` and ``end`` will never come."""
        events = self._take(self._arrivals.skip_to(round(end * SAMPLE_RATE)))
        self._cross(Hole(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)), events)
        return events

    def close(self) -> list[TrackEvent]:
        """No sound comes for now: speech under way ends. Frames may still follow."""
        events = self._take(self._arrivals.flush())
        self._flush_block(events)
        self._tell(self._endpointer.close(), events)
        self._unsent.clear()
        self._unjudged = 0
        return events

    def stall(self) -> list[TrackEvent]:
        """No sound came for a while: speech under way ends, and what is missing when sound comes back was lost."""
        cut_short = self.speaking
        events = self.close()
        self._cut_short = cut_short
        return events

    def _take(self, arrived: list[Run | Hole]) -> list[TrackEvent]:
        events: list[TrackEvent] = []
        for piece in arrived:
            if isinstance(piece, Hole):
                self._cross(piece, events)
            else:
                self._fill(piece, events)
        return events

    def _fill(self, run: Run, events: list[TrackEvent]) -> None:
        """Cuts sound into blocks of one detector frame."""
        self._cut_short = False  # after a stall it went on where it stopped: the tap says that nothing was lost
        if self._filled == 0:
            self._position = run.start
        if not self._gated:
            self._hear_ahead(run.samples)
        taken = 0
        while taken < len(run.samples):
            count = min(self._block_samples - self._filled, len(run.samples) - taken)
            self._block[self._filled : self._filled + count] = run.samples[taken : taken + count]
            self._filled += count
            taken += count
            if self._filled == self._block_samples:
                self._complete(events)

    def _hear_ahead(self, samples: Samples) -> None:
        """All blocks that ``samples`` fill, at once: a third cheaper. Without a gate the detector hears each anyway."""
        blocks = (self._filled + len(samples)) // self._block_samples
        if blocks > 1:
            sound = np.concatenate((self._block[: self._filled], samples))
            self._foreheard.extend(self._detector.probabilities(sound[: blocks * self._block_samples]))

    def _complete(self, events: list[TrackEvent]) -> None:
        block, self._block = self._block, np.empty(self._block_samples, np.int16)
        frame = AudioFrame(self._track, self._position / SAMPLE_RATE, block[: self._filled])
        self._position += self._filled
        self._filled = 0
        self._unsent.append(frame)
        self._unjudged += 1
        listening = self._listening(frame.samples)
        if listening is Listening.ALL:
            self._judge(events)
        elif listening is Listening.GLANCE:
            self._glance(events)
        self._send(events)

    def _listening(self, block: Samples) -> Listening:
        """How closely the detector should listen now; to all while someone speaks or may be about to."""
        listening = Listening.NOT
        if self._gate.opens(block):
            listening = self._attention.passed(self._gate.power)
        else:
            self._attention.held_back()
        return Listening.ALL if self._endpointer.busy or not self._gated else listening

    def _glance(self, events: list[TrackEvent]) -> None:
        """Looks whether the newest blocks are worth listening to; the one before them is their context."""
        newest = list(self._unsent)[-self._attention.glance_blocks - 1 :]
        samples = [piece.samples for piece in newest if isinstance(piece, AudioFrame)]
        if sum(map(len, samples)) == (self._attention.glance_blocks + 1) * self._block_samples:
            self._attention.judged(self._detector.glance(np.concatenate(samples)))
        else:
            self._judge(events)

    def _judge(self, events: list[TrackEvent]) -> None:
        """Lets the detector hear what it has not heard: this block, and the pre-roll when the gate has just opened."""
        unjudged = [piece for piece in list(self._unsent)[-self._unjudged :] if isinstance(piece, AudioFrame)]
        self._unjudged = 0
        if self._foreheard:
            probabilities = [self._foreheard.popleft()]
        else:
            probabilities = self._detector.probabilities(
                np.concatenate([self._padded(one.samples) for one in unjudged])
            )
        for frame, probability in zip(unjudged, probabilities, strict=True):
            self._attention.judged(probability)
            self._tell(self._endpointer.heard(probability, frame.start, frame.end), events)

    def _tell(self, endpoint: Endpoint | None, events: list[TrackEvent]) -> None:
        if endpoint is None:
            return
        if endpoint.kind is EndpointKind.STARTED:
            events.append(SpeechStarted(self._track, endpoint.at))
            return
        self._drain(events)
        events.append(SpeechEnded(self._track, endpoint.at))

    def _send(self, events: list[TrackEvent]) -> None:
        """While someone speaks all that is unsent goes; else it is kept as far as a speech might need it."""
        if self._endpointer.speaking:
            self._drain(events)
            return
        if self._endpointer.busy:
            return
        while len(self._unsent) > self._pre_roll_blocks:
            self._unsent.popleft()
        self._unjudged = min(self._unjudged, len(self._unsent))

    def _drain(self, events: list[TrackEvent]) -> None:
        """Sends what is unsent, neighbouring blocks as one frame."""
        joined: list[AudioFrame] = []
        for piece in self._unsent:
            if isinstance(piece, AudioFrame):
                joined.append(piece)
                continue
            events.extend(_as_one(joined))
            joined = []
            events.append(piece)
        events.extend(_as_one(joined))
        self._unsent.clear()

    def _cross(self, hole: Hole, events: list[TrackEvent]) -> None:
        """Passes a hole: marked when someone speaks or may be about to; a pause of the microphone otherwise."""
        self._flush_block(events)
        self._position = max(self._position, hole.end)
        start, end = hole.start / SAMPLE_RATE, hole.end / SAMPLE_RATE
        if not self._endpointer.busy:
            self._unsent.clear()
            self._unjudged = 0
            if self._cut_short:
                events.append(AudioLost(self._track, start, end))
            self._cut_short = False
            return
        self._unsent.append(AudioLost(self._track, start, end))
        self._tell(self._endpointer.heard(0.0, start, end), events)
        self._send(events)

    def _flush_block(self, events: list[TrackEvent]) -> None:
        if self._filled:
            self._complete(events)

    def _padded(self, samples: Samples) -> Samples:
        if len(samples) == self._block_samples:
            return samples
        return np.concatenate([samples, np.zeros(self._block_samples - len(samples), np.int16)])


def _as_one(frames: list[AudioFrame]) -> list[AudioFrame]:
    if len(frames) < 2:
        return frames
    return [AudioFrame(frames[0].track, frames[0].start, np.concatenate([frame.samples for frame in frames]))]


class MeetingEdge:
    """All tracks of one tap: makes an edge for each as it opens, and ends speech that stalls."""

    def __init__(self, new_detector: Callable[[], SpeechDetector], settings: EdgeSettings | None = None) -> None:
        self._new_detector = new_detector
        self._settings = settings or EdgeSettings()
        self._edges: dict[TrackId, TrackEdge] = {}
        self._looked_at = float("-inf")

    def feed(self, event: TrackEvent) -> list[TrackEvent]:
        """Takes the next event of the tap. Frames of tracks that are not open are dropped."""
        match event:
            case AudioFrame():
                edge = self._edges.get(event.track)
                events = edge.feed(event) if edge else []
                return events + self.stalled(event.end)
            case TrackOpened():
                self._edges[event.track.id] = TrackEdge(event.track.id, self._new_detector(), self._settings)
                return [event]
            case AudioLost():
                edge = self._edges.get(event.track)
                return edge.lost(event.start, event.end) if edge else []
            case TrackClosed():
                edge = self._edges.pop(event.track, None)
                return [*edge.close(), event] if edge else []
            case SpeechStarted() | SpeechEnded():
                return []  # a tap cannot know

    def stalled(self, now: float) -> list[TrackEvent]:
        """Ends the speech of tracks that sent nothing for a while; for taps that are idle, call it on a timer."""
        if now - self._looked_at < self._settings.stall / 2:
            return []
        self._looked_at = now
        events: list[TrackEvent] = []
        for edge in self._edges.values():
            if edge.speaking and now - edge.heard_until > self._settings.stall:
                events += edge.stall()
        return events

    def pause(self) -> list[TrackEvent]:
        """Nobody listens for now: speech under way ends, and what is missing when sound comes back was not lost."""
        return [passed for edge in self._edges.values() for passed in edge.close()]

    def close(self) -> list[TrackEvent]:
        """The tap is gone: every track that is still open ends."""
        events: list[TrackEvent] = []
        for track, edge in self._edges.items():
            events += [*edge.close(), TrackClosed(track, edge.heard_until)]
        self._edges.clear()
        return events


async def speech_only(
    source: AsyncIterator[TrackEvent], new_detector: Callable[[], SpeechDetector], settings: EdgeSettings | None = None
) -> AsyncIterator[TrackEvent]:
    """What of a tap's events goes on the audio bus."""
    edge = MeetingEdge(new_detector, settings)
    async for event in source:
        for passed in edge.feed(event):
            yield passed
    for passed in edge.close():
        yield passed
