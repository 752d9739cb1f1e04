"""What a key of an object store may be, the same for every kind, so that files can move from one to another."""

from pipeline.errors import InvalidInput

_LONGEST_NAME = 200
"""Bytes of one part of a key: file systems take 255, temporary names want some."""
_LONGEST_KEY = 1000
"""Bytes: S3 takes 1024."""


def checked_key(key: str) -> str:
    """``key``: parts between ``/``, none of them empty or beginning with a dot. Raises ``InvalidInput`` for others."""
    for part in key.split("/"):
        if not part or part.startswith(".") or not part.isprintable() or "\\" in part:
            raise InvalidInput(f"{key!r} is no key: its parts between / are names that begin with no dot")
        if len(part.encode()) > _LONGEST_NAME:
            raise InvalidInput(f"a key has a part of more than {_LONGEST_NAME} bytes: give a shorter one")
    if len(key.encode()) > _LONGEST_KEY:
        raise InvalidInput(f"a key has more than {_LONGEST_KEY} bytes: give a shorter one")
    return key
