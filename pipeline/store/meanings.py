"""What errors of a database mean to a caller, in the words that all databases share."""

from pipeline.errors import StorageFailed, StorageFull

VARIABLE = "GREFFIER_DATABASE_URL"
CONNECTIONS = 5
"""One that writes and four that read."""


def no_room() -> StorageFull:
    return StorageFull(f"there is no room left to keep meetings: free some ({VARIABLE}), what was kept is safe")


def unusable(reason: str) -> StorageFailed:
    return StorageFailed(f"the database cannot be used ({reason}): see {VARIABLE}")
