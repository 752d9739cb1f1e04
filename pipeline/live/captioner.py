"""Captions of one track: which window to recognise next, and what to show once its words are known.

Words of ``streamed`` utterances come by themselves, without windows: see ``StreamedWords``.
"""

from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field

from pipeline.domain import Caption, Hypothesis, TrackId, Window, WindowKind, Word
from pipeline.live.crosstalk import CrossTalk
from pipeline.live.function_words import scores_of
from pipeline.live.language import LanguageTracker
from pipeline.live.policies import CommitPolicy
from pipeline.live.settings import LiveSettings
from pipeline.live.streaming import StreamedWords
from pipeline.live.utterance import Utterance
from pipeline.live.utterances import LONGEST, TRAIL, Utterances
from pipeline.live.words import after_committed, monotone, without_echo, without_loops

_LEAD = 0.3
"""Audio before the detected start of speech that a window includes: onsets are quiet."""
_COVERED = 0.1
"""A window that heard this much after the end of speech needs no successor."""
_RECENT = 3.0
_LEAST_LOOK = 2.0
"""The language is looked for in at most and at least this much of the newest audio of an utterance."""
_ALONE = 2.0
"""Live windows of less new speech hear it alone: after text of before a pause, recognisers say that text again."""
_PLAUSIBLE = 0.4
"""Speech under way is not shown before one of its words has this confidence: noise has none."""
_JOIN_STRETCH, _MOST_JOINED = 2.0, 1.0
"""How much of the update interval beyond ``step`` the pause grows by across which speech is joined, and by how much at
most: windows that come seldom need more of what was said before."""
_PATIENT = 1.5
"""Sound that had no words yet is heard again once there is twice as much of it, or so much more."""
_ATTEMPTS = 3


