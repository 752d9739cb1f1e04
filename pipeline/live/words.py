"""Small pure rules on sequences of words."""

from pipeline.domain import Word

_ECHO = 0.3
_DIGIT, _NUMBER = 0.06, 3
"""Seconds: nobody says a digit of a number of some digits faster."""


def spoken_form(text: str) -> str:
    """What is said, without case, spaces and punctuation: what two hypotheses are compared by."""
    return "".join(character for character in text.casefold() if character.isalnum())


def after_committed(words: tuple[Word, ...], committed: tuple[Word, ...]) -> tuple[Word, ...]:
    """``words`` without those that are already committed: by text where the seam matches, else by time.

    A recogniser that cannot continue after forced words hears the last committed ones again; the seam is
    looked for in up to five words (Macháček et al., arXiv 2307.14743, section 3).
    """
    if not committed or not words:
        return words
    for length in range(min(5, len(words), len(committed)), 0, -1):
        said = [spoken_form(word.text) for word in words[:length]]
        near = words[0].start < committed[-1].end + 0.3
        if near and said == [spoken_form(word.text) for word in committed[-length:]]:
            return words[length:]
    done = committed[-1].end
    return tuple(word for word in words if (word.start + word.end) / 2 > done)


def monotone(words: tuple[Word, ...], not_before: float, not_after: float) -> tuple[Word, ...]:
    """``words`` with times that never run backwards and stay within the given span (law 4)."""
    placed = []
    reached = not_before
    latest = max(not_before, not_after)
    for word in words:
        start = min(max(word.start, reached), latest)
        end = min(max(word.end, start), latest)
        placed.append(Word(word.text, start, end, word.confidence))
        reached = end
    return tuple(placed)


def ends_sentence(text: str) -> bool:
    return text.rstrip().endswith((".", "?", "!", "…"))


def without_loops(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """``words`` with two turns left of a phrase that is repeated over and over; what follows it stays.

    People say one word six times in a row ("non, non, non"), two words four times, more words three times, and
    numbers twice as often ("0000 0000"); more is how recognisers loop on noise. A number that comes again faster than
    anybody says its digits ("01803 01803" in two seconds, the second in 0.2 s) is a loop as it begins.
    """
    words = _without_hurried(words)
    said = [spoken_form(word.text) for word in words]
    for start in range(len(said)):
        for length in range(1, min(8, (len(said) - start) // 2) + 1):
            phrase = said[start : start + length]
            end = start + length
            while said[end : end + length] == phrase:
                end += length
            if (end - start) // length > _most_turns(phrase):
                broken_off = said[end:] == phrase[: len(said) - end]
                rest = () if broken_off else without_loops(words[end:])
                return words[: start + 2 * length] + rest
    return words


def without_echo(words: tuple[Word, ...], said: tuple[Word, ...], end: float) -> tuple[Word, ...]:
    """``words`` without a last one that was ``said`` already and hardly began before the ``end`` of speech.

    Recognisers that are given text and hear nothing more begin that text again.
    """
    if not words or words[-1].end <= end or words[-1].start < end - _ECHO:
        return words
    return words[:-1] if spoken_form(words[-1].text) in {spoken_form(word.text) for word in said} else words


def _without_hurried(words: tuple[Word, ...]) -> tuple[Word, ...]:
    kept: list[Word] = []
    for word in words:
        text = spoken_form(word.text)
        again = bool(kept) and text == spoken_form(kept[-1].text)
        number = text.isdigit() and len(text) >= _NUMBER
        if not (again and number and word.end - word.start < _DIGIT * len(text)):
            kept.append(word)
    return tuple(kept)


def _most_turns(phrase: list[str]) -> int:
    turns = {1: 6, 2: 4}.get(len(phrase), 3)
    return 2 * turns if all(text.isdigit() for text in phrase) else turns
