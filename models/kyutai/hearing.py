"""What the messages of one connection mean for the sound that was sent over it. Without the socket, and without clock.

The recogniser's time counts what it was sent: speech, and the silence that brings the last words of it early. The times
of a stream are those of its own sound, so each stretch of speech is remembered by where it begins in both.

A word is given as soon as it is told, since its text does not change. When it ends is told only once the next one
begins, which may be much later: until then its length says how long it lasts at most, and so does what was heard.
"""

import math
from dataclasses import dataclass

from models.kyutai.messages import STEP_SECONDS, Marker, Message, Refusal, Said, Step
from pipeline.domain import Word
from pipeline.errors import RecognitionFailed
from pipeline.streams import Heard

_SHORTEST, _EACH_LETTER = 0.1, 0.06
"""Seconds of a word: as fast as people speak, so that none is taken to reach into the next."""
_PARTLY_HEARD = 3
"""Frames that no step may be told of for long: servers that resample hold the newest sound back."""
_LONG_PAUSE = 2
"""The head for pauses of 2 s; Kyutai's own Unmute uses it."""
_SURE = 0.6


@dataclass(slots=True)
class _Stretch:
    """Speech that begins at ``start`` of the connection's sound, at ``own_start`` of the stream's; until ``own_end``.

    ``marker`` follows it, after so many ``frames`` of the connection; ``known`` is set once that came back.
    """

    start: float
    own_start: float
    own_end: float = math.inf
    marker: int | None = None
    frames: int = 0
    known: bool = False

    def own(self, at: float) -> float:
        return min(self.own_end, self.own_start + max(0.0, at - self.start))


class Hearing:
    """``delay`` is the model's; ``until`` the end of what the connections before this one have heard."""

    def __init__(self, delay: float, until: float = 0.0) -> None:
        self._delay = delay
        self._until = until
        self._steps = 0
        self._markers = 0
        self._stretches: list[_Stretch] = []  # those of which words may still come
        self.frames = 0
        self.pausing = False

    @property
    def speaking(self) -> bool:
        """Whether speech is being sent."""
        return bool(self._stretches) and self._stretches[-1].marker is None

    @property
    def behind(self) -> int:
        """Frames that were sent and not heard yet; 0 while the model has not told of a step: some never do."""
        return self.frames - self._steps if self._steps else 0

    @property
    def settled(self) -> bool:
        """Whether all markers came back."""
        return all(stretch.known for stretch in self._stretches if stretch.marker is not None)

    @property
    def owes(self) -> bool:
        """Whether something must come without anything more being sent."""
        return self.behind > _PARTLY_HEARD or not self.settled

    def begin(self, own: float) -> None:
        """Speech begins at ``own`` seconds of the stream's sound."""
        self._stretches.append(_Stretch(self.frames * STEP_SECONDS, own))

    def end(self, own: float) -> int:
        """Speech ends at ``own``; the number of the marker that is to follow it."""
        self._markers += 1
        stretch = self._stretches[-1]
        stretch.own_end, stretch.marker, stretch.frames = own, self._markers, self.frames
        return self._markers

    def take(self, message: Message) -> Heard | None:
        """What it adds, if anything. Raises ``RecognitionFailed`` where the server gives up."""
        match message:
            case Said():
                return self._word(message) if message.text and self._stretches else None
            case Step(pauses=pauses):
                self._steps += 1
                self.pausing = len(pauses) > _LONG_PAUSE and pauses[_LONG_PAUSE] > _SURE
            case Marker(id=number):
                return self._returned(number)
            case Refusal(reason=reason):
                raise RecognitionFailed(f"moshi-server gave up: {reason[:200]}")
        return None

    def _word(self, said: Said) -> Heard:
        begun = [stretch for stretch in self._stretches if stretch.start <= said.start + STEP_SECONDS / 2]
        stretch = begun[-1] if begun else self._stretches[0]
        start = max(self._until, stretch.own(said.start))
        end = min(stretch.own_end, start + _SHORTEST + _EACH_LETTER * len(said.text))
        if self._steps:
            end = min(end, stretch.own(self._steps * STEP_SECONDS - self._delay))
        self._until = max(start, end)
        return Heard((Word(f" {said.text}", start, self._until),), (), self._until)

    def _returned(self, number: int) -> Heard | None:
        """All that was said before the marker is known."""
        for place, stretch in enumerate(self._stretches):
            if stretch.marker == number:
                stretch.known = True
                self._steps = max(self._steps, stretch.frames) if self._steps else 0
                self._until = max(self._until, stretch.own_end)
                del self._stretches[:place]
                return Heard((), (), self._until)
        return None
