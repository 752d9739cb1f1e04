"""Characters that text formats can carry, and what may stand at the edge of a line."""

import re
import unicodedata

# Directional embeddings, overrides and isolates (UAX #9, sections 2.1 to 2.4) would reorder what follows them, names
# included, once a cue is cut inside their span. The implicit marks LRM, RLM and ALM have no span and stay.
_SPANNING_DIRECTION = "\u202a-\u202e\u2066-\u2069"
_BYTE_ORDER_MARK = "\ufeff"
_DROPPED = re.compile(f"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f{_SPANNING_DIRECTION}{_BYTE_ORDER_MARK}]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# No-break spaces hold French punctuation to its word: « Vraiment ? ».
_BREAKING_SPACE = re.compile(r"[^\S\u00a0\u2007\u202f]+")

# Han, Hiragana, Katakana and their punctuation, which are written without spaces: a line may break between any two.
_IDEOGRAPH = re.compile(
    "[\u3001-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff]"
)
_CLOSING_MARKS = "!%),.:;?]}»’”…‐–、。々〉》」』】〕！％），．：；？］｝"
_SMALL_KANA = "ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ"
_NOT_FIRST = frozenset(_CLOSING_MARKS + _SMALL_KANA)
_NOT_LAST = frozenset("([{«‘“〈《「『【〔（［｛")
_JOINER = "\u200d"


def allowed(text: str) -> str:
    """``text`` without what no text format carries: control characters that are no spaces, direction spans.

    A lone surrogate, which UTF-8 cannot hold, becomes U+FFFD. Length may shrink, spaces are kept as they are.
    """
    return _SURROGATE.sub("\ufffd", _DROPPED.sub("", text))


def one_line(text: str) -> str:
    """``text`` on one line: allowed characters, single spaces, none at the ends."""
    return _BREAKING_SPACE.sub(" ", allowed(text)).strip()


def is_breaking_space(character: str) -> bool:
    return bool(_BREAKING_SPACE.match(character))


def may_break(before: str, after: str) -> bool:
    """Whether a line may end between two characters that no space separates: only beside an ideograph."""
    beside = _IDEOGRAPH.match(before) or _IDEOGRAPH.match(after)
    return bool(beside) and after not in _NOT_FIRST and before not in _NOT_LAST and not is_attached(before, after)


def is_attached(before: str, after: str) -> bool:
    """Whether the two are parts of one visible character: an accent, a variation, a joined emoji."""
    return unicodedata.category(after).startswith("M") or _JOINER in {before, after}


def closes(text: str) -> bool:
    """Whether ``text`` is punctuation that must not begin a line, such as a French ``?`` after its space."""
    return bool(text) and all(character in _NOT_FIRST for character in text)


def opens(text: str) -> bool:
    """Whether ``text`` is punctuation that must not end a line, such as ``«``."""
    return bool(text) and all(character in _NOT_LAST for character in text)
