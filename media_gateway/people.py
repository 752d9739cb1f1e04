"""What an SFU calls people, as ids and names that meetings take. Pure."""

import hashlib
import re
import unicodedata

from pipeline.domain import Participant, ParticipantId

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MADE = re.compile(r"_[0-9a-f]{40}")
"""Ids that are made here: whoever is called so elsewhere would be somebody else."""
_LONGEST_NAME = 100
_LONGEST_READ = 10 * _LONGEST_NAME
"""Characters of a name that are looked at: putting marks in order takes the square of how many there are in a row."""
_UNSEEN = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""Characters that turn the direction of the text around them (Unicode Standard Annex 9)."""


def participant(identity: str, name: str) -> Participant:
    """Named by what is visible of ``name``, by ``identity`` where that is nothing."""
    return Participant(participant_id(identity), shown_name(name) or shown_name(identity) or "?")


def participant_id(identity: str) -> ParticipantId:
    """``identity`` itself where it fits an id, else always the same one made of it, which no other identity has."""
    if _ID.fullmatch(identity) and not _MADE.fullmatch(identity):
        return ParticipantId(identity)
    return ParticipantId(f"_{hashlib.sha256(identity.encode(errors='surrogatepass')).hexdigest()[:40]}")


def shown_name(name: str) -> str:
    """``name`` on one line, without what nobody sees, 100 characters at most; empty where nothing is visible."""
    plain = "".join(
        character if unicodedata.category(character) not in _UNSEEN else " "
        for character in unicodedata.normalize("NFC", name[:_LONGEST_READ])
        if character not in _TURNING
    )
    folded = " ".join(plain.split())[:_LONGEST_NAME].rstrip()
    return folded if any(unicodedata.category(each)[0] in "LNPS" for each in folded) else ""
