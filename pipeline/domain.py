"""The words of the product as values: ids, audio, captions, segments, turns, transcripts.

Time is float seconds of meeting time in fields named ``start``, ``end`` and ``at``. Audio is 16 kHz mono signed 16-bit
PCM. The text of a word carries its own leading space, so that texts join with ``"".join``.
"""

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NewType

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000

MeetingId = NewType("MeetingId", str)
ParticipantId = NewType("ParticipantId", str)
TrackId = NewType("TrackId", str)
UtteranceId = NewType("UtteranceId", str)
SegmentId = NewType("SegmentId", str)
RecordingId = NewType("RecordingId", str)
Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Participant:
    """A connected endpoint of a meeting, named as its own meeting service names it.

    ``shared_room`` says whether several people share its microphone, None where nobody said.
    """

    id: ParticipantId
    name: str
    shared_room: bool | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """One published audio track of one participant; ``languages`` empty means those of the meeting."""

    id: TrackId
    participant: Participant
    languages: tuple[str, ...] = ()


class Settled(Enum):
    """By what a second look, after the meeting, settled its transcript; ``FAILED``: it could not."""

    NOTHING = "nothing"
    SOUND = "sound"
    VOICES = "voices"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting as it is kept. ``languages`` empty means those of the settings; wall clock in seconds since 1970.

    ``keep_audio`` keeps the sound of each track with the meeting; ``cut`` says that a session of it ended without being
    asked to; ``settled`` is None until it was looked at again. Meeting time 0 is ``created_at``.
    """

    id: MeetingId
    title: str
    created_at: float
    languages: tuple[str, ...] = ()
    glossary: tuple[str, ...] = ()
    keep_audio: bool = False
    ended_at: float | None = None
    cut: bool = False
    settled: Settled | None = None


# --- what a tap sends over the audio bus, in order, per track -----------------------------------------


@dataclass(frozen=True, slots=True)
class TrackOpened:
    track: Track
    at: float


@dataclass(frozen=True, slots=True, eq=False)
class AudioFrame:
    """Decoded audio of one track: ``samples`` of shape (n,), starting at ``start`` seconds of meeting time."""

    track: TrackId
    start: float
    samples: Samples

    @property
    def end(self) -> float:
        return self.start + len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech begins at ``at``; the frames that follow begin there or before (pre-roll)."""

    track: TrackId
    at: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    track: TrackId
    at: float


@dataclass(frozen=True, slots=True)
class AudioLost:
    """Sound between ``start`` and ``end`` that reached nobody: it is marked, never passed on as silence."""

    track: TrackId
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class TrackClosed:
    track: TrackId
    at: float


TrackEvent = TrackOpened | AudioFrame | SpeechStarted | SpeechEnded | AudioLost | TrackClosed


# --- recognition ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word; ``text`` keeps its leading space and punctuation, ``confidence`` is in [0, 1];
    ``level`` is how loud it was in dBFS, where that was measured, and makes no word unequal to another."""

    text: str
    start: float
    end: float
    confidence: float = 1.0
    level: float | None = field(default=None, compare=False)


class WindowKind(IntEnum):
    """Why a window is recognised; the order is the order of service."""

    FINAL = 0
    LIVE = 1
    RECORD = 2
    RECORDING = 3


@dataclass(frozen=True, slots=True)
class Window:
    """Audio of one track that the live core wants recognised.

    ``prefix`` holds the committed words inside the window: the recogniser continues after them and does not return
    them. ``language`` is None while it is unknown; then, and when ``detect_language`` is set, the hypothesis says how
    likely each of ``languages`` is in the audio from ``detect_from`` on. ``glossary`` holds terms that may be said.
    """

    track: TrackId
    utterance: UtteranceId
    kind: WindowKind
    start: float
    end: float
    languages: tuple[str, ...]
    language: str | None = None
    detect_language: bool = False
    detect_from: float = 0.0
    prefix: tuple[Word, ...] = ()
    glossary: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a recogniser heard in one window, in meeting time, after the window's prefix; ``cut`` says that the
    recogniser's guards took words away, so that speech may be missing."""

    words: tuple[Word, ...]
    language: str
    language_scores: tuple[tuple[str, float], ...] = ()
    cut: bool = False


