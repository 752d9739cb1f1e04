"""How much of what was said a gateway sent, keeps and lost."""

from dataclasses import dataclass


@dataclass(slots=True)
class SentSound:
    """Of all outlets of one process, in seconds of sound; ``seconds_kept`` is what they keep now, for who may need it.

    ``seconds_lost`` is what was dropped because more than is kept was still needed.
    """

    seconds_sent: float = 0.0
    seconds_kept: float = 0.0
    seconds_lost: float = 0.0
