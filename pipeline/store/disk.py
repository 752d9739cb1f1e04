"""What an error of the disk means to a caller."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import StorageFailed, StorageFull


@contextmanager
def explained(what: str, setting: str) -> Iterator[None]:
    """Raises ``StorageFull`` and ``StorageFailed`` for errors of the disk; ``setting`` says where ``what`` is kept."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            message = f"there is no room left to keep {what}: free some ({setting}); what was kept before is safe"
            raise StorageFull(message) from error
        reason = error.strerror or type(error).__name__
        raise StorageFailed(f"{what} cannot be kept ({reason}): see {setting}") from error
