"""Captions of one track: which window to recognise next, and what to show once its words are known."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.domain import Caption, Hypothesis, TrackId, UtteranceId, Window, WindowKind, Word
from pipeline.live.language import LanguageTracker
from pipeline.live.policies import CommitPolicy
from pipeline.live.settings import LiveSettings
from pipeline.live.utterance import Utterance, number_of
from pipeline.live.words import after_committed, ends_sentence, monotone, without_echo, without_loops

_LEAD = 0.3
"""Audio before the detected start of speech that a window includes: onsets are quiet."""
_TRAIL = 0.25
"""Audio after the detected end of speech that the last window includes."""
_COVERED = 0.1
"""A window that heard this much after the end of speech needs no successor."""
_LONGEST = 28.0
"""A window never exceeds what Whisper hears (30 s); a lagging track catches up in several."""
_RECENT = 3.0
_LEAST_LOOK = 2.0
"""The language is looked for in at most and at least this much of the newest audio of an utterance."""
_ALONE = 2.0
"""Live windows of less new speech hear it alone: after text of before a pause, recognisers say that text again."""
_PLAUSIBLE = 0.4
"""Speech under way is not shown before one of its words has this confidence: noise has none."""
_ATTEMPTS = 3


@dataclass(slots=True)
class TrackCaptioner:
    """Fed with speech, audio and hypotheses of one track; drained of windows, captions and finished utterances.

    All that is said before ``committed_until`` is committed; audio is known until ``audio_end``.
    """

    track: TrackId
    settings: LiveSettings
    new_policy: Callable[[], CommitPolicy]
    language: LanguageTracker
    glossary: tuple[str, ...] = ()
    _open: deque[Utterance] = field(default_factory=deque)
    _speaking: bool = False
    audio_end: float = 0.0
    _serial: int = 0
    _in_flight: Window | None = None
    _history: deque[Word] = field(default_factory=deque)
    committed_until: float = 0.0
    _window_from: float = 0.0
    _looked_at: float = -1e9
    _outbox: dict[UtteranceId, Caption] = field(default_factory=dict)
    _finished: list[tuple[Utterance, Caption]] = field(default_factory=list)
    _unheard: list[tuple[float, float]] = field(default_factory=list)

    # --- in ---------------------------------------------------------------------------------------------

    def resume(self, finals: Sequence[Caption], shown: Caption | None) -> None:
        """Goes on where another captioner stopped; see ``MeetingCaptioner.resume``."""
        captions = [*finals, shown] if shown else finals
        self._serial = max((number_of(caption.utterance) for caption in captions), default=0)
        self._remember([word for caption in captions for word in caption.words])
        recent = (word.start for word in self._history if word.start >= self.committed_until - self.settings.keep)
        self._window_from = next(recent, self.committed_until)
        for newest in captions[-1:]:
            self.language.go_on_with(newest.language)
        if shown is not None:
            self._open.append(Utterance.shown(shown, self.committed_until, self.new_policy()))
            self._speaking = True

    def speech_started(self, at: float) -> None:
        if not self._speaking:
            self._speaking = True
            self._open.append(self._begin(max(at, self.committed_until)))
        elif self._open[-1].resumed and not self._open[-1].heard:
            self._open[-1].start = max(at, self.committed_until)  # shown without words: nobody knew where it began

    def audio_until(self, at: float) -> None:
        self.audio_end = max(self.audio_end, at)

    def speech_ended(self, at: float) -> None:
        """Speech of before a resumed utterance, fed again, does not end it; speech before committed words is none."""
        begun = self._open[-1] if self._speaking else None
        if begun is None or (begun.resumed and at <= begun.start):
            return
        if at > self.committed_until or begun.revision:
            self.closed(at)
            return
        self._open.pop()
        self._speaking = False

    def closed(self, at: float) -> None:
        """Nothing more is said: speech under way ends at ``at``."""
        if not self._speaking:
            return
        self._speaking = False
        utterance = self._open[-1]
        utterance.end = max(at, utterance.start)
        self.audio_until(utterance.end)  # what did not come before the end of speech never will
        if utterance.heard >= utterance.end + _COVERED and self._open[0] is utterance and not utterance.alone:
            self._finish(utterance, utterance.end)

    def hypothesis(self, window: Window, heard: Hypothesis) -> None:
        """Take the words of ``window``, once; they finish their own utterance, whatever began since."""
        utterance = self._landed(window)
        if utterance is None:
            return
        utterance.failures = 0
        if self._look(utterance, window, heard):
            self._switch_language(utterance)
            return
        fresh = window.end - max(utterance.heard, utterance.start)
        utterance.heard = max(utterance.heard, window.end)
        utterance.language = heard.language
        self._take(utterance, window, heard.words, fresh)

    def recognition_failed(self, window: Window) -> None:
        """The recogniser gave nothing for ``window``: it is asked again, and given up after three failures in a row."""
        utterance = self._landed(window)
        if utterance is None:
            return
        utterance.failures += 1
        if utterance.failures >= _ATTEMPTS and utterance.end is not None:
            self._give_up(utterance, utterance.end)
            self._finish(utterance, utterance.end)

    # --- out --------------------------------------------------------------------------------------------

    def wanted(self) -> WindowKind | None:
        """The kind of window this track wants recognised now."""
        if self._in_flight is not None or not self._open:
            return None
        utterance = self._open[0]
        if utterance.end is not None:
            return WindowKind.FINAL
        fresh = self.audio_end - max(utterance.heard, utterance.start)
        return WindowKind.LIVE if fresh >= self._least(utterance) else None

    def window_to_recognize(self, not_before: float = 0.0) -> Window | None:
        """The wanted window with the newest audio; it is then on its way until its hypothesis comes back.

        Audio before ``not_before`` is gone: what was not recognised of it is reported as unheard.
        """
        if self._in_flight is None:
            self._forget(not_before)
        kind = self.wanted()
        if kind is None:
            return None
        utterance = self._open[0]
        end = self.audio_end if utterance.end is None else min(self.audio_end, utterance.end + _TRAIL)
        # Wherever the window would begin, it goes on from what was heard, or a lagging track would never catch up.
        reach = min(end, utterance.heard + _LONGEST - self.settings.window)
        alone = kind is WindowKind.LIVE and self._resumed(utterance) and end - utterance.start < _ALONE
        wished = utterance.start - _LEAD if alone else self._window_start(utterance, end)
        start = min(max(wished, not_before, reach - _LONGEST), end)
        end = min(end, start + _LONGEST)
        if not alone:
            self._window_from = start
        utterance.alone = alone
        self._keep_leaving(utterance, start)
        unsure = self.language.current is None or not utterance.looked
        due = end - self._looked_at >= self.settings.detect_every
        detect = not self.language.fixed and (unsure or self.language.doubted or due)
        self._in_flight = Window(
            track=self.track,
            utterance=utterance.id,
            kind=kind,
            start=start,
            end=end,
            languages=self.language.languages,
            language=self.language.current,
            detect_language=detect,
            detect_from=self._detect_from(utterance, end),
            prefix=tuple(word for word in self._history if word.start >= start),
            glossary=self.glossary,
        )
        return self._in_flight

    def _least(self, utterance: Utterance) -> float:
        """How much new audio a window of ``utterance`` takes, while nobody waits for its final."""
        settings = self.settings
        if utterance.heard:
            return settings.step
        return max(settings.step, settings.first if self.language.current else settings.first_look)

    def captions_to_send(self) -> list[Caption]:
        """The newest caption of every utterance that changed since the last call."""
        captions = list(self._outbox.values())
        self._outbox.clear()
        return captions

    def finished_utterances(self) -> list[tuple[Utterance, Caption]]:
        """The utterances whose final was made since the last call."""
        finished, self._finished = self._finished, []
        return finished

    def unheard(self) -> list[tuple[float, float]]:
        """The spans of speech given up since the last call."""
        spans, self._unheard = self._unheard, []
        return spans

    @property
    def busy(self) -> bool:
        """Whether an utterance is open or a window on its way."""
        return bool(self._open) or self._in_flight is not None

    @property
    def urgency(self) -> WindowKind:
        return WindowKind.FINAL if self._open and self._open[0].end is not None else WindowKind.LIVE

    @property
    def lag(self) -> float:
        """Seconds of heard speech that no window has covered yet."""
        if not self._open:
            return 0.0
        utterance = self._open[0]
        return max(0.0, self.audio_end - max(utterance.heard, utterance.start))

    @property
    def wordless_since(self) -> float | None:
        """The end of the last word of the speech that is open, or its start; None where none is."""
        ends = [max(one.start, *(word.end for word in one.tail[-1:]), self.committed_until) for one in self._open]
        return ends[0] if ends else None

    @property
    def needed_from(self) -> float:
        """Audio before this moment is needed by no further live window, nor for the record of what is open."""
        return max(0.0, min([self._window_from, self.committed_until, *(one.start for one in self._open)]) - _LEAD)

    # --- utterances -------------------------------------------------------------------------------------

    def reset(self) -> None:
        """The next window is heard alone: without the words and sound of before, in whichever language it seems."""
        self.language = LanguageTracker(self.language.languages)
        self._history.clear()
        if self._open:
            self._switch_language(self._open[0])

    def _begin(self, at: float) -> Utterance:
        self._serial += 1
        name = UtteranceId(f"{self.track}#{self._serial}")
        return Utterance(name, at, self.new_policy(), self.language.current or self.language.languages[0])

    def _landed(self, window: Window) -> Utterance | None:
        """The utterance of the window that was on its way, if it is still open; None for any other window."""
        if window != self._in_flight:
            return None
        self._in_flight = None
        return next((utterance for utterance in self._open if utterance.id == window.utterance), None)

    def _look(self, utterance: Utterance, window: Window, heard: Hypothesis) -> bool:
        """Take what the hypothesis says of the language, for the audio since the last look; True when it changed."""
        if not heard.language_scores:
            return False
        seconds = window.end - max(self._looked_at, window.start)
        utterance.looked = True
        self._looked_at = max(self._looked_at, window.end)
        whole = window.kind is WindowKind.FINAL and not utterance.words
        if whole:
            seconds = window.end - utterance.start
        return self.language.hear(heard.language_scores, max(seconds, 0.1), whole)

    def _take(self, utterance: Utterance, window: Window, words: tuple[Word, ...], interval: float) -> None:
        floor = max(self.committed_until, utterance.start - _LEAD)
        fresh = tuple(word for word in after_committed(words, tuple(self._history)) if word.end > floor)
        fresh = without_loops(monotone(fresh, floor, window.end))
        if utterance.end is not None and window.end >= utterance.end and not utterance.alone:
            utterance.tail = without_echo(fresh, (*self._history, *fresh[:-1]), utterance.end)
            self._finish(utterance, utterance.end)
            return
        if utterance.revision == 0 and all(word.confidence < _PLAUSIBLE for word in fresh):
            return
        count = 0 if self.language.doubted else utterance.policy.committable(window, fresh, interval)
        changed = count > 0 or fresh[count:] != utterance.tail
        self._commit(utterance, fresh[:count])
        utterance.tail = fresh[count:]
        if changed:
            self._publish(utterance, final=False)
        self._split_if_long(utterance)

    def _commit(self, utterance: Utterance, words: tuple[Word, ...]) -> None:
        utterance.words.extend(words)
        self._remember(words)

    def _remember(self, words: Sequence[Word]) -> None:
        self._history.extend(words)
        if words:
            self.committed_until = max(self.committed_until, words[-1].end)
        while self._history and self._history[0].start < self.committed_until - _LONGEST:
            self._history.popleft()

    def _publish(self, utterance: Utterance, final: bool) -> Caption:
        utterance.revision += 1
        caption = Caption(
            track=self.track,
            utterance=utterance.id,
            revision=utterance.revision,
            final=final,
            language=utterance.language,
            words=tuple(utterance.words),
            tail=utterance.tail,
            lag=self.lag,
        )
        self._outbox[utterance.id] = caption
        return caption

    def _finish(self, utterance: Utterance, end: float) -> None:
        """Everything that was heard until its ``end`` is committed; an utterance without words leaves no trace."""
        self._commit(utterance, tuple(word for word in utterance.tail if word.start <= end + _TRAIL))
        utterance.tail = ()
        self._open.remove(utterance)
        self.committed_until = max(self.committed_until, end)
        if utterance.words or utterance.revision:
            self._finished.append((utterance, self._publish(utterance, final=True)))

    def _split_if_long(self, utterance: Utterance) -> None:
        """End an utterance that goes on without pause where a sentence, or else a word, has just been committed."""
        if not utterance.words:
            return
        last = utterance.words[-1]
        length = last.end - utterance.start
        long = length > self.settings.soft_utterance and ends_sentence(last.text)
        if long or length > self.settings.hard_utterance:
            self._divide(utterance)

    def _divide(self, utterance: Utterance) -> Utterance:
        """Finish ``utterance`` at its last committed word; what follows belongs to a new one in its place."""
        tail, utterance.tail = utterance.tail, ()
        end = utterance.words[-1].end
        self._finish(utterance, end)
        successor = self._begin(end)
        self._open.appendleft(successor)
        successor.heard, successor.looked, successor.tail = utterance.heard, utterance.looked, tail
        successor.end = None if utterance.end is None else max(utterance.end, end)
        if tail:
            self._publish(successor, final=False)
        return successor

    def _switch_language(self, utterance: Utterance) -> None:
        """The participant changed language: what is committed stays, the rest is heard again in the new one."""
        utterance.tail = ()
        if utterance.words:
            utterance = self._divide(utterance)
        utterance.heard = 0.0
        utterance.language = self.language.current or utterance.language
        self._history.clear()
        self._window_from = max(self.committed_until, utterance.start)

    def _forget(self, not_before: float) -> None:
        """Audio before ``not_before`` is gone: utterances that lie before it are finished with what was heard."""
        while self._open:
            utterance = self._open[0]
            self._give_up(utterance, not_before)
            if utterance.end is None or utterance.end > not_before:
                return
            self._finish(utterance, utterance.end)

    def _give_up(self, utterance: Utterance, until: float) -> None:
        known = max(utterance.heard, utterance.start)
        gone = min(until, self.audio_end if utterance.end is None else utterance.end)
        if known < gone:
            self._unheard.append((known, gone))
            utterance.heard = gone
            self.committed_until = max(self.committed_until, gone)

    def _keep_leaving(self, utterance: Utterance, start: float) -> None:
        """Words of the tail that windows from ``start`` on no longer hear whole are committed as they are."""
        tail = utterance.tail
        leaving = tuple(word for word in tail if word.start < start)
        if leaving:
            self._commit(utterance, leaving)
            utterance.tail = tail[len(leaving) :]
            self._publish(utterance, final=False)

    def _detect_from(self, utterance: Utterance, end: float) -> float:
        """The language is looked for in what is not committed, or in a little more where that is short."""
        undecided = min(max(self.committed_until, end - _RECENT), end - _LEAST_LOOK)
        return max(utterance.start - _LEAD, undecided)

    # --- windows ----------------------------------------------------------------------------------------

    def _resumed(self, utterance: Utterance) -> bool:
        return bool(self._history) and utterance.start - self._history[-1].end < self.settings.join

    def _window_start(self, utterance: Utterance, end: float) -> float:
        """Where the window begins: audio is carried across short pauses, and shortened at a committed word."""
        opening = max(utterance.start - _LEAD, 0.0)
        resumed = self._resumed(utterance)
        start = min(self._window_from, opening) if resumed else opening
        if resumed and start < self._history[0].start:
            start = max(start, self._history[0].start - 0.05)
        if end - start <= self.settings.window:
            return start
        target = end - self.settings.keep
        starts = [word.start for word in self._history if start < word.start <= max(target, self.committed_until)]
        if starts:
            return max(min(starts, key=lambda moment: abs(moment - target)) - 0.05, 0.0)
        unheard = max(opening, self.committed_until, utterance.heard - self.settings.window)
        return max(min(target, unheard), 0.0)
