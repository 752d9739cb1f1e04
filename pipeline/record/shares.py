"""Which words of a record text belong to which of the utterances it joins.

A record text is one recognition of several utterances. Its words are cut at the middle of each pause between
two utterances, so that every word lands in exactly one of them, in order; words before the first or after the
last utterance go to the nearest. A joined utterance that was captioned and gets no word is one of two things:

- the second recognition dropped it: none of its words is in the record text, which holds no more words than the
  captions of the others. The others take their shares and this one keeps its caption;
- its words may have been timed into a neighbour: one of them is in the record text, or that text holds more words
  than the captions of the others. Then the record text is set aside as a whole and all captions stand.

Either way no text is lost and none stands twice.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from pipeline.domain import UtteranceId, Word

Shares = Mapping[UtteranceId, tuple[Word, ...]]


def has_text(words: Sequence[Word]) -> bool:
    return any(word.text.strip() for word in words)


def spoken_form(text: str) -> str:
    """``text`` without case, spaces and punctuation: what two recognitions are compared by."""
    return "".join(character for character in text.casefold() if character.isalnum())


def spoken_forms(words: Sequence[Word]) -> list[str]:
    """The spoken form of every word that has one."""
    return [form for word in words if (form := spoken_form(word.text))]


def in_order(words: Sequence[Word]) -> tuple[Word, ...]:
    """``words`` in their given order with starts and ends, in seconds, that never run backwards."""
    placed: list[Word] = []
    start = end = float("-inf")
    for word in words:
        start = max(start, word.start)
        end = max(end, word.end, start)
        placed.append(Word(word.text, start, end, word.confidence, word.level))
    return tuple(placed)


def shares_of(words: tuple[Word, ...], captions: Shares) -> Shares:
    """The words of one record text by utterance; empty where the record text must not be used.

    ``captions`` holds the caption words of every joined utterance, in the order of speech. An utterance captioned
    without words has no place in time: it gets a share only when no joined utterance has any, and is the first.
    """
    spans = {utterance: heard for utterance, heard in captions.items() if has_text(heard)}
    if not has_text(words):
        return {}
    if not spans:
        return {next(iter(captions)): words}
    shares = _cut(words, spans)
    missed = [heard for utterance, heard in spans.items() if not has_text(shares[utterance])]
    captioned = [heard for utterance, heard in spans.items() if has_text(shares[utterance])]
    if missed and _may_have_moved(missed, captioned, words):
        return {}
    return shares


def _may_have_moved(
    missed: Sequence[tuple[Word, ...]], captioned: Sequence[tuple[Word, ...]], words: tuple[Word, ...]
) -> bool:
    said = spoken_forms(words)
    others = sum(len(spoken_forms(heard)) for heard in captioned)
    return len(said) > others or not all(set(said).isdisjoint(spoken_forms(heard)) for heard in missed)


def _cut(words: tuple[Word, ...], spans: Shares) -> Shares:
    middles = [(before[-1].end + after[0].start) / 2 for before, after in pairwise(spans.values())]
    borders = list(accumulate(middles, max))
    shares: dict[UtteranceId, list[Word]] = {utterance: [] for utterance in spans}
    names = list(spans)
    place = 0
    for position, word in enumerate(words):
        if position == 0 or not _continues(word):
            place = max(place, bisect_right(borders, (word.start + word.end) / 2))
        shares[names[place]].append(word)
    return {utterance: tuple(share) for utterance, share in shares.items()}


def _continues(word: Word) -> bool:
    """Whether ``word`` is the rest of the word before it: ``'hui``, ``-t-il``, ``。``."""
    first = word.text[:1]
    return not (first.isalnum() or first.isspace())
