"""Which voice said each committed word of one shared track: words and turns in, runs of words out. Sans-IO.

Words are committed before or after it is decided who spoke: each waits for the frontier of the voices, and for the
word after it, which may show that it was a flip (``pipeline/record/attribution``, whose rule this is). So a word is
labelled at most once, and as it would be if all turns had been known from the beginning.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.domain import UtteranceId, VoiceRun, VoiceSpan, Word
from pipeline.record.attribution import NEAR_S, by_voice

_UTTERANCES = 50
_TURNS = 1000
_SEAM = 0.01
"""One turn may come in pieces: those of one voice that are no further apart are one."""


@dataclass(slots=True)
class _Utterance:
    """Its committed words; of the first ``settled`` it is decided who said them, or that nobody knows."""

    words: Sequence[Word] = ()
    final: bool = False
    settled: int = 0
    runs: list[VoiceRun] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.final and self.settled >= len(self.words)


@dataclass(slots=True)
class VoiceLabels:
    """Drop rules: 50 utterances wait for their voices, and 50 for being told; the oldest go, unlabelled. Turns before
    the newest 1,000 are forgotten: words that come so late stay unlabelled."""

    _frontier: float = float("-inf")
    _turns: list[VoiceSpan] = field(default_factory=list)
    _waiting: dict[UtteranceId, _Utterance] = field(default_factory=dict)
    _labelled: dict[UtteranceId, tuple[VoiceRun, ...]] = field(default_factory=dict)

    def resume(self, utterance: UtteranceId, runs: Iterable[VoiceRun]) -> None:
        """``runs``, in order, were told of an open utterance: its words up to their end are settled."""
        known = list(runs)
        settled = max((run.first + run.count for run in known), default=0)
        self._waiting[utterance] = _Utterance(settled=settled, runs=known)

    def words(self, utterance: UtteranceId, words: Sequence[Word], *, final: bool) -> None:
        """All committed words so far of ``utterance``."""
        waits = self._waiting.setdefault(utterance, _Utterance())
        waits.words, waits.final = words, final
        self._settle(utterance, waits)
        _bound(self._waiting)

    def turns(self, spans: Iterable[VoiceSpan], frontier: float) -> None:
        """``spans`` follow those before, one at a time. All before ``frontier`` is decided: infinite in a pause."""
        for span in spans:
            before = self._turns[-1] if self._turns else None
            if before is not None and before.voice == span.voice and span.start - before.end < _SEAM:
                self._turns[-1] = VoiceSpan(span.voice, before.start, max(before.end, span.end))
            else:
                self._turns.append(span)
        del self._turns[:-_TURNS]
        self._frontier = frontier
        for utterance, waits in tuple(self._waiting.items()):
            self._settle(utterance, waits)

    def finish(self) -> None:
        """No more turns and words come: what is left is labelled by what is known."""
        for waits in self._waiting.values():
            waits.final = True
        self.turns((), float("inf"))

    def labelled(self) -> list[tuple[VoiceRun, ...]]:
        """All runs so far of each utterance with words that were labelled since the last call."""
        told, self._labelled = list(self._labelled.values()), {}
        return told

    def _settle(self, utterance: UtteranceId, waits: _Utterance) -> None:
        decided = waits.settled
        while decided < len(waits.words) and self._is_decided(waits.words[decided]):
            decided += 1
        last = waits.final and decided == len(waits.words)
        until = decided if last else decided - 1
        if until > waits.settled:
            runs = by_voice(waits.words[:decided], self._turns)
            voices = [voice for voice, run in runs for _ in run]
            self._label(utterance, waits, voices[:until])
        if waits.done:
            del self._waiting[utterance]

    def _is_decided(self, word: Word) -> bool:
        """Whether no later turn can change whose it is: one before the frontier overlaps it, or none near can come."""
        if word.end > self._frontier:
            return False
        return word.end + NEAR_S < self._frontier or self._is_overlapped(word)

    def _is_overlapped(self, word: Word) -> bool:
        for turn in reversed(self._turns):
            if turn.start < word.end:
                return word.start < turn.end
        return False

    def _label(self, utterance: UtteranceId, waits: _Utterance, voices: Sequence[int | None]) -> None:
        runs, before = waits.runs, tuple(waits.runs)
        for place in range(waits.settled, len(voices)):
            voice = voices[place]
            if voice is None:
                continue
            if runs and runs[-1].voice == voice and runs[-1].first + runs[-1].count == place:
                runs[-1] = VoiceRun(utterance, runs[-1].first, runs[-1].count + 1, voice)
            else:
                runs.append(VoiceRun(utterance, place, 1, voice))
        waits.settled = len(voices)
        if tuple(runs) != before:
            self._labelled.pop(utterance, None)
            self._labelled[utterance] = tuple(runs)
            _bound(self._labelled)


def _bound(waiting: dict[UtteranceId, _Utterance] | dict[UtteranceId, tuple[VoiceRun, ...]]) -> None:
    for utterance in list(waiting)[:-_UTTERANCES]:
        del waiting[utterance]
