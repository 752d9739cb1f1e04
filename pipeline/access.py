"""What applications may do, as values: their keys and scopes."""

from dataclasses import dataclass
from enum import Enum
from typing import NewType

KeyId = NewType("KeyId", str)


class Scope(Enum):
    """What an application's key may be used for; ``ADMIN`` is all of it."""

    MEETINGS = "meetings"
    READ = "read"
    RECORDINGS = "recordings"
    RECOGNITION = "recognition"
    METRICS = "metrics"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The key of an application as it is kept; ``digest`` is the SHA-256 of its secret, which is kept nowhere.

    ``ending`` is the last four characters of the secret, by which people tell keys apart.
    """

    id: KeyId
    name: str
    scopes: frozenset[Scope]
    digest: str
    created_at: float
    ending: str = ""
