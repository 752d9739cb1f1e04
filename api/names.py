"""Names, titles and terms that people type, as Greffier keeps them: plain text on one line, escaped by nobody yet."""

import re
import unicodedata

LONGEST_NAME = 100
LONGEST_TITLE = 200

# Unicode Standard Annex 9: characters that turn the direction of the text around them; LRM, RLM and ALM do little, but
# nobody sees them either.
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_UNSEEN = re.compile(f"[{_BIDI}\ufeff\ud800-\udfff\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Mn", "Me", "Zl", "Zp", "Zs"}
_LOOKED_AT = 10
"""Times the longest: more is refused unseen, as putting marks in order takes the square of how many are in a row."""


def normalised(text: str, most: int, what: str) -> str:
    """``text`` in NFC on one line, white space folded, without control characters and those that turn it around.

    Raises ``ValueError`` where nothing visible is left, or more than ``most`` characters.
    """
    if len(text) > _LOOKED_AT * most:
        raise ValueError(f"{what} has {len(text)} characters; {most} are the most")
    plain = " ".join(_UNSEEN.sub("", unicodedata.normalize("NFC", text)).split())
    if all(unicodedata.category(character) in _INVISIBLE for character in plain):
        raise ValueError(f"{what} needs at least one visible character")
    if len(plain) > most:
        raise ValueError(f"{what} has {len(plain)} characters; {most} are the most")
    return plain
