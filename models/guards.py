"""What a recogniser makes up: how it is seen, and cut."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain import Word


@dataclass(frozen=True, slots=True)
class Guards:
    """Thresholds, after Whisper's own (Radford et al. 2022, section 4.5: 0.6, -1, 2.4); beam search is surer of itself.

    ``no_speech`` and ``log_probability`` cut a window when both doubt it, unless it holds numbers alone, each as sure
    as ``sure_number``: digits said one by one are unlikely text, and noise seldom says any. ``no_speech`` alone cuts a
    loop, and the mean log-probability alone under ``hopeless``, where one word alone ("Bonjour !") does not come.
    ``compression`` is text bytes over deflated bytes. ``pile`` seconds is the least time three consecutive words take:
    a path that piles words on one frame has lost the audio.
    """

    no_speech: float = 0.5
    log_probability: float = -0.9
    sure_number: float = 0.45
    hopeless: float = -1.7
    compression: float = 2.4
    pile: float = 0.16
    phrase_log_probability: float = -0.6
    phrase_no_speech: float = 0.3


SILENCE_PHRASES = frozenset(
    {
        "sous titrage societe radio canada",
        "sous titrage st 501",
        "sous titres realises par la communaute d amara org",
        "sous titres realises para la communaute d amara org",
        "sous titres par",
        "sous titrage",
        "amara org",
        "merci d avoir regarde cette video",
        "merci d avoir regarde",
        "abonnez vous",
        "n oubliez pas de vous abonner",
        "a bientot",
        "merci",
        "merci beaucoup",
        "ok",
        "oui",
        "thank you",
        "thank you very much",
        "thanks for watching",
        "thank you for watching",
        "please subscribe",
        "subscribe to my channel",
        "subtitles by the amara org community",
        "transcription by castingwords",
        "bye",
        "bye bye",
        "you",
        "okay",
        "i m sorry",
        "so",
        "the end",
    }
)
"""What Whisper is known to print on silence and noise, French and English, without case, accents and punctuation."""

_NO_TIME = 0.03
_LOOP = 8
_ACCENTS = str.maketrans("àâäéèêëîïôöùûüç", "aaaeeeeiioouuuc")


def plain(text: str) -> str:
    """``text`` without case, accents and punctuation."""
    return " ".join(re.sub(r"[^\w]+", " ", text.casefold().translate(_ACCENTS)).split())


def doubted(text: str, no_speech: float, log_probability: float, guards: Guards, numbers: float = 0.0) -> bool:
    """Whether a whole window's text is to be cut; ``numbers`` is the confidence of its least sure number, where it
    holds nothing else."""
    if no_speech > guards.no_speech and log_probability < guards.log_probability and numbers < guards.sure_number:
        return True
    if log_probability < guards.hopeless:
        return True
    if len(text) > 40 and compression_ratio(text) > guards.compression:
        return True
    unsure = no_speech > guards.phrase_no_speech or log_probability < guards.phrase_log_probability
    return unsure and plain(text) in SILENCE_PHRASES


def numbers_alone(words: Sequence[Word]) -> float:
    """The confidence of the least sure of ``words``, where all of them hold a digit; else 0."""
    if not all(any(character.isdigit() for character in word.text) for word in words):
        return 0.0
    return min((word.confidence for word in words), default=0.0)


def loops(text: str) -> bool:
    """Whether ``text`` says a phrase of up to four words three times in a row, as recognisers do on noise.

    People say digits three times in a row, too.
    """
    return re.search(r"\b((?:[^\W\d]+ ){1,4})\1\1", plain(text) + " ") is not None


def compression_ratio(text: str) -> float:
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw))


def before_pile(words: Sequence[Word], pile: float) -> tuple[Word, ...]:
    """The words up to those that no sound stands for.

    Three words that together last less than ``pile`` seconds were not heard, nor was a word that takes no time and
    was said just before: alignment piles what a loop repeats on one frame.
    """
    for index, word in enumerate(words):
        third = words[index + 2 : index + 3]
        if third and third[0].end - word.start < pile:
            return tuple(words[:index])
        if word.end - word.start < _NO_TIME and plain(word.text) in {
            plain(said.text) for said in words[:index][-_LOOP:]
        }:
            return tuple(words[:index])
    return tuple(words)
