"""The history of a meeting as it stands in Redis: a hash of events by key, with a few fields of its own (``!...``).

Fields are ``=<key>``, and ``#<number>`` for events without.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r'"sequence":(\d+)')


@dataclass(frozen=True, slots=True)
class History:
    """``first``: where the numbering begins; ``content``: what ``RedisBus.content`` was when it was last written.

    ``events`` with their numbers and keys, in the order of their numbers.
    """

    first: int
    content: str
    events: list[tuple[int, str | None, str]]


def history_of(pairs: Sequence[bytes]) -> History | None:
    """From names and values in turn, as Redis gives them; None where no owner has written it."""
    fields = {name.decode(): value.decode() for name, value in zip(pairs[::2], pairs[1::2], strict=True)}
    first = fields.pop("!first", None)
    content = fields.pop("!content", "")
    fields.pop("!writer", None)
    if first is None:
        return None
    events = [(number_of(text), name[1:] if name.startswith("=") else None, text) for name, text in fields.items()]
    return History(int(first), content, sorted(events, key=lambda event: event[0]))


def field_of(number: int, key: str | None) -> str:
    return f"#{number}" if key is None else f"={key}"


def number_of(text: str) -> int:
    """The number of an event, which stands before all that others have put into it."""
    found = _NUMBER.search(text)
    return int(found[1]) if found else 0
