"""When a word may be committed: two rules behind one interface.

Both are pure functions of hypotheses; the words they commit never change afterwards.
"""

from dataclasses import dataclass, field
from typing import Protocol

from pipeline.domain import Window, Word
from pipeline.live.words import spoken_form

_MOST_MORE = 0.6


class CommitPolicy(Protocol):
    """Holds what it must remember of one utterance."""

    def committable(self, window: Window, words: tuple[Word, ...], fresh: float) -> int:
        """How many of ``words``, the newest words after what is committed, may be committed now.

        ``fresh`` is how many seconds of the window the utterance's last one had not heard: the update interval.
        """


@dataclass(slots=True)
class AlignAtt:
    """Commits the words whose sound ends before a margin at the end of the audio.

    Papi et al., AlignAtt (Interspeech 2023), applied after decoding: attention that falls on the last
    ``margin`` seconds says that the word may still change once more audio is heard. A word that the recogniser
    gives less than ``sure`` confidence waits for ``doubt`` seconds instead, and those after it with it. On a busy
    machine, whose words come late anyway, both grow by ``stretch`` times the update interval beyond ``step``, by
    ``_MOST_MORE`` at most.
    """

    margin: float
    doubt: float
    sure: float
    step: float = 0.0
    stretch: float = 0.0

    def committable(self, window: Window, words: tuple[Word, ...], fresh: float) -> int:
        more = min(self.stretch * max(fresh - self.step, 0.0), _MOST_MORE)
        for count, word in enumerate(words):
            margin = more + (self.margin if word.confidence >= self.sure else self.doubt)
            if word.end > window.end - margin:
                return count
        return len(words)


@dataclass(slots=True)
class LocalAgreement:
    """Commits the longest prefix on which two consecutive hypotheses agree (LocalAgreement-2).

    Liu et al., Interspeech 2020; Macháček et al., arXiv 2307.14743. Words are compared by what is said,
    without case and punctuation.
    """

    _previous: tuple[str, ...] = field(default=())

    def committable(self, window: Window, words: tuple[Word, ...], fresh: float) -> int:
        said = tuple(spoken_form(word.text) for word in words)
        agreed = 0
        while agreed < min(len(said), len(self._previous)) and said[agreed] == self._previous[agreed]:
            agreed += 1
        self._previous = said[agreed:]
        return agreed
