"""Plays a timeline of a meeting through the live core, tick by tick, and lets a witness watch the laws.

The recogniser of a timeline answers after ``latency`` seconds of meeting time, knows at most ``kept`` seconds of
audio, and has bad moments. Nothing here knows a clock: the same timeline gives the same captions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.domain import (
    Caption,
    Gap,
    Hypothesis,
    Participant,
    ParticipantId,
    RecordText,
    Track,
    TrackId,
    Window,
    WindowKind,
    Word,
)
from pipeline.live.meeting import MeetingCaptioner
from tests.timelines.hearing import Said
from tests.timelines.laws import Witness

ROUNDS = 1000
"""A meeting that is over is recognised in far fewer rounds than this, or it never is."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happens at a moment; of moments at one time the first given comes first."""

    at: float
    happens: Callable[["Player"], None]


class Ears(Protocol):
    def hear(self, window: Window) -> Hypothesis: ...


@dataclass(frozen=True, slots=True)
class Recogniser:
    """How the recogniser of a timeline behaves. ``busy`` and ``failing`` are spans of meeting time."""

    latency: float = 0.3
    kept: float = 1e9
    busy: tuple[tuple[float, float], ...] = ()
    failing: tuple[tuple[float, float], ...] = ()


@dataclass(slots=True)
class Player:
    """Drives one meeting; ``captions``, ``gaps`` and ``records`` are what came of it.

    ``gone`` says up to when the audio of a track never came, ``loud`` how loud tracks are (dBFS), where that is told.
    """

    core: MeetingCaptioner
    ears: Ears
    recogniser: Recogniser = Recogniser()
    tick: float = 0.1
    witness: Witness = field(default_factory=Witness)
    gaps: list[Gap] = field(default_factory=list)
    records: list[RecordText] = field(default_factory=list)
    now: float = 0.0
    sending: set[TrackId] = field(default_factory=set)
    gone: dict[TrackId, float] = field(default_factory=dict)
    loud: dict[TrackId, float] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)
    _on_their_way: list[tuple[float, Window]] = field(default_factory=list)

    @property
    def captions(self) -> list[Caption]:
        return self.witness.captions

    @property
    def finals(self) -> list[Caption]:
        return [caption for caption in self.captions if caption.final]

    def play(self, moments: Sequence[Moment]) -> None:
        """The whole meeting, to its end and until nothing is left to recognise."""
        self.play_until(float("inf"), moments)
        self.core.close()
        self.drain()
        self.settle()

    def play_until(self, end: float, moments: Sequence[Moment]) -> None:
        """The meeting from ``now`` on; at ``end`` all stops where it is."""
        waiting = sorted(moments, key=lambda moment: moment.at)
        while (waiting or self._on_their_way) and self.now < end:
            self.now = round(self.now + self.tick, 6)
            while waiting and waiting[0].at <= self.now:
                waiting.pop(0).happens(self)
                self.drain()
            for track in sorted(self.sending):
                self.sounds(track)
            self.core.quiet_until(self.now)
            self.recognise()

    def settle(self) -> None:
        for _ in range(ROUNDS):
            if self.core.idle:
                break
            self.now = round(self.now + self.tick, 6)
            self.recognise()
        assert self.core.idle, "what was heard is recognised in the end, or given up"
        self.witness.has_seen_everything()

    # --- what may happen ----------------------------------------------------------------------------------

    def opens(self, track: TrackId, languages: tuple[str, ...] = ()) -> None:
        self.core.track_opened(Track(track, Participant(ParticipantId(track), track.title()), languages))

    def starts(self, track: TrackId, at: float) -> None:
        """Speech is detected now, and began at ``at``."""
        self.witness.speech_started(track, at)
        self.core.speech_started(track, at)
        self.sending.add(track)
        if track in self.loud:
            self.core.audio_level(track, at, self.now, self.loud[track])

    def sounds(self, track: TrackId) -> None:
        """Sound of speech comes, until now."""
        if track in self.loud:
            self.core.audio_level(track, self.now - self.tick, self.now, self.loud[track])
        self.core.audio_until(track, self.now)

    def ends(self, track: TrackId, at: float) -> None:
        """Speech is over now, since ``at``."""
        if track in self.sending:
            self.sounds(track)
        self.witness.speech_ended(track, at)
        self.core.speech_ended(track, at)
        self.sending.discard(track)

    def closes(self, track: TrackId) -> None:
        self.witness.speech_ended(track, self.now)
        self.core.track_closed(track, self.now)
        self.sending.discard(track)

    def loses(self, track: TrackId, start: float, end: float) -> None:
        self.core.audio_lost(track, start, end, "lost on the way")

    # --- the recogniser -----------------------------------------------------------------------------------

    def recognise(self) -> None:
        """Answers that are due come back; windows that are wanted go out."""
        due = [window for at, window in self._on_their_way if at <= self.now]
        self._on_their_way = [(at, window) for at, window in self._on_their_way if at > self.now]
        for window in due:
            if _within(self.now, self.recogniser.failing):
                self.core.recognition_failed(window)
            else:
                self.core.hypothesis(window, self.ears.hear(window))
            self.drain()
        if not _within(self.now, self.recogniser.busy):
            for track, kind in self.core.wanted():
                kept = max(0.0, self.now - self.recogniser.kept, self.gone.get(track, 0.0))
                window = self.core.window_to_recognize(track, kind is WindowKind.RECORD, kept)
                if window is not None:
                    self.windows.append(window)
                    self._on_their_way.append((self.now + self.recogniser.latency, window))
        self.drain()

    def drain(self) -> None:
        for caption in self.core.captions_to_send():
            self.witness.sees(caption, self.now)
        self.records += self.core.records_to_keep()
        self.gaps += self.core.gaps_to_mark()


def _within(moment: float, spans: tuple[tuple[float, float], ...]) -> bool:
    return any(start <= moment < end for start, end in spans)


# --- speech ---------------------------------------------------------------------------------------------------

ONSET = 0.2
"""How long after it began speech is detected."""
HANG = 0.5
"""How long after it ended the end of speech is detected."""


def spoken(texts: Sequence[str], start: float, end: float, language: str = "en") -> tuple[Said, ...]:
    """Words that share the time from ``start`` to ``end`` evenly."""
    step = (end - start) / max(1, len(texts))
    return tuple(
        Said(Word(f" {text}", round(start + k * step, 3), round(start + (k + 1) * step - 0.02, 3)), language)
        for k, text in enumerate(texts)
    )


def speech(track: TrackId, start: float, end: float) -> tuple[Moment, Moment]:
    """Speech from ``start`` to ``end``, detected a little later, as a speech detector does."""
    return (
        Moment(start + ONSET, lambda player: player.starts(track, start)),
        Moment(end + HANG, lambda player: player.ends(track, end)),
    )
