"""The utterances of one track that have no final yet: what of them is committed, and the captions made of it."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.domain import Caption, TrackId, UtteranceId, Word
from pipeline.live.crosstalk import CrossTalk
from pipeline.live.policies import CommitPolicy
from pipeline.live.settings import LiveSettings
from pipeline.live.utterance import Utterance, number_of
from pipeline.live.words import ends_sentence

TRAIL = 0.25
"""What is heard until so long after the detected end of speech may belong to it."""
_AROUND = 1.0
"""How loud it was is kept for so long before and after an utterance: record texts reach into pauses."""
LONGEST = 28.0
"""Committed words stay in ``history`` for so long: Whisper hears no longer window (30 s)."""


@dataclass(slots=True)
class Utterances:
    """Wherever words come from: they are committed here, oldest utterance first, and never change then.

    All that is said before ``committed_until`` is committed; audio is known until ``audio_end``. ``history`` has the
    newest committed words of the track.
    """

    track: TrackId
    settings: LiveSettings
    new_policy: Callable[[], CommitPolicy]
    crosstalk: CrossTalk
    open: deque[Utterance] = field(default_factory=deque)
    history: deque[Word] = field(default_factory=deque)
    audio_end: float = 0.0
    committed_until: float = 0.0
    _serial: int = 0
    _outbox: dict[UtteranceId, Caption] = field(default_factory=dict)
    _finished: list[tuple[Utterance, Caption]] = field(default_factory=list)
    _unheard: list[tuple[float, float]] = field(default_factory=list)

    # --- what is made of them -------------------------------------------------------------------------------

    def captions_to_send(self) -> list[Caption]:
        """The newest caption of every utterance that changed since the last call."""
        captions = list(self._outbox.values())
        self._outbox.clear()
        return captions

    def finished(self) -> list[tuple[Utterance, Caption]]:
        """The utterances whose final was made since the last call."""
        finished, self._finished = self._finished, []
        return finished

    def unheard(self) -> list[tuple[float, float]]:
        """The spans of speech given up since the last call."""
        spans, self._unheard = self._unheard, []
        return spans

    @property
    def lag(self) -> float:
        """Seconds of heard speech that nobody has recognised yet."""
        if not self.open:
            return 0.0
        utterance = self.open[0]
        return max(0.0, self.audio_end - max(utterance.heard, utterance.start))

    # --- how they begin, go on and end ----------------------------------------------------------------------

    def go_on_with(self, captions: Sequence[Caption]) -> None:
        """Ids and committed words go on after those that another session sent."""
        self._serial = max((number_of(caption.utterance) for caption in captions), default=0)
        self.remember([word for caption in captions for word in caption.words])

    def begin(self, at: float, language: str) -> Utterance:
        """A new utterance; the caller says where among those that are ``open``."""
        self._serial += 1
        return Utterance(UtteranceId(f"{self.track}#{self._serial}"), at, self.new_policy(), language)

    def commit(self, utterance: Utterance, words: tuple[Word, ...], last: bool = False) -> None:
        """``words`` were said and never change; those that are another track's are not shown (``crosstalk``).

        Those of which that is not clear yet wait for the next ones, but for the ``last`` of an utterance.
        """
        settled = self.crosstalk.settle(self.track, (*utterance.held, *words), last)
        utterance.words.extend(settled.own)
        utterance.held = settled.held
        utterance.copied = max(utterance.copied, settled.copied or 0.0)
        self.remember(words)

    def remember(self, words: Sequence[Word]) -> None:
        self.history.extend(words)
        if words:
            self.committed_until = max(self.committed_until, words[-1].end)
        while self.history and self.history[0].start < self.committed_until - LONGEST:
            self.history.popleft()

    def publish(self, utterance: Utterance, final: bool) -> Caption | None:
        """The caption of what is shown of ``utterance``; None before there is anything."""
        tail = self.crosstalk.visible(self.track, (*utterance.held, *utterance.tail))
        if not (utterance.words or tail or utterance.revision):
            return None
        utterance.revision += 1
        caption = Caption(
            track=self.track,
            utterance=utterance.id,
            revision=utterance.revision,
            final=final,
            language=utterance.language,
            words=tuple(utterance.words),
            tail=tail,
            lag=self.lag,
            levels=self._levels(utterance) if final else (),
        )
        self._outbox[utterance.id] = caption
        return caption

    def finish(self, utterance: Utterance, end: float) -> None:
        """Everything that was heard until its ``end`` is committed; an utterance without words leaves no trace."""
        self.commit(utterance, tuple(word for word in utterance.tail if word.start <= end + TRAIL), last=True)
        utterance.tail = ()
        self.open.remove(utterance)
        self.committed_until = max(self.committed_until, end)
        final = self.publish(utterance, final=True)
        if final is not None:
            self._finished.append((utterance, final))

    def split_if_long(self, utterance: Utterance, language: str) -> None:
        """End an utterance that goes on without pause where a sentence, or else a word, has just been committed.

        It ends as well where another track's words follow, and begins after them where nothing else was said.
        """
        if not utterance.words:
            if utterance.copied - utterance.start > self.settings.hard_utterance:
                utterance.start = utterance.copied
            return
        last = utterance.words[-1]
        length = last.end - utterance.start
        long = length > self.settings.soft_utterance and ends_sentence(last.text)
        copied = utterance.copied - last.end > self.settings.join
        if long or copied or length > self.settings.hard_utterance:
            self.divide(utterance, language)

    def divide(self, utterance: Utterance, language: str) -> Utterance:
        """Finish ``utterance`` at its last committed word; what follows, in ``language``, belongs to a new one."""
        tail, utterance.tail = utterance.tail, ()
        held, utterance.held = utterance.held, ()
        end = utterance.words[-1].end
        self.finish(utterance, end)
        successor = self.begin(end, language)
        self.open.appendleft(successor)
        successor.heard, successor.looked = utterance.heard, utterance.looked
        successor.held, successor.tail = held, tail
        successor.end = None if utterance.end is None else max(utterance.end, end)
        successor.streamed, successor.windows_from = utterance.streamed, utterance.windows_from
        if tail:
            self.publish(successor, final=False)
        return successor

    def _levels(self, utterance: Utterance) -> tuple[tuple[float, float], ...]:
        if not utterance.words:
            return ()
        return self.crosstalk.levels(self.track, utterance.start - _AROUND, utterance.words[-1].end + _AROUND)

    def give_up(self, utterance: Utterance, until: float) -> None:
        """Nobody will recognise what was not heard of ``utterance`` before ``until``."""
        known = max(utterance.heard, utterance.start)
        gone = min(until, self.audio_end if utterance.end is None else utterance.end)
        if known < gone:
            self._unheard.append((known, gone))
            utterance.heard = gone
            self.committed_until = max(self.committed_until, gone)
