"""What the pipeline needs from outside, each as a protocol of one to three methods."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Sequence
from typing import BinaryIO, Protocol

from pipeline.domain import (
    AudioFrame,
    Caption,
    Diarization,
    Gap,
    Hypothesis,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Pause,
    Presence,
    RecordingId,
    RecordingJob,
    RecordText,
    Samples,
    SpeakerCount,
    TrackEvent,
    TrackId,
    Window,
    WindowKind,
)
from pipeline.export.event import Event, Reading
from pipeline.record.matching import ParticipantSpeech
from pipeline.speakers import VoiceActivity, VoiceKeeping, VoiceStore


class RecognitionRequest(Protocol):
    """A wish for recognition, made precise only when a recogniser has room, so that it hears the newest audio."""

    @property
    def kind(self) -> WindowKind:
        """Its urgency now; a live window becomes a final one when its speech ends while it waits."""

    def cut(self) -> tuple[Window, Samples] | None:
        """The window as it stands now and its samples, or None when it is no longer wanted."""


class Recognizer(Protocol):
    """Turns windows into words; windows of all tracks and meetings share its batches."""

    async def recognize(self, request: RecognitionRequest) -> tuple[Window, Hypothesis] | None:
        """The window that was cut and what was heard in it; None when ``cut`` gave None.

        Raises ``RecognitionFailed``, which carries the window where one was cut.
        """


class Diarizer(Protocol):
    """Says who speaks when in a whole recording; one at a time uses it."""

    def diarize(
        self, samples: Samples, speakers: SpeakerCount = ..., progress: Callable[[float], None] | None = None
    ) -> Diarization:
        """``samples`` of shape (n,) at 16 kHz; ``progress`` is told the part that is done; what it raises ends it."""


class VoiceModel(Protocol):
    """Hears who may speak in windows of shared tracks; windows of all tracks share its batches. Never torch."""

    async def hear(self, samples: Samples, start: float) -> VoiceActivity:
        """``samples`` of shape (n,) at 16 kHz begin at ``start`` in meeting time. Raises ``RecognitionFailed``."""

    async def several(self, samples: Samples) -> bool:
        """The light check: whether more than one voice is in this sound. Raises ``RecognitionFailed``."""


class SpeechDetector(Protocol):
    """How likely one track holds speech, ``frame_samples`` at a time; keeps state between calls."""

    frame_samples: int

    def probabilities(self, samples: Samples) -> list[float]:
        """The speech probability in [0, 1] of each of the next frames, ``samples`` of shape (n * frame_samples,)."""

    def glance(self, samples: Samples) -> float:
        """The highest speech probability of ``samples`` of shape (n * frame_samples,), n at least 2, if they came next.

        The first frame is what came before the others. Nothing of it is kept: what follows is judged as without it.
        """


class AudioSource(Protocol):
    """A tap on an SFU or a recording: tracks that open, send frames and close."""

    def events(self) -> AsyncIterator[TrackEvent]: ...


class AudioBus(Protocol):
    """Carries track events of one meeting from a tap to its session; bounded, oldest speech kept."""

    async def send(self, event: TrackEvent) -> None: ...

    def receive(self) -> AsyncIterator[TrackEvent]: ...

    async def close(self) -> None:
        """Nothing more is sent; what is held can still be received."""


class AudioMemory(Protocol):
    """Keeps the audio of tracks until it is recognised; bounded, the oldest goes first."""

    def append(self, frame: AudioFrame) -> None: ...

    def read(self, track: TrackId, start: float, end: float) -> Samples:
        """Samples from ``start`` to ``end``; silence where nothing was heard."""

    def forget(self, track: TrackId, before: float) -> float:
        """Let go of audio before a moment; the moment from which audio is still kept."""


class MeetingAudioMemory(AudioMemory, Protocol):
    """An ``AudioMemory`` of one meeting, that ends with it."""

    def close(self) -> None: ...


class CaptionSink(Protocol):
    """Shows captions to readers."""

    async def send(self, caption: Caption) -> None: ...


class TranscriptStore(Protocol):
    """Keeps finals, record texts and gaps of one meeting."""

    async def keep_final(self, caption: Caption) -> None: ...

    async def keep_record(self, record: RecordText) -> None: ...

    async def keep_gap(self, gap: Gap) -> None:
        """In place of a shorter one of its track that begins where it does; not beside a longer one."""


class MeetingStore(TranscriptStore, VoiceKeeping, Protocol):
    """A ``TranscriptStore`` of a meeting that outlives its process: what is kept is durable when a call returns."""

    async def keep_open(self, captions: Sequence[Caption]) -> None:
        """Keep the committed words of utterances that have no final yet, in place of what was kept of each."""

    async def keep_pause(self, pause: Pause) -> None:
        """Keep a pause, in place of what was kept of one with the same start."""

    async def keep_presences(self, presences: Sequence[Presence]) -> None:
        """Keep each in place of what was kept of one of its participant that began when it did."""


class OwnedMeetingStore(MeetingStore, Protocol):
    """The ``MeetingStore`` of whoever captions the meeting. Where it claimed it, every call raises ``Superseded`` and
    changes nothing once another has claimed it since."""

    async def keep_end(self, ended_at: float) -> None:
        """The meeting is over; ``ended_at`` is wall clock."""

    async def keep_cut(self) -> None:
        """A session of the meeting ended without being asked to."""

    async def reserve_sequence(self, count: int) -> int:
        """The first of ``count`` event numbers that are given only once."""


class ObjectStore(Protocol):
    """Keeps files under keys such as ``meetings/<id>/audio/<track>.ogg``; ``InvalidInput`` for a key that is none."""

    async def put(self, key: str, content: bytes | BinaryIO) -> None:
        """Keep ``content`` whole or not at all, in place of what the key held; raises ``StorageFull``."""

    async def open(self, key: str) -> BinaryIO:
        """What ``key`` holds, for reading; raises ``NotFound``."""

    async def delete_prefix(self, prefix: str) -> None:
        """Delete everything below the folder ``prefix``; nothing there is no error."""


class EventFeed(Protocol):
    """The events of one meeting, with its history, for any number of readers."""

    @property
    def newest(self) -> int:
        """The number of the newest event."""

    @property
    def readers(self) -> int:
        """How many read it now."""

    def publish(self, event: Event, key: str | None = None) -> int:
        """Stamps ``sequence``, which it gives back; events of one key replace one another in the history."""

    def read(self, after: int | None, *, present: bool = True) -> AsyncGenerator[list[Reading], None]:
        """What is newer than ``after``, all that is kept where that is None or unknown; ends with the feed.

        ``present``: whether somebody is behind it, for whom an empty meeting goes on.
        """

    def history(self, after: int | None = None) -> list[Reading]:
        """What ``read`` would give at once."""

    def close(self) -> None: ...


class AudioKeeper(Protocol):
    """Keeps the sound of the tracks of one meeting."""

    def write(self, frame: AudioFrame) -> None:
        """Takes the next frame of a track; never waits and never raises."""

    async def close(self) -> None:
        """What was taken is kept when this returns."""


class Meetings(Protocol):
    """The meetings that are kept. Raises ``NotFound``, ``StorageFull``."""

    async def meeting(self, meeting: MeetingId) -> Meeting: ...

    async def update_meeting(self, meeting: Meeting) -> None: ...

    async def delete_meeting(self, meeting: MeetingId) -> None:
        """Removes everything of it."""


class MeetingList(Protocol):
    """All meetings."""

    async def meetings(self, query: str = "", before: float | None = None, limit: int = 50) -> list[Meeting]:
        """Newest first, those created before ``before``."""

    async def open_meetings(self) -> list[Meeting]:
        """Those that are not over."""


class Participants(VoiceStore, Protocol):
    """Who takes part and speaks, kept per meeting. Raises ``NotFound``, ``StorageFull``."""

    async def add_participant(self, meeting: MeetingId, participant: Participant, languages: tuple[str, ...]) -> None:
        """Adds, or renames where the id is known."""

    async def rename_participant(self, meeting: MeetingId, participant: ParticipantId, name: str) -> None: ...

    async def mark_shared_room(self, meeting: MeetingId, participant: ParticipantId, shared: bool | None) -> None: ...

    async def participants(self, meeting: MeetingId) -> list[Participant]: ...


class Presences(Protocol):
    """Who was there when."""

    async def presences(self, meeting: MeetingId) -> list[Presence]:
        """In the order in which they began. Raises ``NotFound``."""


class RoomMeetings(Protocol):
    """Which meetings took place in which room of which SFU (``provider``). Raises ``StorageFull``."""

    async def open_meeting_of_room(self, provider: str, room: str) -> Meeting | None:
        """The newest that is not over."""

    async def create_room_meeting(self, provider: str, room: str, meeting: Meeting) -> None:
        """Raises ``InvalidInput`` when its id is taken."""

    async def rooms_of(self, meeting: MeetingId) -> tuple[str, str] | None:
        """Provider and room; None for a meeting that took place in no SFU. Raises ``NotFound``."""


class LinkedRecordings(Protocol):
    """Which room, and which meeting in it, a recording that an SFU made is of. Raises ``StorageFull``."""

    async def link_recording(
        self, recording: str, provider: str, room: str, meeting: MeetingId | None, at: float
    ) -> None:
        """In place of an earlier link of the recording; ``at`` is wall clock. Raises ``NotFound`` for the meeting."""

    async def linked_recording(self, recording: str) -> tuple[str, MeetingId | None] | None:
        """Room and meeting; None for a recording that was never linked, or whose meeting was deleted."""


class Tracks(Protocol):
    """What a new track of a participant is called and spoken in."""

    async def next_track(self, meeting: MeetingId, participant: ParticipantId) -> TrackId:
        """``<participant>.<number>``: an id that the meeting never had, not even before a restart."""

    async def languages(self, meeting: MeetingId) -> dict[ParticipantId, tuple[str, ...]]:
        """What each participant declared to speak; empty means the languages of the meeting."""


class Numbers(Protocol):
    """Numbers of events that never come twice in a meeting, not even after the process was killed."""

    async def reserve_sequence(self, meeting: MeetingId, count: int = 10_000) -> int:
        """The first of ``count`` numbers."""


class Transcripts(Protocol):
    """The transcripts of all meetings."""

    def for_meeting(self, meeting: MeetingId, fence: int | None = None) -> OwnedMeetingStore:
        """Under a ``fence`` that ``Ownership.claim`` gave, or for the one process there is."""

    async def finals(self, meeting: MeetingId) -> list[Caption]: ...

    async def pauses(self, meeting: MeetingId) -> list[Pause]: ...


class Recovery(Protocol):
    """What a killed process left behind."""

    async def close_unfinished(self) -> Sequence[MeetingId]:
        """Makes finals of utterances that have none, from their committed words, and ends the presences that last.

        The meetings with such utterances, now marked cut.
        """


class Ownership(Protocol):
    """Meetings whose sessions go from one process to another. Raises ``NotFound``."""

    async def claim(self, meeting: MeetingId) -> int:
        """A fence: whatever is written under one claimed before is refused from now on."""

    async def open_captions(self, meeting: MeetingId) -> list[Caption]:
        """The committed words of utterances that have no final."""

    async def unrecorded(self, meeting: MeetingId, since: float) -> list[Caption]:
        """The finals without record text whose words end after ``since``, in the order in which they were spoken."""


class KeptMeetings(
    Meetings, MeetingList, Participants, Presences, Tracks, Numbers, Transcripts, Recovery, Ownership, Protocol
):
    """All that running meetings need of the store."""


class Leases(Protocol):
    """Says who of several processes may do something, by a key; a lease that is not renewed ends by itself."""

    async def acquire(self, key: str, seconds: float) -> bool:
        """Takes the lease of ``key`` for so long; False while somebody else holds it."""

    async def renew(self, key: str, seconds: float) -> bool:
        """Holds it for ``seconds`` from now on; False when it is not held any more, and then it is not taken."""

    async def release(self, key: str) -> None:
        """Lets go of it; does nothing when it is not held."""


class RecordedSound(Protocol):
    """A recording that can be decoded; ``duration`` is in seconds, None while nobody knows."""

    @property
    def duration(self) -> float | None: ...

    def pieces(self, seconds: float) -> Iterator[Samples]:
        """The sound in pieces of ``seconds``, the last one shorter; raises ``UnreadableMedia``."""


class Sounds(Protocol):
    """The sound of recordings until it is transcribed; called in threads, since files are read."""

    def open(self, recording: RecordingId) -> RecordedSound:
        """Raises ``UnreadableMedia``."""

    def remove(self, recording: RecordingId) -> None:
        """Nobody needs it any more; nothing there is no error."""

    def remove_others(self, kept: Collection[RecordingId]) -> None:
        """Removes what an earlier process left behind."""


class Recordings(Protocol):
    """The uploaded recordings. Raises ``NotFound`` for one that was deleted, ``StorageFull``."""

    async def recording(self, recording: RecordingId) -> RecordingJob: ...

    async def recordings(self) -> list[RecordingJob]:
        """Newest first."""

    async def update_recording(self, recording: RecordingJob) -> None: ...


class RecordedMeetings(Recordings, Protocol):
    """Where the transcripts of recordings go."""

    async def speech_in(self, recording: RecordingId) -> Sequence[ParticipantSpeech]:
        """Who spoke when in it, where that is known."""

    async def finish_recording(
        self, job: RecordingJob, meeting: Meeting, participants: Sequence[Participant], sentences: Sequence[Caption]
    ) -> None:
        """Keep ``job`` and the meeting it became, whole or not at all.

        ``sentences`` name their participant in place of their track, which they get here.
        """