@dataclass(slots=True)
class TrackCaptioner:
    """Fed with speech, audio and hypotheses of one track; drained of windows, captions and finished utterances.

    A window never exceeds ``LONGEST``; a lagging track catches up in several. The last one of an utterance includes
    ``TRAIL`` after the detected end of speech.
    """

    track: TrackId
    settings: LiveSettings
    new_policy: InitVar[Callable[[], CommitPolicy]]
    language: LanguageTracker
    glossary: tuple[str, ...] = ()
    crosstalk: InitVar[CrossTalk | None] = None
    said: Utterances = field(init=False)
    streams: StreamedWords = field(init=False)
    _speaking: bool = False
    _in_flight: Window | None = None
    _window_from: float = 0.0
    _looked_at: float = -1e9
    _interval: float = 0.0  # between the last two live windows of one utterance

    def __post_init__(self, new_policy: Callable[[], CommitPolicy], crosstalk: CrossTalk | None) -> None:
        self.said = Utterances(self.track, self.settings, new_policy, crosstalk or CrossTalk())
        self.streams = StreamedWords(self.said)

    # --- in ---------------------------------------------------------------------------------------------

    def resume(self, finals: Sequence[Caption], shown: Caption | None) -> None:
        """Goes on where another captioner stopped; see ``MeetingCaptioner.resume``."""
        captions = [*finals, shown] if shown else finals
        self.said.go_on_with(captions)
        recent = (word.start for word in self.said.history if word.start >= self.committed_until - self.settings.keep)
        self._window_from = next(recent, self.committed_until)
        for newest in captions[-1:]:
            self.language.go_on_with(newest.language)
        if shown is not None:
            self.said.open.append(Utterance.shown(shown, self.committed_until, self.said.new_policy()))
            self._speaking = True

    def speech_started(self, at: float) -> None:
        if not self._speaking:
            self._speaking = True
            self.said.open.append(self._begin(max(at, self.committed_until)))
            return
        shown = self.said.open[-1]
        if shown.resumed and not shown.heard:
            shown.start = max(at, self.committed_until)  # shown without words: nobody knew where it began

    def audio_until(self, at: float) -> None:
        self.said.audio_end = max(self.audio_end, at)

    def speech_ended(self, at: float) -> None:
        """Speech of before a resumed utterance, fed again, does not end it; speech before committed words is none."""
        begun = self.said.open[-1] if self._speaking else None
        if begun is None or (begun.resumed and at <= begun.start):
            return
        if at > self.committed_until or begun.revision:
            self.closed(at)
            return
        self.said.open.pop()
        self._speaking = False

    def closed(self, at: float) -> None:
        """Nothing more is said: speech under way ends at ``at``."""
        if not self._speaking:
            return
        self._speaking = False
        utterance = self.said.open[-1]
        utterance.end = max(at, utterance.start)
        self.audio_until(utterance.end)  # what did not come before the end of speech never will
        self._stream_on()
        if utterance.streamed:
            return
        if utterance.heard >= utterance.end + _COVERED and self.said.open[0] is utterance and not utterance.alone:
            self.said.finish(utterance, utterance.end)

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
        if utterance.revision and window.kind is WindowKind.LIVE:
            self._interval = fresh
        utterance.heard = max(utterance.heard, window.end)
        utterance.language = heard.language
        self._take(utterance, window, heard.words, fresh)
        self._stream_on()

    def words(self, words: Sequence[Word], tail: Sequence[Word], until: float) -> None:
        """Take what a stream heard; see ``MeetingCaptioner.words``. It does not say in which language that was."""
        for word in words:
            self.language.hear(scores_of(word.text, self.language.languages), max(word.end - word.start, 0.1))
        self.streams.take(words, tail, until, self._language)
        self._window_follows()

    def recognition_failed(self, window: Window) -> None:
        """The recogniser gave nothing for ``window``: it is asked again, and given up after three failures in a row."""
        utterance = self._landed(window)
        if utterance is None:
            return
        utterance.failures += 1
        if utterance.failures >= _ATTEMPTS and utterance.end is not None:
            self.said.give_up(utterance, utterance.end)
            self.said.finish(utterance, utterance.end)
            self._stream_on()

    # --- out --------------------------------------------------------------------------------------------

    def wanted(self) -> WindowKind | None:
        """The kind of window this track wants recognised now."""
        if self._in_flight is not None or not self.said.open or self.said.open[0].streamed:
            return None
        utterance = self.said.open[0]
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
            self._stream_on()
        kind = self.wanted()
        if kind is None:
            return None
        utterance = self.said.open[0]
        end = self.audio_end if utterance.end is None else min(self.audio_end, utterance.end + TRAIL)
        # Wherever the window would begin, it goes on from what was heard, or a lagging track would never catch up.
        reach = min(end, utterance.heard + LONGEST - self.settings.window)
        alone = kind is WindowKind.LIVE and self._resumed(utterance) and end - utterance.start < _ALONE
        wished = utterance.start - _LEAD if alone else self._window_start(utterance, end)
        start = min(max(wished, not_before, reach - LONGEST), end)
        end = min(end, start + LONGEST)
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
            prefix=tuple(word for word in self.said.history if word.start >= start),
            glossary=self.glossary,
        )
        return self._in_flight

    def _least(self, utterance: Utterance) -> float:
        """How much new audio a window of ``utterance`` takes, while nobody waits for its final."""
        settings = self.settings
        if utterance.heard and not utterance.revision:  # heard without a word: it may be noise
            return max(settings.step, min(utterance.heard - utterance.start, _PATIENT))
        if utterance.heard:
            return settings.step
        return max(settings.step, settings.first if self.language.current else settings.first_look)

    def captions_to_send(self) -> list[Caption]:
        """The newest caption of every utterance that changed since the last call."""
        return self.said.captions_to_send()

    def finished_utterances(self) -> list[tuple[Utterance, Caption]]:
        """The utterances whose final was made since the last call."""
        return self.said.finished()

    def unheard(self) -> list[tuple[float, float]]:
        """The spans of speech given up since the last call."""
        return self.said.unheard()

    @property
    def audio_end(self) -> float:
        return self.said.audio_end

    @property
    def committed_until(self) -> float:
        return self.said.committed_until

    @property
    def busy(self) -> bool:
        """Whether an utterance is open or a window on its way."""
        return bool(self.said.open) or self._in_flight is not None

    @property
    def urgency(self) -> WindowKind:
        return WindowKind.FINAL if self.said.open and self.said.open[0].end is not None else WindowKind.LIVE

    @property
    def lag(self) -> float:
        """Seconds of heard speech that no window has covered yet."""
        return self.said.lag

    @property
    def wordless_since(self) -> float | None:
        """The end of the last word of the speech that waits for windows, or its start; None where none does."""
        if not self.said.open or self.said.open[0].streamed:
            return None
        oldest = self.said.open[0]
        return max(oldest.start, oldest.windows_from, *(word.end for word in oldest.tail[-1:]), self.committed_until)

    @property
    def needed_from(self) -> float:
        """Audio before this moment is needed by no further live window, nor for the record of what is open."""
        starts = [utterance.start for utterance in self.said.open]
        return max(0.0, min([self._window_from, self.committed_until, *starts]) - _LEAD)

    # --- utterances -------------------------------------------------------------------------------------

    def reset(self) -> None:
        """The next window is heard alone: without the words and sound of before, in whichever language it seems.

        Where words come by themselves there is none: whoever drives the stream begins it anew.
        """
        if self.said.open and self.said.open[0].streamed:
            return
        self.language = LanguageTracker(self.language.languages)
        self.said.history.clear()
        if self.said.open:
            self._switch_language(self.said.open[0])

    def _begin(self, at: float) -> Utterance:
        utterance = self.said.begin(at, self._language)
        utterance.streamed = self.streams.on
        return utterance

    def _stream_on(self) -> None:
        """What streams said may now be taken."""
        self.streams.go_on(self._language)
        self._window_follows()

    def _window_follows(self) -> None:
        """Where words come by themselves, a window that follows needs no sound of before."""
        if self.streams.on and (not self.said.open or self.said.open[0].streamed):
            self._window_from = self.committed_until

    @property
    def _language(self) -> str:
        return self.language.current or self.language.languages[0]

    def _landed(self, window: Window) -> Utterance | None:
        """The utterance of the window that was on its way, if it is still open; None for any other window."""
        if window != self._in_flight:
            return None
        self._in_flight = None
        return next((utterance for utterance in self.said.open if utterance.id == window.utterance), None)

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
        fresh = tuple(word for word in after_committed(words, tuple(self.said.history)) if word.end > floor)
        fresh = without_loops(monotone(fresh, floor, window.end))
        end = utterance.end
        if end is not None and (window.end < end or utterance.alone):
            end = None  # another window comes
        if end is not None:
            fresh = without_echo(fresh, (*self.said.history, *fresh[:-1]), end)
        if window.prefix and not fresh and not utterance.words and not utterance.apart:
            utterance.apart = True  # the recogniser said the text of before again, or nothing
            return
        if end is not None:
            utterance.tail = fresh
            self.said.finish(utterance, end)
            return
        if utterance.revision == 0 and all(word.confidence < _PLAUSIBLE for word in fresh):
            return
        count = 0 if self.language.doubted else utterance.policy.committable(window, fresh, interval)
        changed = count > 0 or fresh[count:] != utterance.tail
        self.said.commit(utterance, fresh[:count])
        utterance.tail = fresh[count:]
        if changed:
            self.said.publish(utterance, final=False)
        self.said.split_if_long(utterance, self._language)

    def _switch_language(self, utterance: Utterance) -> None:
        """The participant changed language: what is committed stays, the rest is heard again in the new one."""
        utterance.tail = ()
        if utterance.words:
            utterance = self.said.divide(utterance, self._language)
        utterance.heard = 0.0
        utterance.language = self.language.current or utterance.language
        self.said.history.clear()
        self._window_from = max(self.committed_until, utterance.start)

    def _forget(self, not_before: float) -> None:
        """Audio before ``not_before`` is gone: utterances that lie before it are finished with what was heard."""
        while self.said.open and not self.said.open[0].streamed:
            utterance = self.said.open[0]
            self.said.give_up(utterance, not_before)
            if utterance.end is None or utterance.end > not_before:
                return
            self.said.finish(utterance, utterance.end)

    def _keep_leaving(self, utterance: Utterance, start: float) -> None:
        """Words of the tail that windows from ``start`` on no longer hear whole are committed as they are."""
        tail = utterance.tail
        leaving = tuple(word for word in tail if word.start < start)
        if leaving:
            self.said.commit(utterance, leaving)
            utterance.tail = tail[len(leaving) :]
            self.said.publish(utterance, final=False)

    def _detect_from(self, utterance: Utterance, end: float) -> float:
        """The language is looked for in what is not committed, or in a little more where that is short."""
        undecided = min(max(self.committed_until, end - _RECENT), end - _LEAST_LOOK)
        return max(utterance.start - _LEAD, undecided)

    # --- windows ----------------------------------------------------------------------------------------

    def _resumed(self, utterance: Utterance) -> bool:
        more = min(_JOIN_STRETCH * max(self._interval - self.settings.step, 0.0), _MOST_JOINED)
        history = self.said.history
        near = bool(history) and utterance.start - history[-1].end < self.settings.join + more
        return near and not utterance.apart

    def _window_start(self, utterance: Utterance, end: float) -> float:
        """Where the window begins: audio is carried across short pauses, and shortened at a committed word."""
        opening = max(utterance.start - _LEAD, 0.0)
        resumed = self._resumed(utterance)
        start = min(self._window_from, opening) if resumed else opening
        if resumed and start < self.said.history[0].start:
            start = max(start, self.said.history[0].start - 0.05)
        if end - start <= self.settings.window:
            return start
        target = end - self.settings.keep
        before = max(target, self.committed_until)
        starts = [word.start for word in self.said.history if start < word.start <= before]
        if starts:
            return max(min(starts, key=lambda moment: abs(moment - target)) - 0.05, 0.0)
        unheard = max(opening, self.committed_until, utterance.heard - self.settings.window)
        return max(min(target, unheard), 0.0)
