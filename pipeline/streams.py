"""What the pipeline needs of a recogniser that takes sound as it comes and gives words by itself."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from pipeline.domain import Samples, Word


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one stream since the last of these; times in seconds of its own sound, 0 is the first sample sent.

    ``words`` never change any more, ``tail`` takes the place of the one before; all sound before ``until`` was heard.
    """

    words: tuple[Word, ...]
    tail: tuple[Word, ...]
    until: float


class SpeechStream(Protocol):
    """One slot of a recogniser, while somebody speaks. One task sends, another one reads."""

    async def send(self, samples: Samples) -> None:
        """``samples`` of shape (n,) at 16 kHz, as fast as they are taken. Raises ``RecognitionFailed``."""

    async def flush(self) -> None:
        """No more speech for now: the last words come soon, and ``heard`` then reaches all that was sent.

        Speech may be sent again after it. Raises ``RecognitionFailed``.
        """

    def heard(self) -> AsyncIterator[Heard]:
        """Ends once the stream is closed; raises ``RecognitionFailed`` when it is lost."""

    async def close(self) -> None:
        """Gives the slot back; never raises, and does nothing the second time. Nobody waits for it."""


class StreamingRecognizer(Protocol):
    """Slots of one or several servers, shared by all tracks and meetings of a process."""

    def takes(self, languages: tuple[str, ...]) -> bool:
        """Whether it understands all of ``languages`` and a server is healthy: others go to windows."""

    async def open(self) -> SpeechStream:
        """Takes a slot. Raises ``NoFreeChannel`` when all are in use, ``RecognitionFailed`` when no server answers."""

    def given_up(self) -> None:
        """Told each time windows go on with speech that was to be streamed.

        Not where two streams had no more words at the end of it: windows look there too, but mostly it is noise.
        """