# --- captions --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caption:
    """One state of one utterance: committed words, which never change, and a tail, which may.

    ``lag`` is how many seconds of heard audio were still unrecognised when the caption was made; ``levels`` of a final
    say how loud its track was (dBFS) from each of some moments on, where that is known."""

    track: TrackId
    utterance: UtteranceId
    revision: int
    final: bool
    language: str
    words: tuple[Word, ...]
    tail: tuple[Word, ...] = ()
    lag: float = 0.0
    levels: tuple[tuple[float, float], ...] = field(default=(), compare=False)

    @property
    def committed(self) -> str:
        return "".join(word.text for word in self.words)


# --- the record --------------------------------------------------------------------------------------------


class Origin(Enum):
    """Where the text of a segment comes from, best first."""

    CORRECTION = "correction"
    RECORD = "record"
    CAPTION = "caption"


@dataclass(frozen=True, slots=True)
class RecordText:
    """The second recognition of one or more joined utterances, kept beside their caption texts."""

    track: TrackId
    utterances: tuple[UtteranceId, ...]
    language: str
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stored, timed piece of one speaker with every text it ever had.

    ``count`` is how many caption words it has, those included that another track says as well; None where nobody knows.
    """

    id: SegmentId
    track: TrackId
    participant: Participant
    start: float
    end: float
    language: str
    caption: tuple[Word, ...] = ()
    record: tuple[Word, ...] = ()
    correction: str | None = None
    count: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Gap:
    """Audio of a track that was never recognised, and why; marked in every transcript."""

    track: TrackId
    participant: Participant
    start: float
    end: float
    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which nobody was listened to, because somebody asked for it; ``end`` is None while it lasts."""

    start: float
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """A time in which a participant was there, in meeting time; ``left`` is None while it lasts."""

    participant: ParticipantId
    joined: float
    left: float | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """Consecutive segments of one speaker."""

    participant: Participant
    segments: tuple[Segment, ...]

    @property
    def start(self) -> float:
        return self.segments[0].start

    @property
    def end(self) -> float:
        return max(segment.end for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Transcript:
    """The record of one meeting, segments in order of their start; ``folded`` are copies of what other tracks say."""

    meeting: MeetingId
    segments: tuple[Segment, ...]
    gaps: tuple[Gap, ...] = ()
    title: str = ""
    participants: tuple[Participant, ...] = field(default=())
    pauses: tuple[Pause, ...] = ()
    cut: bool = False
    folded: tuple[Segment, ...] = ()


# --- who spoke when ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VoiceSpan:
    """A time in which one voice speaks; voices of a recording are numbered from 1."""

    voice: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """What is known of how many voices there are: ``exactly``, or bounds; None is not known."""

    exactly: int | None = None
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Diarization:
    """Who spoke when. ``exclusive`` has one voice at a time, for words; ``spans`` overlap where people do.

    ``centroids`` of shape (voices, dimension) say what each voice sounds like, in the order of their numbers.
    """

    spans: tuple[VoiceSpan, ...] = ()
    exclusive: tuple[VoiceSpan, ...] = ()
    centroids: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    @property
    def voices(self) -> tuple[int, ...]:
        return tuple(sorted({span.voice for span in self.spans}))


@dataclass(frozen=True, slots=True)
class VoiceRun:
    """``count`` committed words of ``utterance``, from number ``first`` on, were said by ``voice`` of its participant.

    Words and what they are numbered by are those of the caption; numbers begin at 0. Voices are numbered from 1 per
    participant.
    """

    utterance: UtteranceId
    first: int
    count: int
    voice: int


# --- recordings ---------------------------------------------------------------------------------------------


class RecordingState(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RecordingJob:
    """An uploaded recording that becomes the ended meeting ``meeting``, and how far it is.

    The work on ``heard`` of its ``duration`` seconds is done; ``duration`` is None until somebody has looked.
    ``error`` is a sentence for whoever uploaded it. Wall clock in seconds since 1970.
    """

    id: RecordingId
    title: str
    created_at: float
    meeting: MeetingId
    languages: tuple[str, ...] = ()
    state: RecordingState = RecordingState.WAITING
    heard: float = 0.0
    duration: float | None = None
    error: str | None = None

    @property
    def progress(self) -> float:
        """In [0, 1]; 1 means that the transcript is there."""
        if self.state is RecordingState.DONE:
            return 1.0
        return min(self.heard / self.duration, 0.99) if self.duration else 0.0
