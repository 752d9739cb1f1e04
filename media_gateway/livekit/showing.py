"""Captions and notices sent into a LiveKit room, in both dialects."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar, cast

from livekit import rtc
from livekit.rtc.participant import PublishTranscriptionError

from media_gateway.livekit.transcription import (
    LegacyMode,
    LegacySegment,
    Runs,
    TextStream,
    caption_stream,
    legacy_segments,
    notice_stream,
    segment_id,
)
from pipeline.errors import GatewayFailed
from pipeline.export.event import Event

_SECONDS = 8.0
"""For one event; a connection that is being renewed takes nothing."""
_MOST_UTTERANCES = 1_000
Value = TypeVar("Value")


class Showing:
    """In the room of ``connection``. Its calls raise ``GatewayFailed`` when an event could not be sent."""

    def __init__(self, connection: rtc.Room, mode: LegacyMode) -> None:
        self._connection = connection
        self._mode = mode
        # How many segments of an utterance were sent, of which revision; bounded: _MOST_UTTERANCES, the oldest go.
        self._sent: OrderedDict[str, tuple[int, int]] = OrderedDict()
        # Who said which words at a shared microphone, and who was told last, per utterance; bounded in the same way.
        self._runs: OrderedDict[str, Runs] = OrderedDict()
        self._voice: OrderedDict[str, str] = OrderedDict()

    def anew(self) -> None:
        """Whoever comes sees open utterances from their beginning: others have their phrases, and ignore them."""
        self._sent.clear()

    async def caption(self, event: Event, identity: str, microphone: str | None) -> None:
        """``microphone`` is a track of the speaker ``identity``, None when it is not there, or has published none yet.

        A packet without one is never sent: it ends the process of every client made with LiveKit's Rust SDK, Python's
        included (1.2.1, ``handle_transcription`` unwraps its track).
        """
        with _failures_mapped():
            async with asyncio.timeout(_SECONDS):
                if microphone:
                    await self._segments(event, identity, microphone)
                # Only agents may speak as another one (livekit-server, pkg/rtc/participant.go).
                await self._text(caption_stream(event, microphone or ""), identity)

    def voices(self, event: Event) -> None:
        """What is sent from now on of an utterance says who said it; what was sent stays."""
        _remember(self._runs, segment_id(event), cast(Runs, event["runs"]))

    async def notice(self, event: Event) -> None:
        with _failures_mapped():
            async with asyncio.timeout(_SECONDS):
                await self._text(notice_stream(event))

    async def _segments(self, event: Event, identity: str, microphone: str) -> None:
        """Those that were not sent yet; all of them where the same state is shown again."""
        utterance, revision = segment_id(event), int(str(event["revision"]))
        segments = legacy_segments(event, self._mode, self._runs.get(utterance, ()))
        sent, shown = self._sent.get(utterance, (0, -1))
        first = sent if self._mode is LegacyMode.APPEND and revision > shown else 0
        if not first:
            self._voice.pop(utterance, None)
        for number, segment in enumerate(segments[first:], first + 1):
            await self._segment(self._voiced(segment, utterance), identity, microphone)
            self._sent[utterance] = (max(number, sent), shown)
        _remember(self._sent, utterance, (max(len(segments), sent), max(revision, shown)))

    def _voiced(self, segment: LegacySegment, utterance: str) -> LegacySegment:
        """A segment of another voice than was told last begins with it."""
        if segment.voice is None or segment.voice == self._voice.get(utterance):
            return segment
        _remember(self._voice, utterance, segment.voice)
        return replace(segment, text=f"{segment.voice} {segment.text}")

    async def _segment(self, segment: LegacySegment, identity: str, microphone: str) -> None:
        one = rtc.TranscriptionSegment(
            id=segment.id,
            text=segment.text,
            start_time=segment.start_ms,
            end_time=segment.end_ms,
            language=segment.language,
            final=segment.final,
        )
        await self._connection.local_participant.publish_transcription(rtc.Transcription(identity, microphone, [one]))

    async def _text(self, stream: TextStream, identity: str | None = None) -> None:
        writer = await self._connection.local_participant.stream_text(
            topic=stream.topic, attributes=stream.attributes, sender_identity=identity
        )
        if stream.text:
            await writer.write(stream.text)
        await writer.aclose()


def _remember(known: OrderedDict[str, Value], utterance: str, value: Value) -> None:
    known[utterance] = value
    known.move_to_end(utterance)
    while len(known) > _MOST_UTTERANCES:
        known.popitem(last=False)


@contextmanager
def _failures_mapped() -> Iterator[None]:
    try:
        yield
    except (PublishTranscriptionError, rtc.StreamError, RuntimeError, TimeoutError) as error:
        raise GatewayFailed(f"LiveKit did not take what was to be shown: {type(error).__name__}") from error
