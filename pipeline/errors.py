"""Every error that Greffier raises on purpose.

::

    GreffierError               what a caller may catch
    ├── InvalidInput            what was given cannot be used: say what, and what to give instead
    │   ├── UnreadableMedia     a file is no recording that can be decoded, or holds no audio
    │   ├── UnfitClip           nobody's voice can be known by a clip: ``reason`` says why
    │   └── InvalidSetting      a setting or option has a value that cannot be used
    ├── NotFound                no meeting, participant or recording has this id
    ├── OutOfDate               what is to be changed is not any more what was shown: say to read it again
    ├── TooMany                 there are as many as may be at once: say which one to end
    ├── ModelUnavailable        weights are missing, incomplete or not what they claim to be
    ├── RecognitionFailed       the recogniser failed on a window
    │   ├── RecognitionStalled  the recogniser did not answer in time
    │   └── NoFreeChannel       every slot of a streaming recogniser is in use
    ├── GatewayFailed           an SFU cannot be reached, or refuses
    ├── BusFailed               Redis cannot be reached, or refuses: say which setting names it
    ├── Superseded              another worker captions this meeting now: whatever is still to be written is its own
    └── StorageFailed           what is kept cannot be read or written: say which setting names it
        └── StorageFull         there is no room left to write

``retryable`` says whether the same call may succeed later; nothing else decides that. ``reason`` of
``InvalidInput`` is a word by which programs know what was wrong, where they may say it in words of their own.
"""

from pipeline.domain import Window


class GreffierError(Exception):
    retryable = False


class InvalidInput(GreffierError):
    reason: str | None = None


class UnreadableMedia(InvalidInput):
    reason = "unreadable"


class UnfitClip(InvalidInput):
    """``reason`` is ``two_voices`` or ``little_speech``."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class InvalidSetting(InvalidInput):
    pass


class NotFound(GreffierError):
    pass


class OutOfDate(GreffierError):
    pass


class TooMany(GreffierError):
    pass


class ModelUnavailable(GreffierError):
    pass


class RecognitionFailed(GreffierError):
    """``window`` is what was to be recognised, where it had been cut."""

    retryable = True

    def __init__(self, message: str, window: Window | None = None) -> None:
        super().__init__(message)
        self.window = window


class RecognitionStalled(RecognitionFailed):
    pass


class NoFreeChannel(RecognitionFailed):
    pass


class GatewayFailed(GreffierError):
    retryable = True


class BusFailed(GreffierError):
    retryable = True


class Superseded(GreffierError):
    pass


class StorageFailed(GreffierError):
    retryable = True


class StorageFull(StorageFailed):
    retryable = False
