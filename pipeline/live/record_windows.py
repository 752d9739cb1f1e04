"""What is recognised once more as a whole for the record, after its speech has ended."""

from collections import deque
from dataclasses import dataclass, field, replace

from pipeline.domain import Caption, RecordText, TrackId, UtteranceId, Window, WindowKind, Word

_LEAD = 0.3
_TRAIL = 0.3
_ATTEMPTS = 2
_LEAST_SHARE = 0.7
_LEAST_SHARE_OF_PART = 0.6
_STOPPED_EARLY, _LEFT_OUT = 0.8, 2
"""A record text that ends so many seconds and captioned words before its speech does is completed by them."""
_FEW = 5
"""An utterance of at least so many words, of which the record has fewer than that share, was skipped."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One utterance with the words that were captioned."""

    utterance: UtteranceId
    start: float
    words: tuple[Word, ...]

    @property
    def end(self) -> float:
        return self.words[-1].end


@dataclass(frozen=True, slots=True)
class _Span:
    """Neighbouring utterances that one window holds."""

    parts: tuple[_Part, ...]
    language: str
    lead: float = _LEAD
    trail: float = _TRAIL
    retried: bool = False

    @property
    def utterances(self) -> tuple[UtteranceId, ...]:
        return tuple(part.utterance for part in self.parts)

    @property
    def start(self) -> float:
        return self.parts[0].start

    @property
    def end(self) -> float:
        return max(part.end for part in self.parts)

    @property
    def words(self) -> int:
        return sum(len(part.words) for part in self.parts)

    def skipped_by(self, words: tuple[Word, ...]) -> bool:
        """Whether a record text of ``words`` lacks too much of what was captioned, in all or in one utterance."""
        if len(words) < _LEAST_SHARE * self.words:
            return True
        middles = [(word.start + word.end) / 2 for word in words]
        for part, following in zip(self.parts, (*self.parts[1:], None), strict=True):
            until = following.start if following else float("inf")
            heard = sum(part.start - self.lead <= middle < until for middle in middles)
            if len(part.words) >= _FEW and heard < _LEAST_SHARE_OF_PART * len(part.words):
                return True
        return False

    def completing(self, words: tuple[Word, ...]) -> tuple[Word, ...]:
        """The captioned words after a record text that stopped early, as Whisper does after its last timestamp."""
        stopped = max((word.end for word in words), default=self.end)
        rest = tuple(word for part in self.parts for word in part.words if (word.start + word.end) / 2 > stopped)
        return rest if len(rest) >= _LEFT_OUT and self.end - stopped > _STOPPED_EARLY else ()

    def again(self) -> tuple["_Span", ...]:
        """The earlier and the later utterances apart; a long one alone once more, with other sound around it."""
        middle = len(self.parts) // 2
        if not middle:
            worth = self.words >= _FEW and not self.retried
            return (replace(self, lead=2 * _LEAD, retried=True),) if worth else ()
        between = max(0.0, self.parts[middle].start - self.parts[middle - 1].end)
        return (
            replace(self, parts=self.parts[:middle], trail=min(_TRAIL, between)),
            replace(self, parts=self.parts[middle:], lead=min(_LEAD, between)),
        )


@dataclass(slots=True)
class RecordWindows:
    """Joins finished utterances of one track into windows: neighbours closer than ``join``, up to ``longest`` seconds.

    Cutting at every pause costs as much as streaming does (docs/benchmarks.md), so windows are long. Utterances
    without words are not asked for: the record adds no text where nothing was captioned. Nor are those that no one
    window can hold (a track that lagged): half a record text would hide the whole caption text.
    """

    track: TrackId
    join: float
    longest: float
    _growing: _Span | None = None
    _ready: deque[_Span] = field(default_factory=deque)
    _in_flight: tuple[Window, _Span] | None = None
    _attempts: int = 0

    def finished(self, start: float, final: Caption) -> None:
        """An utterance that began at ``start`` has its final."""
        if not final.words:
            return
        part = _Part(final.utterance, start, final.words)
        span = _Span((part,), final.language)
        if span.end - span.start > self.longest:
            return
        growing = self._growing
        if growing is not None:
            joins = span.start - growing.end < self.join and span.end - growing.start <= self.longest
            if joins and span.language == growing.language:
                self._growing = replace(growing, parts=(*growing.parts, part))
                return
            between = max(0.0, span.start - growing.end)  # neither window hears the words of the other
            self._ready.append(replace(growing, trail=min(_TRAIL, between)))
            span = replace(span, lead=min(_LEAD, between))
        self._growing = span

    def quiet(self, until: float) -> None:
        """No speech of this track is open, and audio is known until ``until``: what grew may be ready."""
        if self._growing is not None and until - self._growing.end >= self.join:
            self._ready.append(self._growing)
            self._growing = None

    @property
    def wanted(self) -> bool:
        return self._in_flight is None and bool(self._ready)

    def window_to_recognize(self, glossary: tuple[str, ...], not_before: float) -> Window | None:
        """The oldest window; those whose audio is no longer kept (before ``not_before``) keep their caption text."""
        while self._ready and self._ready[0].start < not_before:
            self._ready.popleft()
            self._attempts = 0
        if not self.wanted:
            return None
        span = self._ready.popleft()
        window = Window(
            track=self.track,
            utterance=span.utterances[0],
            kind=WindowKind.RECORD,
            start=max(span.start - span.lead, 0.0),
            end=span.end + span.trail,
            languages=(span.language,),
            language=span.language,
            glossary=glossary,
        )
        self._in_flight = (window, span)
        return window

    def recognized(self, window: Window, words: tuple[Word, ...], cut: bool = False) -> RecordText | None:
        """The record text of the window in flight.

        None when a guard cut it or it skips too much of what was captioned: it is then asked for again, in halves.
        """
        if self._in_flight is None or self._in_flight[0] != window:
            return None
        span = self._in_flight[1]
        self._in_flight, self._attempts = None, 0
        if cut or span.skipped_by(words):
            self._ready.extendleft(reversed(span.again()))
            return None
        return RecordText(self.track, span.utterances, span.language, words + span.completing(words))

    def failed(self, window: Window) -> None:
        """Asked for once more; then the caption text stands."""
        if self._in_flight is None or self._in_flight[0] != window:
            return
        span, self._in_flight = self._in_flight[1], None
        self._attempts += 1
        if self._attempts < _ATTEMPTS:
            self._ready.appendleft(span)
        else:
            self._attempts = 0

    @property
    def needed_from(self) -> float | None:
        """Audio from this moment on is still needed for the record; None when none is."""
        spans = [
            span for span in (self._in_flight[1] if self._in_flight else None, *self._ready, self._growing) if span
        ]
        return min(span.start for span in spans) - _LEAD if spans else None

    @property
    def idle(self) -> bool:
        return self._in_flight is None and not self._ready and self._growing is None
