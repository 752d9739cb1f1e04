"""Recordings that mix several voices: who speaks when in them is found once their words are known.

Nothing here may cost a word: where voices cannot be told apart, a log says so, and the transcript goes without.
"""

import concurrent.futures
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.domain import (
    SAMPLE_RATE,
    Caption,
    Diarization,
    Participant,
    RecordingId,
    Samples,
    TrackId,
    UtteranceId,
    VoiceSpan,
)
from pipeline.errors import GreffierError, UnreadableMedia
from pipeline.offline import Piece
from pipeline.ports import Diarizer, RecordedSound
from pipeline.record.attribution import by_voice, with_voice
from pipeline.record.matching import ParticipantSpeech, names_of

_log = logging.getLogger("greffier.jobs")

LONGEST = 6 * 3600.0
"""Seconds of a recording whose voices are told apart: all of its sound is in memory meanwhile."""
_TOO_LONG = f"voices are told apart in {LONGEST / 3600:g} hours of sound at most"
_PIECE = 30.0
_NICE = 10
_LOOK = 0.2
"""Seconds between two looks at how far it is."""


class _Dropped(Exception):
    """Nobody waits for these voices any more."""


@dataclass(slots=True)
class _Search:
    """One recording in the hands of the diarizer; ``done`` of it, up to 1."""

    done: float = 0.0
    dropped: threading.Event = field(default_factory=threading.Event)

    def tell(self, done: float) -> None:
        self.check()
        self.done = done

    def check(self) -> None:
        if self.dropped.is_set():
            raise _Dropped


class VoiceSearch:
    """Finds who speaks when in recordings, one after the other, in a thread of its own that gives way to all others.

    ``new_diarizer`` is called there, at the first recording: it takes seconds and much memory.
    """

    def __init__(self, new_diarizer: Callable[[], Diarizer]) -> None:
        self._new_diarizer = new_diarizer
        self._diarizer: Diarizer | None = None
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "voices", initializer=give_way)

    def takes(self, recording: RecordingId, seconds: float | None) -> bool:
        """Whether so much sound is searched; a log says that it is not."""
        if seconds is None or seconds <= LONGEST:
            return True
        _log.warning("recording.voices_unknown", extra={"recording": recording, "error": _TOO_LONG})
        return False

    def find(
        self, recording: RecordingId, sound: RecordedSound, look: Callable[[float], None]
    ) -> tuple[VoiceSpan, ...]:
        """One voice at a time, in order; nothing where voices cannot be told apart.

        ``look`` is told now and then which part is done; what it raises ends the search, and is raised.
        """
        future = self._searched(sound, look)
        error = future.exception()
        if error is not None:
            foreseen = isinstance(error, GreffierError)
            said = {"recording": recording, "error": str(error) if foreseen else type(error).__name__}
            _log.warning("recording.voices_unknown", extra=said, exc_info=None if foreseen else error)
            return ()
        return future.result().exclusive

    def diarize(self, sound: RecordedSound, look: Callable[[float], None]) -> Diarization:
        """As ``find``, but raises ``UnreadableMedia`` for too long a ``sound``, and whatever the diarizer raises."""
        if (sound.duration or 0.0) > LONGEST:
            raise UnreadableMedia(_TOO_LONG)
        return self._searched(sound, look).result()

    def _searched(
        self, sound: RecordedSound, look: Callable[[float], None]
    ) -> "concurrent.futures.Future[Diarization]":
        """What is done when it comes."""
        search = _Search()
        future = self._thread.submit(self._find, sound, search)
        try:
            while not concurrent.futures.wait([future], timeout=_LOOK).done:
                look(search.done)
        finally:
            search.dropped.set()
        return future

    def _find(self, sound: RecordedSound, search: _Search) -> Diarization:
        if self._diarizer is None:
            self._diarizer = self._new_diarizer()
        return self._diarizer.diarize(_whole(sound, search), progress=search.tell)


def give_way() -> None:
    """Linux knows a priority for each thread; elsewhere it would be that of the process."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(_NICE, os.getpriority(os.PRIO_PROCESS, thread)))


def _whole(sound: RecordedSound, search: _Search) -> Samples:
    held = bytearray()
    for piece in sound.pieces(_PIECE):
        search.check()
        held += piece.tobytes()
        if len(held) > LONGEST * SAMPLE_RATE * piece.itemsize:
            raise UnreadableMedia(_TOO_LONG)
    return np.frombuffer(held, np.int16)


def spoken_by(
    recording: Participant,
    sentences: Sequence[Piece],
    exclusive: Sequence[VoiceSpan],
    people: Sequence[ParticipantSpeech] = (),
) -> tuple[tuple[Participant, ...], list[Caption]]:
    """A participant for each voice, and what they say, each caption with its participant in place of its track.

    Sentences are divided where the voice changes. A voice that is one of ``people`` has their name; where there is one
    voice that is nobody's, or none, all is said by ``recording``.
    """
    spoken = [
        (voice, Piece(words, sentence.language))
        for sentence in sentences
        for voice, words in by_voice(sentence.words, exclusive)
    ]
    voices = {voice for voice, _ in spoken if voice is not None}
    names = names_of([span for span in exclusive if span.voice in voices], people)
    if len(voices) < 2 and not names:
        spoken = [(None, sentence) for sentence in sentences]
    said = [(with_voice(recording, voice, names.get(voice or 0)), piece) for voice, piece in spoken]
    captions = [
        Caption(TrackId(who.id), UtteranceId(f"{who.id}.{number}"), 1, True, piece.language, piece.words)
        for number, (who, piece) in enumerate(said, 1)
    ]
    return tuple(dict.fromkeys(who for who, _ in said)) or (recording,), captions
