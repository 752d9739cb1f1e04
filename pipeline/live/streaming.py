"""Words that come by themselves, from a recogniser that takes sound as it comes: which utterance they belong to."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.domain import Word
from pipeline.live.utterance import Utterance
from pipeline.live.utterances import TRAIL, Utterances
from pipeline.live.words import after_committed, monotone, without_loops

_LEAD = 0.3
_PRE_ROLL = 0.5
"""Sound before the detected start of speech that a stream hears; its words count from ``_LEAD`` before the start."""
_LATE = 0.5
"""A word that begins no later than this after the end of speech belongs to it: streams tell time to 0.3 s."""
_NEAR = 0.3
_SETTLED = 1.0
"""A stream that began anew says nothing again once it has heard so much more than was committed."""
_REMEMBERED = 32
"""A loop is looked for in so many words of an utterance."""
_EXACT = 0.05
"""Seconds by which times of a stream may differ from those of its sound."""


@dataclass(slots=True)
class StreamedWords:
    """The words of one track that its streams gave.

    While ``on``, utterances that begin are ``streamed``: no window is asked for them, and their words are committed as
    they come, once every utterance before has its final. What a stream says when nobody speaks is not shown.
    """

    said: Utterances
    on: bool = False
    _waiting: deque[Word] = field(default_factory=deque)
    _tail: tuple[Word, ...] = ()
    _until: float = 0.0
    _again: list[Word] | None = None  # what a stream that began anew said, until it is clear what of it is new

    @property
    def begun(self) -> Utterance | None:
        """The oldest utterance that is streamed; those after it are, too."""
        return next((utterance for utterance in self.said.open if utterance.streamed), None)

    def begins(self) -> float | None:
        """A stream is about to begin: from which moment it must hear. What it says again is not taken twice.

        None where no utterance is streamed.
        """
        self._forget()
        utterance = self.begun
        if utterance is None:
            return None
        committed, history = self.said.committed_until, self.said.history
        self._until = committed
        utterance.heard = max(committed, utterance.start)
        if utterance is self.said.open[0] and history and history[-1].end > utterance.start - _EXACT:
            self._again = []
            last, before = history[-1].start, history[-min(2, len(history))].start
            return max((before if before > last - _SETTLED else last) - _EXACT, 0.0)
        return max(utterance.start - _PRE_ROLL, committed)

    def stop(self) -> None:
        """Windows go on with what is streamed, from what is committed of it on."""
        self.on = False
        self._forget()
        for utterance in self.said.open:
            if utterance.streamed:
                utterance.streamed = False
                utterance.heard = utterance.words[-1].end if utterance.words else 0.0
                utterance.windows_from = self.said.audio_end

    def take(self, words: Sequence[Word], tail: Sequence[Word], until: float, language: str) -> None:
        """``words`` are committed, ``tail`` is shown, all sound before ``until`` was heard."""
        if self.begun is None:
            return
        self._until = max(self._until, min(until, self.said.audio_end))
        self._tail = tuple(tail)
        (self._waiting if self._again is None else self._again).extend(words)
        self.go_on(language)

    def go_on(self, language: str) -> None:
        """Gives what was said to the utterances it belongs to; those that are heard to their end get their final."""
        self._settle()
        while self.said.open and self.said.open[0].streamed:
            committed = self._commit(language)
            utterance = self.said.open[0]
            utterance.heard = max(utterance.heard, self._until)
            shown = self._show(utterance)
            if utterance.end is None or not self._heard(utterance, utterance.end):
                if committed or shown:
                    self.said.publish(utterance, final=False)
                return
            self.said.finish(utterance, utterance.end)
        if not self.said.open:
            self._waiting.clear()

    # --- inside -----------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._waiting.clear()
        self._tail, self._again = (), None

    def _settle(self) -> None:
        """Once it is clear what a stream that began anew says again, the rest is taken."""
        utterance = self.begun
        if self._again is None or utterance is None:
            return
        committed = self.said.committed_until
        beyond = any(word.start > committed + _NEAR for word in self._again) or self._until > committed + _SETTLED
        at_end = utterance.end is not None and self._heard(utterance, utterance.end)
        if beyond or at_end:
            self._waiting.extend(after_committed(tuple(self._again), tuple(self.said.history)))
            self._again = None

    def _commit(self, language: str) -> bool:
        """Commits what was said in the oldest utterance, which is divided where it is long; whether there was any."""
        utterance, border, mine = self.said.open[0], self._border, []
        while self._waiting and self._waiting[0].start < border:
            mine.append(self._waiting.popleft())
        words = self._placed(utterance, tuple(mine))
        if words:
            utterance.tail, utterance.language = (), language
        for word in words:
            utterance = self.said.open[0]
            self.said.commit(utterance, (word,))
            if utterance.end is None or word.end <= utterance.end:
                self.said.split_if_long(utterance, language)
        return bool(words)

    def _show(self, utterance: Utterance) -> bool:
        """Whether the tail changed; it stays until a stream that began anew is beyond what was committed."""
        if self._again is not None:
            return False
        border = self._border
        tail = self._placed(utterance, tuple(word for word in self._tail if word.start < border))
        changed = tail != utterance.tail
        utterance.tail = tail
        return changed

    def _heard(self, utterance: Utterance, end: float) -> bool:
        """Whether all words until the ``end`` of ``utterance`` came; a tail becomes some while the stream goes on."""
        known = self.said.audio_end
        return self._until >= (known if utterance.tail else min(end + TRAIL, known)) - _EXACT

    @property
    def _border(self) -> float:
        """Words that begin from here on are of the next utterance, or of none."""
        first, *others = self.said.open
        if first.end is None:
            return float("inf")
        return (first.end + others[0].start) / 2 if others else first.end + _LATE

    def _placed(self, utterance: Utterance, words: tuple[Word, ...]) -> tuple[Word, ...]:
        """``words`` at times that run forward within the speech and the sound there is, without loops."""
        if not words:
            return ()
        end = self.said.audio_end if utterance.end is None else min(utterance.end + TRAIL, self.said.audio_end)
        placed = monotone(words, max(self.said.committed_until, utterance.start - _LEAD), end)
        before = tuple(utterance.words[-_REMEMBERED:])
        kept = {id(word) for word in without_loops((*before, *placed))}
        return tuple(word for word in placed if id(word) in kept)
