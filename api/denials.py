"""Why a request is turned away at the door: nobody is signed in (401), or whoever is may not do this (403)."""

from pipeline.errors import GreffierError


class NotSignedIn(GreffierError):
    """``given`` says that there was a key, token or session, and that it is not a good one (RFC 6750, section 3.1)."""

    def __init__(self, message: str, *, given: bool = False) -> None:
        super().__init__(message)
        self.given = given


class NotAllowed(GreffierError):
    pass
