"""What running meetings are made with; the wiring chooses."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pipeline.domain import MeetingId
from pipeline.live.meeting import MeetingCaptioner
from pipeline.ports import (
    AudioBus,
    AudioKeeper,
    EventFeed,
    KeptMeetings,
    MeetingAudioMemory,
    Recognizer,
    SpeechDetector,
    VoiceModel,
)
from pipeline.streams import StreamingRecognizer


@dataclass(frozen=True, slots=True)
class Equipment:
    """``recognizer`` is shared by all meetings; each ``new_...`` makes one of its kind.

    ``new_captioner`` is given the meeting's languages (empty: those of the settings) and glossary;
    ``check_languages`` raises ``InvalidInput`` for one that the model does not know; ``new_feed`` is given its first
    number. ``new_keeper`` is asked for where a meeting keeps its sound; ``forget`` removes the files of a deleted one.
    ``voice_model`` hears who speaks on shared microphones, None where nothing does; ``rooms_by_themselves``: also on
    those that nobody marked as shared. ``streams`` is asked for words before ``recognizer`` is. ``wall`` gives
    seconds since 1970, ``steady`` seconds that never go back.
    """

    store: KeptMeetings
    recognizer: Recognizer
    new_captioner: Callable[[tuple[str, ...], tuple[str, ...]], MeetingCaptioner]
    check_languages: Callable[[tuple[str, ...]], None]
    new_detector: Callable[[], SpeechDetector]
    new_bus: Callable[[], AudioBus]
    new_memory: Callable[[], MeetingAudioMemory]
    new_feed: Callable[[int], EventFeed]
    new_keeper: Callable[[MeetingId], AudioKeeper] | None = None
    forget: Callable[[MeetingId], Awaitable[None]] | None = None
    voice_model: VoiceModel | None = None
    rooms_by_themselves: bool = False
    streams: StreamingRecognizer | None = None
    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
