"""What cross-talk folding (``crosstalk``) left out of a transcript, for people to see, and who probably said it."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain import Participant, Segment, SegmentId, Transcript, Word
from pipeline.record.copies import EARLY_S, LATE_S, plain_form
from pipeline.record.texts import words_of

APART = " … "
"""Between words of one segment that were left out at several of its places."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """``text`` is what was left out of one segment, ``whole`` what it says with that.

    ``segment`` is what of it was left out first; ``by`` is None where nobody else spoke about then.
    """

    segment: Segment
    text: str
    whole: str
    by: Participant | None


_Heard = tuple[float, str, Segment]
"""The start of a word, its plain form, and its segment."""


def left_out(transcript: Transcript) -> list[LeftOut]:
    """One for each segment of which something was left out, in order."""
    if not transcript.folded:
        return []
    kept = {segment.id: segment for segment in transcript.segments}
    heard = sorted(_heard(transcript), key=lambda each: each[0])
    pieces: dict[SegmentId, list[Segment]] = {}
    for piece in transcript.folded:
        pieces.setdefault(piece.id, []).append(piece)
    return [_told(each, kept.get(name), heard) for name, each in pieces.items()]


def _told(pieces: Sequence[Segment], rest: Segment | None, heard: Sequence[_Heard]) -> LeftOut:
    words = [word for piece in pieces for word in words_of(piece)]
    said = words_of(rest) if rest else ()
    whole = sorted((*said, *words), key=lambda word: (word.start, word.end))
    text = APART.join(_text(words_of(piece)) for piece in pieces)
    return LeftOut(pieces[0], text, _text(whole), _speaker(pieces[0], words, heard))


def _heard(transcript: Transcript) -> list[_Heard]:
    """Every word that stands in the transcript."""
    said = ((word, segment) for segment in transcript.segments for word in words_of(segment))
    return [(word.start, form, segment) for word, segment in said if (form := plain_form(word.text))]


def _speaker(piece: Segment, words: Sequence[Word], heard: Sequence[_Heard]) -> Participant | None:
    """Whoever said most of the same ``words`` about then on another track, and of those who did, most words."""
    forms = {plain_form(word.text) for word in words}
    first = bisect_left(heard, words[0].start - LATE_S, key=lambda each: each[0])
    last = bisect_right(heard, words[-1].end + EARLY_S, key=lambda each: each[0])
    same, all_words = Counter[Participant](), Counter[Participant]()
    for _, form, segment in heard[first:last]:
        if segment.track != piece.track:
            same[segment.participant] += form in forms
            all_words[segment.participant] += 1
    return max(all_words, key=lambda who: (same[who], all_words[who]), default=None)


def _text(words: Sequence[Word]) -> str:
    return "".join(word.text for word in words).strip()
