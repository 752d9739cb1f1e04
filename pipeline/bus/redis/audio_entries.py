"""Track events as entries of a meeting's audio stream.

=====  =========================================================================================================
``g``  the gateway
``k``  opened, frame, started, ended, lost or closed, as the track events; ``heard``: the gateway has taken all sound
       until ``a``; ``people``: who is there has changed
``t``  the track
``n``  counts the events of the track from 1: what is missing was dropped, what comes again was sent again
``a``  meeting time: ``at`` or ``start``
``b``  meeting time: ``end`` of what was lost
``p``  samples, int16, the small byte first
``j``  JSON of the track that opened
=====  =========================================================================================================
"""

import json
from math import inf

import numpy as np

from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    AudioLost,
    Participant,
    ParticipantId,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
)

Fields = tuple[bytes | str, ...]
"""Names and values in turn."""

_LITTLE = np.dtype("<i2")


def fields_of(event: TrackEvent) -> Fields:
    match event:
        case AudioFrame(start=start, samples=samples):
            return ("k", "frame", "a", repr(float(start)), "p", samples.astype(_LITTLE, copy=False).tobytes())
        case TrackOpened(track=track, at=at):
            return ("k", "opened", "a", repr(float(at)), "j", json_of(track))
        case SpeechStarted(at=at):
            return ("k", "started", "a", repr(float(at)))
        case SpeechEnded(at=at):
            return ("k", "ended", "a", repr(float(at)))
        case AudioLost(start=start, end=end):
            return ("k", "lost", "a", repr(float(start)), "b", repr(float(end)))
        case TrackClosed(at=at):
            return ("k", "closed", "a", repr(float(at)))


def event_of(track: TrackId, fields: dict[bytes, bytes]) -> TrackEvent:
    at = float(fields[b"a"])
    match fields[b"k"]:
        case b"frame":
            return AudioFrame(track, at, np.frombuffer(fields[b"p"], _LITTLE).astype(np.int16, copy=False))
        case b"opened":
            return TrackOpened(track_of(track, fields[b"j"])[0], at)
        case b"started":
            return SpeechStarted(track, at)
        case b"ended":
            return SpeechEnded(track, at)
        case b"lost":
            return AudioLost(track, at, float(fields[b"b"]))
        case b"closed":
            return TrackClosed(track, at)
        case kind:
            raise ValueError(f"no track event is called {kind!r}")


def json_of(track: Track, at: float = 0.0, gateway: str = "") -> str:
    """As it stands in ``{m}:tracks``: with when it opened and by which gateway."""
    fields = {"participant": track.participant.id, "name": track.participant.name, "languages": track.languages}
    return json.dumps(fields | {"at": at, "gateway": gateway}, ensure_ascii=False)


def track_of(track: TrackId, text: bytes) -> tuple[Track, float, str]:
    """Back from ``json_of``."""
    said = json.loads(text)
    participant = Participant(ParticipantId(said["participant"]), said["name"])
    return Track(track, participant, tuple(said["languages"])), float(said["at"]), str(said["gateway"])


def seconds_of(event: TrackEvent) -> float:
    """How much sound it holds."""
    return len(event.samples) / SAMPLE_RATE if isinstance(event, AudioFrame) else 0.0


def is_needed(event: TrackEvent, before: float) -> bool:
    """Whether something of it is needed where all of its track before a moment is not; nothing is where that is inf.

    Whoever goes on with a track that was closed needs to know that it was.
    """
    match event:
        case AudioFrame(end=end) | AudioLost(end=end):
            return end > before
        case TrackOpened(at=at) | SpeechEnded(at=at):
            return at > before
        case SpeechStarted(at=at):
            return at >= before
        case TrackClosed():
            return before != inf
