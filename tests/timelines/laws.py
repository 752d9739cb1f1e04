"""The laws of the live core (DESIGN.md, section 3) as a witness who sees every caption and forgets nothing."""

from dataclasses import dataclass, field

from pipeline.domain import Caption, TrackId, UtteranceId

SLACK = 1e-6
LEAD = 0.3
TRAIL = 0.25


@dataclass(slots=True)
class Speech:
    """Detected speech of one track, as far as it is known; ``end`` is None while it goes on."""

    start: float
    end: float | None = None


@dataclass(slots=True)
class Witness:
    """Raises ``AssertionError`` as soon as a caption breaks a law."""

    speech: dict[TrackId, list[Speech]] = field(default_factory=dict)
    seen: dict[UtteranceId, Caption] = field(default_factory=dict)
    finals: dict[UtteranceId, Caption] = field(default_factory=dict)
    captions: list[Caption] = field(default_factory=list)
    reached: dict[TrackId, float] = field(default_factory=dict)

    def speech_started(self, track: TrackId, at: float) -> None:
        spans = self.speech.setdefault(track, [])
        if not spans or spans[-1].end is not None:
            spans.append(Speech(at))

    def speech_ended(self, track: TrackId, at: float) -> None:
        spans = self.speech.get(track, [])
        if spans and spans[-1].end is None:
            spans[-1].end = max(at, spans[-1].start)

    def sees(self, caption: Caption, now: float) -> None:
        before = self.seen.get(caption.utterance)
        assert caption.utterance not in self.finals, "nothing follows a final"
        if before is not None:
            assert caption.revision > before.revision, "revisions increase"
            assert caption.track == before.track
            assert caption.words[: len(before.words)] == before.words, "committed text never changes"
        self._times(caption, now)
        self._speech(caption, before)
        assert caption.lag >= 0.0
        self.captions.append(caption)
        self.seen[caption.utterance] = caption
        if caption.final:
            assert not caption.tail, "a final has no tail"
            self.finals[caption.utterance] = caption
            if caption.words:
                self.reached[caption.track] = caption.words[-1].end

    def has_seen_everything(self) -> None:
        """No caption is left without its final."""
        assert set(self.seen) == set(self.finals)

    def _times(self, caption: Caption, now: float) -> None:
        moment = self.reached.get(caption.track, 0.0)
        for word in (*caption.words, *caption.tail):
            assert moment - SLACK <= word.start <= word.end <= now + SLACK, "time runs forward, inside the meeting"
            moment = word.end

    def _speech(self, caption: Caption, before: Caption | None) -> None:
        """What this caption shows for the first time lies inside speech, as far as its ends are known."""
        spans = self.speech.get(caption.track, [])
        for word in (*caption.words[len(before.words) if before else 0 :], *caption.tail):
            shown = before is not None and word in before.tail
            inside = any(
                word.end >= span.start - LEAD - SLACK
                and (shown or span.end is None or word.start <= span.end + TRAIL + SLACK)
                for span in spans
            )
            assert inside, f"{word} lies outside of speech"
