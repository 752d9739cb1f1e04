"""What two texts have in common before their words are compared: written rules, with a version.

``fr-1``, in this order:

1. Unicode NFC; lower case; ``œ`` is ``oe``, ``æ`` is ``ae``; every apostrophe is ``'``.
2. ``%``, ``€``, ``15h30``, ``1er``, ``2e`` are written out; ``10 000`` is one number.
3. Digits become words (num2words, French); ``cents`` is ``cent``, ``vingts`` is ``vingt``, ``millions`` ``million``.
4. Hyphens separate words.
5. An elision is a word of its own and keeps its apostrophe: ``l'homme`` is ``l'`` ``homme``.
6. The first letter of a word loses its accent, since a capital is often written bare (``A peine``, ``Etre``) and
   only one of the two texts may have a capital there; all other diacritics are kept.
7. All other punctuation separates words and is left out.

``en-1`` is ``EnglishTextNormalizer`` of whisper-normalizer (Whisper's own). Before it apostrophes are made plain, and
the verbs of old verse written out, which it would take for contractions and saints: ``tatter'd`` is ``tattered``,
``feed'st`` is ``feedst``. After it numbers are compared digit by digit, since it joins digits said one by one.

``loose``: rules 1 and 4 to 7 of ``fr-1``, for any language; only to find the same word in two texts, never for a WER.
"""

import re
import unicodedata
import warnings
from collections.abc import Callable
from functools import cache, lru_cache

from num2words import num2words

VERSIONS = {"fr": "fr-1", "en": "en-1"}

_APOSTROPHES = str.maketrans(dict.fromkeys("’ʼ‘ʹ′`´＇", "'"))
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae"})
_TOKEN = re.compile(r"[^\W_]+'?")
_GROUPED = re.compile(r"(?<!\d)\d{1,3}(?:[  . ]\d{3})+(?![\d,])")
_CLOCK = re.compile(r"\b(\d{1,2})\s?h\s?(\d{2})?\b")
_ORDINAL = re.compile(r"\b(\d+)\s?(?:e|è|ème|eme|ième|ieme)\b")
_FIRST = re.compile(r"\b1(er|ère|re)\b")
_DECIMAL = re.compile(r"(\d+)([.,])(\d+)")
_PRONOUNS = "you|they|she|who|how|that|there|what|where|this|when|why"
_OLD_PAST = re.compile(rf"\b(?!(?:{_PRONOUNS})')([a-z]{{3,}})'d\b", re.IGNORECASE)
_OLD_SECOND = re.compile(r"(?<=[a-z])'st\b", re.IGNORECASE)
_DIGIT_WORDS = {"one": "1"}  # the normaliser leaves it as it is where no other number is near
_PLURALS = {"cents": "cent", "vingts": "vingt", "millions": "million", "milliards": "milliard"}


def normalise(text: str, language: str) -> list[str]:
    """The words of a text as they are compared in a WER."""
    if language.startswith("en"):
        return english(text)
    return french(text)


def english(text: str) -> list[str]:
    text = _OLD_SECOND.sub("st", _OLD_PAST.sub(r"\1ed", text.translate(_APOSTROPHES)))
    words = _english()(text).split()
    return [piece for word in words for piece in (word if word.isdigit() else [_DIGIT_WORDS.get(word, word)])]


def french(text: str) -> list[str]:
    text = _numbers(_fold(text))
    return [_PLURALS.get(word, word) for word in _words(text)]


@lru_cache(maxsize=200_000)
def loose(text: str) -> tuple[str, ...]:
    """The words of a text as they are found again in another text."""
    return tuple(_words(_fold(text)))


@cache
def _english() -> Callable[[str], str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its docstrings hold escapes that Python warns of when it compiles them
        from whisper_normalizer.english import EnglishTextNormalizer
    normaliser: Callable[[str], str] = EnglishTextNormalizer()
    return normaliser


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).lower().translate(_LIGATURES).translate(_APOSTROPHES)


def _words(text: str) -> list[str]:
    return [_bare_first(word) for word in _TOKEN.findall(text)]


def _bare_first(word: str) -> str:
    return unicodedata.normalize("NFD", word[0])[0] + word[1:]


def _numbers(text: str) -> str:
    if not any(character.isdigit() for character in text):
        return text.replace("%", " pour cent ").replace("€", " euros ")
    text = _GROUPED.sub(lambda match: re.sub(r"\D", "", match[0]), text)
    text = _CLOCK.sub(lambda match: f"{match[1]} heures {match[2] or ''}", text)
    text = _FIRST.sub(lambda match: "premier" if match[1] == "er" else "première", text)
    text = _ORDINAL.sub(lambda match: f" {num2words(int(match[1]), lang='fr', to='ordinal')} ", text)
    text = text.replace("%", " pour cent ").replace("€", " euros ")
    text = _DECIMAL.sub(lambda match: f"{match[1]} {'point' if match[2] == '.' else 'virgule'} {match[3]}", text)
    return re.sub(r"\d+", lambda match: f" {_spoken(match[0])} ", text)


def _spoken(digits: str) -> str:
    if len(digits) > 12:
        return " ".join(num2words(int(digit), lang="fr") for digit in digits)
    return str(num2words(int(digits), lang="fr"))
