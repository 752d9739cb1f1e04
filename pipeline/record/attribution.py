"""Which voice said each word of a recording that mixes several."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from pipeline.domain import Participant, ParticipantId, VoiceSpan, Word

NEAR_S = 0.5
"""A word that no voice overlaps belongs to the nearest one within this, else to nobody."""
FLIP_S = 0.3
"""A single word this short between two of another voice, inside a sentence, was theirs."""
_SENTENCE_ENDS = (".", "?", "!", "…")


def voices_of(words: Sequence[Word], exclusive: Sequence[VoiceSpan]) -> tuple[int | None, ...]:
    """The voice of each word, None where nobody is near: by the largest overlap with ``exclusive``, in order.

    Punctuation alone stays with the word before it.
    """
    found: list[int | None] = []
    for word in words:
        lone = not any(sign.isalnum() for sign in word.text)
        found.append(found[-1] if lone and found else _voice_of(word, exclusive))
    return tuple(_smoothed(words, found))


def by_voice(words: Sequence[Word], exclusive: Sequence[VoiceSpan]) -> list[tuple[int | None, tuple[Word, ...]]]:
    """``words`` as runs of one voice each."""
    voiced = zip(voices_of(words, _near(words, exclusive)), words, strict=True)
    return [(voice, tuple(word for _, word in run)) for voice, run in groupby(voiced, key=lambda pair: pair[0])]


def with_voice(owner: Participant, voice: int | None, name: str | None = None) -> Participant:
    """``voice`` of ``owner``, a participant or recording, as a participant, under its own ``name`` where it has one.

    Words of no voice keep the name of the owner alone: unknown rather than guessed.
    """
    if voice is None:
        return owner
    return Participant(ParticipantId(f"{owner.id}-{voice}"), name or f"{owner.name} (voix {voice})")


def at_microphone_of(owner: Participant, voice: int, name: str | None = None) -> Participant:
    """``voice`` that shares the microphone of ``owner``; its id is none that a meeting service gives."""
    return replace(with_voice(owner, voice, name), id=ParticipantId(f"{owner.id}/{voice}"))


def _near(words: Sequence[Word], exclusive: Sequence[VoiceSpan]) -> Sequence[VoiceSpan]:
    """The spans that could say whose ``words`` are: one after the other, hours of them would take hours."""
    start = min((word.start for word in words), default=0.0)
    end = max((word.end for word in words), default=0.0)
    first = bisect_left(exclusive, start - NEAR_S, key=lambda span: span.end)
    return exclusive[first : bisect_right(exclusive, end + NEAR_S, key=lambda span: span.start)]


def _voice_of(word: Word, exclusive: Sequence[VoiceSpan]) -> int | None:
    if not exclusive:
        return None
    best = max(exclusive, key=lambda span: (_overlap(word, span), -_distance(word, span)))
    return best.voice if _overlap(word, best) > 0 or _distance(word, best) <= NEAR_S else None


def _overlap(word: Word, span: VoiceSpan) -> float:
    return max(0.0, min(word.end, span.end) - max(word.start, span.start))


def _distance(word: Word, span: VoiceSpan) -> float:
    return max(0.0, span.start - word.end, word.start - span.end)


def _smoothed(words: Sequence[Word], voices: list[int | None]) -> list[int | None]:
    smooth = list(voices)
    for place in range(1, len(words) - 1):
        before, word, after = words[place - 1], words[place], voices[place + 1]
        short = word.end - word.start < FLIP_S
        inside = not before.text.rstrip().endswith(_SENTENCE_ENDS) and not word.text.rstrip().endswith(_SENTENCE_ENDS)
        if short and inside and smooth[place - 1] == after != voices[place]:
            smooth[place] = after
    return smooth
