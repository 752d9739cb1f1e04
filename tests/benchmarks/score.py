"""Word error rates of placed clips, and the recall of terms."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import jiwer

from tests.benchmarks.corpus import Clip, Placed
from tests.benchmarks.events import TimedWord
from tests.benchmarks.normalise import normalise


@dataclass(frozen=True, slots=True)
class Errors:
    """Counted words; ``a + b`` is the count over both texts."""

    words: int = 0
    substituted: int = 0
    deleted: int = 0
    inserted: int = 0

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(
            self.words + other.words,
            self.substituted + other.substituted,
            self.deleted + other.deleted,
            self.inserted + other.inserted,
        )

    @property
    def rate(self) -> float:
        wrong = self.substituted + self.deleted + self.inserted
        return wrong / self.words if self.words else float(wrong > 0)


@dataclass(frozen=True, slots=True)
class Step:
    """A run of one kind of edit (equal, substitute, insert, delete) between two lists of words."""

    kind: str
    reference: range
    hypothesis: range


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Step]:
    if not reference or not hypothesis:
        kind = "delete" if reference else "insert"
        both = Step(kind, range(len(reference)), range(len(hypothesis)))
        return [both] if reference or hypothesis else []
    chunks = jiwer.process_words(" ".join(reference), " ".join(hypothesis)).alignments[0]
    return [
        Step(chunk.type, range(chunk.ref_start_idx, chunk.ref_end_idx), range(chunk.hyp_start_idx, chunk.hyp_end_idx))
        for chunk in chunks
    ]


def count_errors(reference: Sequence[str], hypothesis: Sequence[str], window: range | None = None) -> Errors:
    """The errors among the reference words of ``window`` (all where None).

    Words inserted at an edge of the window, where the reference goes on outside it, belong to the outside.
    """
    inside = range(len(reference)) if window is None else window
    errors = Errors(words=len(inside))
    for step in align(reference, hypothesis):
        touched = len(range(max(step.reference.start, inside.start), min(step.reference.stop, inside.stop)))
        if step.kind == "substitute":
            errors += Errors(substituted=touched)
        elif step.kind == "delete":
            errors += Errors(deleted=touched)
        elif step.kind == "insert" and _inside(step.reference.start, inside, len(reference)):
            errors += Errors(inserted=len(step.hypothesis))
    return errors


def _inside(position: int, window: range, length: int) -> bool:
    after_start = position > window.start or window.start == 0
    before_end = position < window.stop or window.stop == length
    return after_start and before_end


def score_clip(clip: Clip, hypothesis: str) -> Errors:
    """The errors in one clip; where it has a scored text inside its whole text, only there."""
    reference, window = _reference(clip)
    return count_errors(reference, normalise(hypothesis, clip.language), window)


@lru_cache(maxsize=500)
def _reference(clip: Clip) -> tuple[list[str], range]:
    if not clip.scored_text:
        words = normalise(clip.text, clip.language)
        return words, range(len(words))
    before, _, after = clip.text.partition(clip.scored_text)
    head, middle, tail = (normalise(part, clip.language) for part in (before, clip.scored_text, after))
    return [*head, *middle, *tail], range(len(head), len(head) + len(middle))


def score_placed(placed: Iterable[Placed], words: Sequence[TimedWord]) -> dict[str, Errors]:
    """The errors per language of the clips of one track, each given the words heard in its time."""
    totals: dict[str, Errors] = {}
    for clip, text in heard_in(placed, words):
        totals[clip.language] = totals.get(clip.language, Errors()) + score_clip(clip, text)
    return totals


def heard_in(placed: Iterable[Placed], words: Sequence[TimedWord]) -> Iterator[tuple[Clip, str]]:
    """Each clip with the text of the words whose middle lies in its place, half of the pauses around included."""
    for place in placed:
        inside = [word.text for word in words if place.opens <= word.middle < place.closes]
        yield place.clip, "".join(inside)


def add_up(scores: Iterable[dict[str, Errors]]) -> dict[str, Errors]:
    totals: dict[str, Errors] = {}
    for score in scores:
        for language, errors in score.items():
            totals[language] = totals.get(language, Errors()) + errors
    return totals


@dataclass(frozen=True, slots=True)
class Recall:
    """How many times terms were said, and how many of these were heard; ``false`` were heard and not said."""

    said: int = 0
    heard: int = 0
    false: int = 0

    def __add__(self, other: "Recall") -> "Recall":
        return Recall(self.said + other.said, self.heard + other.heard, self.false + other.false)

    @property
    def rate(self) -> float:
        return self.heard / self.said if self.said else 0.0


def recall_of(terms: Iterable[str], reference: str, hypothesis: str, language: str) -> Recall:
    said_words, heard_words = normalise(reference, language), normalise(hypothesis, language)
    total = Recall()
    for term in terms:
        wanted = normalise(term, language)
        said, heard = _occurrences(wanted, said_words), _occurrences(wanted, heard_words)
        total += Recall(said, min(said, heard), max(heard - said, 0))
    return total


def _occurrences(wanted: list[str], words: list[str]) -> int:
    return sum(words[i : i + len(wanted)] == wanted for i in range(len(words) - len(wanted) + 1))
