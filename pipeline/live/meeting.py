"""Captions of one meeting: many tracks, one set of languages and one glossary. Sans-IO."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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
from pipeline.live.captioner import TrackCaptioner
from pipeline.live.crosstalk import CrossTalk
from pipeline.live.language import LanguageTracker
from pipeline.live.policies import AlignAtt, CommitPolicy
from pipeline.live.record_windows import RecordWindows
from pipeline.live.settings import LiveSettings

_LEAD = 0.3
"""Audio before the first word of a final of another session that its record window includes."""

_GONE = 120.0
"""Sound that has not come again so long after it was heard never will: its finals keep their caption text."""


@dataclass(slots=True)
class _Line:
    """All that is live about one track; ``languages`` are its own, where it has any.

    ``unrecorded`` are finals of another session without record text, until their audio is here.
    """

    participant: Participant
    languages: tuple[str, ...]
    captioner: TrackCaptioner
    record: RecordWindows
    closed: bool = False
    unrecorded: deque[Caption] = field(default_factory=deque)

    @property
    def recorded(self) -> bool:
        """Whether the record has all finals there are."""
        return self.record.idle and not self.unrecorded

    @property
    def quiet(self) -> bool:
        """Whether nothing more comes of it until it is fed something."""
        return not self.captioner.busy and self.recorded

    @property
    def ended(self) -> bool:
        """Whether nothing more can come of it."""
        return self.closed and self.quiet

    def record_until(self, at: float) -> None:
        """Audio up to ``at`` is here: finals of another session are recognised for the record."""
        while self.unrecorded and self.unrecorded[0].words[-1].end <= at:
            final = self.unrecorded.popleft()
            self.record.finished(final.words[0].start, final)

    @property
    def needed_from(self) -> float:
        """Audio before this moment is needed by no further window."""
        live, record = self.captioner.needed_from, self.record.needed_from
        waiting = [final.words[0].start - _LEAD for final in self.unrecorded]
        return max(0.0, min([live if record is None else record, live, *waiting]))


@dataclass(slots=True)
class MeetingCaptioner:
    """Fed with track events, hypotheses and words, drained of windows, captions, record texts and gaps.

    ``makes_record``: whether finals are recognised once more for a transcript that somebody keeps.
    """

    settings: LiveSettings = field(default_factory=LiveSettings)
    languages: tuple[str, ...] = ("fr", "en")
    new_policy: Callable[[], CommitPolicy] | None = None
    makes_record: bool = True
    _glossary: tuple[str, ...] = ()
    _lines: dict[TrackId, _Line] = field(default_factory=dict)
    _active: dict[TrackId, _Line] = field(default_factory=dict)  # those that were fed something since they were quiet
    _crosstalk: CrossTalk = field(default_factory=CrossTalk)
    _records: list[RecordText] = field(default_factory=list)
    _gaps: list[Gap] = field(default_factory=list)

    # --- in ---------------------------------------------------------------------------------------------

    def track_opened(self, track: Track) -> None:
        """A track comes, or comes back under its id; a participant's name joins the glossary when there is one."""
        line = self._lines.get(track.id)
        if line is not None:
            line.closed = False
            return
        tracker = LanguageTracker(track.languages or self.languages)
        policy = self.new_policy or self._align_att
        captioner = TrackCaptioner(track.id, self.settings, policy, tracker, crosstalk=self._crosstalk)
        record = RecordWindows(track.id, self.settings.record_join, self.settings.record_window)
        self._lines[track.id] = _Line(track.participant, track.languages, captioner, record)
        self._share_glossary()

    def resume(
        self, track: Track, finals: Sequence[Caption], shown: Caption | None, unrecorded: Sequence[Caption]
    ) -> None:
        """Opens a track where another session stopped, before anything else is fed of it.

        ``finals`` are all of the track in the order of their words, ``shown`` the newest caption of the utterance that
        has no final, ``unrecorded`` the finals without record text. Ids go on after the highest of them; committed
        words stay. What is then fed again from before changes nothing.
        """
        self.track_opened(track)
        line = self._fed(track.id)
        line.captioner.resume(finals, shown)
        line.unrecorded.extend(final for final in unrecorded if final.words)

    def reset(self, track: TrackId) -> None:
        """The next window of the track is heard alone, its language looked for anew; committed words become a final."""
        line = self._fed(track)
        line.captioner.reset()
        self._collect(line)

    def set_glossary(self, terms: tuple[str, ...]) -> None:
        """The meeting's terms from now on, also while it runs."""
        self._glossary = terms
        self._share_glossary()

    def set_languages(self, languages: tuple[str, ...], participant: ParticipantId | None = None) -> None:
        """The languages from now on, of the meeting or of one participant, whose own then go before the meeting's.

        A participant without languages has those of the meeting again.
        """
        if participant is None:
            self.languages = languages
        for line in self._lines.values():
            if line.participant.id == participant:
                line.languages = languages
            self._tell_languages(line)

    def knows(self, track: TrackId) -> bool:
        """Whether it was ever opened: nothing else may be fed of one that was not."""
        return track in self._lines

    def speech_started(self, track: TrackId, at: float) -> None:
        line = self._fed(track)
        self._crosstalk.speaks(track)
        line.captioner.speech_started(at)

    def audio_until(self, track: TrackId, at: float) -> None:
        line = self._fed(track)
        line.captioner.audio_until(at)
        line.record_until(at)

    @property
    def compares_levels(self) -> bool:
        """Whether ``audio_level`` is of use: two tracks or more have spoken."""
        return self._crosstalk.compares

    def audio_level(self, track: TrackId, start: float, end: float, level_db: float) -> None:
        """The sound of ``track`` between two moments is so loud (dBFS): it tells whose microphone hears whom from afar.

        Tracks of which this is never fed are no copies of others.
        """
        self._crosstalk.audio_level(track, start, end, level_db)

    def speech_ended(self, track: TrackId, at: float) -> None:
        line = self._fed(track)
        line.captioner.speech_ended(at)
        self._collect(line)

    def streamed(self, track: TrackId, on: bool) -> None:
        """The words of utterances of ``track`` that begin while this is ``on`` come by themselves, others from windows.

        Windows go on with utterances whose words came by themselves once it is not ``on``.
        """
        streams = self._lines[track].captioner.streams
        if on:
            streams.on = True
        else:
            streams.stop()

    def stream_begins(self, track: TrackId) -> float | None:
        """A stream is about to begin: from which moment it must hear, for nothing to be missing.

        None where no words are to come by themselves. What it says of committed words is not taken again.
        """
        return self._lines[track].captioner.streams.begins()

    def words(self, track: TrackId, words: Sequence[Word], tail: Sequence[Word], until: float) -> None:
        """What came by itself: ``words`` are committed, ``tail`` is shown, all sound before ``until`` was heard.

        Speech that has ended gets its final once ``until`` reaches its end. Times are meeting time, as good as may be.
        """
        line = self._fed(track)
        line.captioner.words(words, tail, until)
        self._collect(line)

    def audio_lost(self, track: TrackId, start: float, end: float, reason: str) -> None:
        """Sound that will never be recognised: marked in the transcript, but for what another session heard of it."""
        line = self._lines[track]
        start = max(start, line.captioner.committed_until)
        if start < end:
            self._gaps.append(Gap(track, line.participant, start, end, reason))

    def quiet_until(self, at: float) -> None:
        """Meeting time is ``at``: tracks where nobody speaks have been silent until then."""
        for line in self._active.values():
            if line.unrecorded and at - line.unrecorded[-1].words[-1].end > _GONE:
                line.record_until(float("inf"))
            if not line.captioner.busy:
                line.record.quiet(at)

    def track_closed(self, track: TrackId, at: float) -> None:
        line = self._fed(track)
        line.closed = True
        line.captioner.closed(min(at, line.captioner.audio_end))
        line.record_until(float("inf"))
        self._collect(line)

    def close(self) -> None:
        """The meeting is over: every track ends where its audio does."""
        for track in self._lines:
            self.track_closed(track, float("inf"))

    def hypothesis(self, window: Window, heard: Hypothesis) -> None:
        line = self._fed(window.track)
        if window.kind is WindowKind.RECORD:
            record = line.record.recognized(window, heard.words, heard.cut)
            if record is not None:
                self._records.append(record)
            return
        line.captioner.hypothesis(window, heard)
        self._collect(line)

    def recognition_failed(self, window: Window) -> None:
        line = self._fed(window.track)
        if window.kind is WindowKind.RECORD:
            line.record.failed(window)
            return
        line.captioner.recognition_failed(window)
        self._collect(line)

    # --- out --------------------------------------------------------------------------------------------

    def wanted(self) -> list[tuple[TrackId, WindowKind]]:
        """What may be asked of a recogniser now: per track at most one live or final window and one for the record."""
        wishes = []
        for track, line in self._active.items():
            kind = line.captioner.wanted()
            if kind is not None:
                wishes.append((track, kind))
            if line.record.wanted:
                wishes.append((track, WindowKind.RECORD))
        return wishes

    def window_to_recognize(self, track: TrackId, record: bool, not_before: float) -> Window | None:
        """The window to recognise now; audio before ``not_before`` is no longer kept."""
        line = self._lines[track]
        if record:
            return line.record.window_to_recognize(line.captioner.glossary, not_before)
        window = line.captioner.window_to_recognize(not_before)
        self._collect(line)
        return window

    def captions_to_send(self) -> list[Caption]:
        captions = [caption for line in self._active.values() for caption in line.captioner.captions_to_send()]
        for track in [track for track, line in self._active.items() if line.quiet]:
            if self._active.pop(track).closed:
                self._crosstalk.forget(track)
        return captions

    def records_to_keep(self) -> list[RecordText]:
        records, self._records = self._records, []
        return records

    def gaps_to_mark(self) -> list[Gap]:
        gaps, self._gaps = self._gaps, []
        return gaps

    def needed_from(self, track: TrackId) -> float:
        """Audio of ``track`` before this moment may be forgotten: all of a track that has ended and is recognised."""
        line = self._lines[track]
        return float("inf") if line.ended else line.needed_from

    def unsettled_from(self) -> dict[TrackId, float]:
        """Per track, from which moment on another session would have to hear it again, were this one to stop now.

        Infinity for a track that has ended; of one where nobody speaks, the end of what was heard.
        """
        return {track: _unsettled_from(line) for track, line in self._lines.items()}

    def wordless(self) -> dict[TrackId, float]:
        """Per track where speech waits for words, the moment since which none of its words came."""
        found = {track: line.captioner.wordless_since for track, line in self._active.items()}
        return {track: since for track, since in found.items() if since is not None}

    def streaming(self, track: TrackId) -> bool:
        """Whether words of it are to come by themselves: somebody speaks, or the last words are not there yet."""
        return self._lines[track].captioner.streams.begun is not None

    def languages_of(self, track: TrackId) -> tuple[str, ...]:
        """Those that may be spoken on it."""
        return self._lines[track].languages or self.languages

    def audio_end(self, track: TrackId) -> float:
        """Until when its sound is known."""
        return self._lines[track].captioner.audio_end

    def kind_of(self, track: TrackId) -> WindowKind:
        """How urgent the track's live window is now."""
        return self._lines[track].captioner.urgency

    @property
    def captioning(self) -> bool:
        """Whether an utterance has no final yet."""
        return any(line.captioner.busy for line in self._active.values())

    @property
    def talking(self) -> int:
        """On how many tracks somebody speaks, or has not been captioned to the end."""
        return sum(line.captioner.busy for line in self._active.values())

    def ended(self, track: TrackId) -> bool:
        """Whether ``track`` is closed and every utterance of it has its final."""
        line = self._lines.get(track)
        return line is not None and line.closed and not line.captioner.busy

    def behind(self, now: float) -> float:
        """Seconds for which the speech that has waited longest has been waiting for recognition."""
        waits = [
            line.captioner.lag + max(0.0, now - line.captioner.audio_end)
            for line in self._active.values()
            if line.captioner.lag > 0.0
        ]
        return max(waits, default=0.0)

    @property
    def idle(self) -> bool:
        """Nothing is open, on its way or still to be recognised."""
        return all(not line.captioner.busy and line.recorded for line in self._active.values())

    # --- inside -----------------------------------------------------------------------------------------

    def _fed(self, track: TrackId) -> _Line:
        """The line of ``track``, of which something may come from now on."""
        line = self._active[track] = self._lines[track]
        return line

    def _align_att(self) -> CommitPolicy:
        settings = self.settings
        return AlignAtt(settings.margin, settings.doubt, settings.sure, settings.step, settings.stretch)

    def _collect(self, line: _Line) -> None:
        for utterance, final in line.captioner.finished_utterances():
            if self.makes_record:
                line.record.finished(utterance.start, final)
        for start, end in line.captioner.unheard():
            self._gaps.append(Gap(line.captioner.track, line.participant, start, end, "not recognised"))
        if line.closed and not line.captioner.busy:
            line.record.quiet(float("inf"))

    def _tell_languages(self, line: _Line) -> None:
        """Words that are committed stay; a language that is known stays where it is still among them."""
        languages = line.languages or self.languages
        tracker = line.captioner.language
        if tracker.languages != languages:
            known = tracker.current if tracker.current in languages else None
            line.captioner.language = LanguageTracker(languages, known)

    def _share_glossary(self) -> None:
        names = tuple(line.participant.name for line in self._lines.values()) if self._glossary else ()
        terms = tuple(dict.fromkeys((*self._glossary, *names)))
        for line in self._lines.values():
            line.captioner.glossary = terms


def _unsettled_from(line: _Line) -> float:
    if line.ended:
        return float("inf")
    if line.captioner.busy or not line.recorded:
        return line.needed_from
    return max(line.captioner.audio_end, line.captioner.committed_until)
