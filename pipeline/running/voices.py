"""The tracks that are published in one running meeting: each source is pumped through its own edge to the bus."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.domain import AudioFrame, AudioLost, Track, TrackClosed, TrackEvent, TrackOpened
from pipeline.edge import MeetingEdge
from pipeline.ports import AudioBus, AudioKeeper, AudioSource, SpeechDetector

_log = logging.getLogger("greffier.meeting")


@dataclass(slots=True, eq=False)
class _Voice:
    """One published track. ``sending`` keeps what the edge gives in order on the bus."""

    track: Track
    edge: MeetingEdge
    opened: bool = False
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    pump: "asyncio.Task[None] | None" = None


@dataclass(slots=True)
class Voices:
    """Whatever happens to one source stays with its track. ``hears`` is False while nobody listens; ``keeper`` is given
    all sound that is taken, silence too."""

    bus: AudioBus
    new_detector: Callable[[], SpeechDetector]
    keeper: AudioKeeper | None = None
    hears: bool = True
    _deaf_until: float = float("-inf")
    _voices: list[_Voice] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._voices)

    async def pump(self, source: AudioSource, track: Track) -> None:
        """Takes the sound of ``source`` as that of ``track`` until it ends, fails or is stopped."""
        voice = _Voice(track, MeetingEdge(self.new_detector))
        self._voices.append(voice)
        voice.pump = asyncio.create_task(self._take_all(voice, source))
        try:
            await asyncio.wait([voice.pump])
        finally:
            voice.pump.cancel()
            await self._close(voice)
            await asyncio.gather(voice.pump, return_exceptions=True)
            self._voices.remove(voice)

    async def look(self, now: float) -> None:
        """Ends the speech of tracks whose source sends nothing any more."""
        for voice in tuple(self._voices):
            async with voice.sending:
                await self._send(voice.edge.stalled(now))

    async def pause(self) -> None:
        """Speech under way ends everywhere, and frames are dropped until ``resume``."""
        self.hears = False
        for voice in tuple(self._voices):
            async with voice.sending:
                await self._send(voice.edge.pause())

    def resume(self, now: float) -> None:
        """Sound from ``now`` on is taken; what was said before was not meant for us."""
        self._deaf_until = now
        self.hears = True

    async def close(self) -> None:
        """No more sound is taken: every track ends."""
        self.hears = False
        for voice in tuple(self._voices):
            await self._close(voice)
            if voice.pump is not None:
                voice.pump.cancel()

    async def _take_all(self, voice: _Voice, source: AudioSource) -> None:
        try:
            async for event in source.events():
                await self._take(voice, event)
        except Exception as failure:  # noqa: BLE001 - a source may raise anything, and the meeting goes on
            _log.warning("source.failed", extra={"track": voice.track.id, "error": type(failure).__name__})

    async def _take(self, voice: _Voice, event: TrackEvent) -> None:
        match event:
            case TrackOpened(at=at):
                if voice.opened:
                    return
                voice.opened, event = True, TrackOpened(voice.track, at)
            case AudioFrame() | AudioLost():
                if not self.hears or event.start < self._deaf_until or event.track != voice.track.id:
                    return
                if self.keeper is not None and isinstance(event, AudioFrame):
                    self.keeper.write(event)
            case TrackClosed():
                return  # the track ends with its source
        async with voice.sending:
            await self._send(voice.edge.feed(event))

    async def _close(self, voice: _Voice) -> None:
        async with voice.sending:
            await self._send(voice.edge.close())

    async def _send(self, events: list[TrackEvent]) -> None:
        for event in events:
            await self.bus.send(event)
