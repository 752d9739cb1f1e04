"""The text that stands for a segment: the human correction, else the record text, else the caption text.

A record text whose words are much less certain than those of the caption text does not stand: heard again with more
around it, a number or a name sometimes becomes words that sound like it.
"""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate

from pipeline.domain import Origin, Segment, Word
from pipeline.record.shares import has_text, spoken_form

SURER = 0.2
"""How much more certain (mean confidence of the words) a caption text is that stands before a record text."""


def text_of(segment: Segment) -> tuple[str, Origin]:
    """The best text of ``segment``, without outer spaces, and where it comes from.

    A correction to nothing stands: somebody decided that nothing was said. A record text without text does not.
    """
    if segment.correction is not None:
        return segment.correction.strip(), Origin.CORRECTION
    words, origin = _heard(segment)
    return "".join(word.text for word in words).strip(), origin


def words_of(segment: Segment) -> tuple[Word, ...]:
    """The words of the text that ``text_of`` gives, with times in seconds of meeting time.

    Words that a correction kept stay where they were heard. Those it brought in are spread, by their length, over
    the time between the kept ones, or over the segment where none was kept; their confidence is 1.
    """
    heard, _ = _heard(segment)
    if segment.correction is None:
        return heard
    return tuple(_placed(segment.correction.split(), heard, segment.start, segment.end))


def _heard(segment: Segment) -> tuple[tuple[Word, ...], Origin]:
    if not has_text(segment.record) or _certainty(segment.caption) > _certainty(segment.record) + SURER:
        return segment.caption, Origin.CAPTION
    return segment.record, Origin.RECORD


def _certainty(words: Sequence[Word]) -> float:
    """The mean confidence; 0 where nothing was heard, or by a recogniser that does not say how certain it is."""
    mean = sum(word.confidence for word in words) / len(words) if words else 0.0
    return mean if mean < 1.0 else 0.0


def _placed(written: list[str], heard: Sequence[Word], start: float, end: float) -> Iterator[Word]:
    said = [spoken_form(word.text) for word in heard]
    matcher = SequenceMatcher(None, said, [spoken_form(text) for text in written], autojunk=False)
    reached, done = start, 0
    for block in matcher.get_matching_blocks():  # the last one is empty and stands at both ends
        kept = heard[block.a : block.a + block.size]
        until = kept[0].start if kept else end
        yield from _spread(written[done : block.b], reached, max(reached, until))
        for text, word in zip(written[block.b :], kept, strict=False):
            yield Word(f" {text}", word.start, word.end)
            reached = max(reached, word.end)
        done = block.b + block.size


def _spread(texts: list[str], start: float, end: float) -> Iterator[Word]:
    """One word each, sharing ``start`` to ``end`` by length."""
    ends = list(accumulate(len(text) for text in texts))
    for text, until in zip(texts, ends, strict=True):
        first, last = (until - len(text)) / ends[-1], until / ends[-1]
        yield Word(f" {text}", start + (end - start) * first, start + (end - start) * last)
