"""The async shell of one live meeting: track events in, windows to the recogniser, captions and records out."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from pipeline.domain import (
    AudioFrame,
    AudioLost,
    Caption,
    Samples,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
    Window,
    WindowKind,
)
from pipeline.errors import RecognitionFailed
from pipeline.live.loudness import level_of
from pipeline.live.meeting import MeetingCaptioner
from pipeline.ports import AudioBus, AudioMemory, CaptionSink, Recognizer, TranscriptStore
from pipeline.streamed import StreamedSpeech
from pipeline.streams import StreamingRecognizer

_log = logging.getLogger("greffier.session")

_PAUSE_AFTER_FAILURE = 0.5
_TICK = 0.5


@dataclass(slots=True)
class SessionTotals:
    """What one session did, for its closing line."""

    frames: int = 0
    windows: int = 0
    failures: int = 0
    finals: int = 0
    records: int = 0
    gaps: int = 0
    furthest: float = 0.0


@dataclass(slots=True)
class _Request:
    """One track's wish, made precise when the recogniser has room."""

    session: "Session"
    track: TrackId
    record: bool
    window: Window | None = None

    @property
    def kind(self) -> WindowKind:
        return WindowKind.RECORD if self.record else self.session.core.kind_of(self.track)

    def cut(self) -> tuple[Window, Samples] | None:
        cut = self.session.cut(self.track, self.record)
        self.window = cut[0] if cut else None
        return cut


@dataclass(slots=True)
class Session:
    """Runs until its audio bus ends and everything heard is recognised. ``now`` tells meeting time.

    Per track at most one live and one record request are with the recogniser: that bounds its queue.
    ``failing`` counts the windows that failed since one was recognised. ``captioned`` is set once no more audio comes
    and every utterance has its final; the record may take longer. ``streams``, where there is one, is asked for words
    before ``recognizer`` is: see ``StreamedSpeech``.
    """

    core: MeetingCaptioner
    recognizer: Recognizer
    audio: AudioBus
    memory: AudioMemory
    captions: CaptionSink
    store: TranscriptStore
    now: Callable[[], float]
    streams: StreamingRecognizer | None = None
    totals: SessionTotals = field(default_factory=SessionTotals)
    failing: int = 0
    captioned: asyncio.Event = field(default_factory=asyncio.Event)
    _missing: dict[TrackId, float] = field(default_factory=dict)  # of resumed tracks, until when their sound is gone
    _awaited: list[tuple[Callable[[], bool], asyncio.Event]] = field(default_factory=list)
    _asked: set[tuple[TrackId, bool]] = field(default_factory=set)
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)
    _made: asyncio.Event = field(default_factory=asyncio.Event)  # there may be something that ``_deliver`` is to send
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    _over: bool = False  # nothing is sent any more
    _streamed: StreamedSpeech | None = None

    async def run(self) -> SessionTotals:
        _log.info("session.opened")
        try:
            async with asyncio.TaskGroup() as group:
                if self.streams is not None:
                    changed = partial(self._wake, group)
                    self._streamed = StreamedSpeech(self.core, self.memory, self.streams, group.create_task, changed)
                ticking = group.create_task(self._tick(group))
                delivering = group.create_task(self._deliver())
                async for event in self.audio.receive():
                    self._take(event)
                    self._ask(group)
                    await self._send()
                ticking.cancel()
                await self._settle(group)
                self._over = True
                delivering.cancel()  # it sends nothing now: all was sent
                for met in self._met():
                    met.set()
        finally:
            self._over = True
            self.captioned.set()
            if self._streamed is not None:
                await self._streamed.give_back()
            _log.info("session.closed", extra={"totals": self.totals})
        return self.totals

    def cut(self, track: TrackId, record: bool) -> tuple[Window, Samples] | None:
        """The window of ``track`` as it stands now, with its audio."""
        kept = self._forget(track)
        window = self.core.window_to_recognize(track, record, kept)
        if window is None:
            return None
        self.totals.windows += 1
        return window, self.memory.read(track, window.start, window.end)

    def resume(
        self, track: Track, finals: Sequence[Caption], shown: Caption | None, unrecorded: Sequence[Caption]
    ) -> None:
        """Goes on with a track of another session, before ``run``; see ``MeetingCaptioner.resume``.

        What is missing between that and the first frame that comes is marked, not heard as silence.
        """
        self.core.resume(track, finals, shown, unrecorded)
        self._missing[track.id] = float("inf")

    async def settled(self) -> dict[TrackId, float]:
        """Per track, the moment from which on sound is still needed, once everything made before it was given out.

        All of it was given to ``captions`` and ``store`` when this returns; infinity for a track that has ended.
        """
        needed = self.core.unsettled_from()
        await self.once(lambda: True)
        return needed

    def silent_for(self, now: float) -> dict[TrackId, float]:
        """Of tracks where speech waits for words: seconds since its last word, or since it began."""
        return {track: max(0.0, now - since) for track, since in self.core.wordless().items()}

    def reset(self, track: TrackId) -> None:
        """The next window of ``track`` is heard as if nothing had been said before."""
        self.core.reset(track)

    def _forget(self, track: TrackId) -> float:
        """Lets go of what no window will hear; of a track that has ended no other window may ask for it."""
        kept = self.memory.forget(track, self.core.needed_from(track))
        return max(kept, self._missing.get(track, 0.0))

    async def ended(self, track: TrackId) -> None:
        """Returns once ``track`` was closed and the finals of all that was heard of it were sent."""
        await self.once(lambda: self.core.ended(track))

    async def once(self, holds: Callable[[], bool]) -> None:
        """Returns once ``holds`` does, as every event and hypothesis may change, and all made before was sent.

        Whoever waits may stop at any moment: the session itself sends.
        """
        if self._over and holds():
            return
        awaited = holds, asyncio.Event()
        self._awaited.append(awaited)
        self._made.set()
        try:
            await awaited[1].wait()
        finally:
            self._awaited.remove(awaited)

    # --- in ---------------------------------------------------------------------------------------------

    def _take(self, event: TrackEvent) -> None:
        if not isinstance(event, TrackOpened) and not self.core.knows(event.track):
            return  # nobody knows whose it is: the beginning of its track is gone
        if self._streamed is not None:
            self._streamed.take(event)
        match event:
            case TrackOpened(track=track):
                self.core.track_opened(track)
            case AudioFrame(track=name):
                self.memory.append(event)
                if self._missing.get(name) == float("inf"):
                    self._missing[name] = event.start
                self._measure(event)
                self.core.audio_until(name, event.end)
                self.totals.frames += 1
                self.totals.furthest = max(self.totals.furthest, event.end)
            case SpeechStarted(track=name, at=at):
                self.core.speech_started(name, at)
            case SpeechEnded(track=name, at=at):
                self.core.speech_ended(name, at)
            case AudioLost(track=name, start=start, end=end):
                self.core.audio_lost(name, start, end, "lost on the way")
            case TrackClosed(track=name, at=at):
                self.core.track_closed(name, at)
                self._forget(name)

    def _measure(self, frame: AudioFrame) -> None:
        """How loud ``frame`` is, where that matters."""
        if self.core.compares_levels:
            self.core.audio_level(frame.track, frame.start, frame.end, level_of(frame.samples))

    async def _tick(self, group: asyncio.TaskGroup) -> None:
        """Silent tracks send nothing: time tells that a pause is long enough for the record."""
        while True:
            await asyncio.sleep(_TICK)
            self.core.quiet_until(self.now())
            self._ask(group)

    async def _settle(self, group: asyncio.TaskGroup) -> None:
        """No more audio comes: wait until everything heard is recognised."""
        self.core.close()
        if self._streamed is not None:
            self._streamed.close()
        self._ask(group)
        await self._send()
        while not self.core.idle:
            if not self.core.captioning:
                await self._send()  # whoever sends the last final has sent it then
                self.captioned.set()
            self._quiet.clear()
            await self._quiet.wait()
        await self._send()

    # --- recognition --------------------------------------------------------------------------------------

    def _ask(self, group: asyncio.TaskGroup) -> None:
        for track, kind in self.core.wanted():
            key = (track, kind is WindowKind.RECORD)
            if key not in self._asked:
                self._asked.add(key)
                group.create_task(self._recognize(group, key))

    async def _recognize(self, group: asyncio.TaskGroup, key: tuple[TrackId, bool]) -> None:
        request = _Request(self, *key)
        try:
            answer = await self.recognizer.recognize(request)
            if answer is not None:
                self.failing = 0
                self.core.hypothesis(*answer)
        except RecognitionFailed as failure:
            self.totals.failures += 1
            self.failing += 1
            _log.warning("window.failed", extra={"error": type(failure).__name__})
            if request.window is None:
                request.cut()  # it failed before it was cut: that counts too, or nothing would ever be given up
            if request.window is not None:
                self.core.recognition_failed(request.window)
            await asyncio.sleep(_PAUSE_AFTER_FAILURE)
        finally:
            self._asked.discard(key)
        self._forget(key[0])
        await self._go_on(group)

    async def _go_on(self, group: asyncio.TaskGroup) -> None:
        """The core has taken something: what it wants next is asked for, what it made is sent."""
        self._ask(group)
        await self._send()
        self._quiet.set()

    def _wake(self, group: asyncio.TaskGroup) -> None:
        """The same, for whoever may be stopped at any moment, or must not wait for the store."""
        self._ask(group)
        self._made.set()

    # --- out ----------------------------------------------------------------------------------------------

    async def _deliver(self) -> None:
        """Sends what others only say is there."""
        while True:
            await self._made.wait()
            self._made.clear()
            await self._send()
            self._quiet.set()

    async def _send(self) -> None:
        """Captions in the order in which they were made; a final is stored before it is shown.

        Only for tasks that nothing but the end of the session stops: what one of them has taken is sent by nobody else.
        """
        async with self._sending:
            await self._give_out()

    async def _give_out(self) -> None:
        captions, records, gaps = self.core.captions_to_send(), self.core.records_to_keep(), self.core.gaps_to_mark()
        met = self._met()  # now: while these are sent, more is made
        for caption in captions:
            if caption.final:
                await self._keep(caption)
            await self.captions.send(caption)
        for record in records:
            self.totals.records += 1
            await self.store.keep_record(record)
        for gap in gaps:
            self.totals.gaps += 1
            await self.store.keep_gap(gap)
        for event in met:
            event.set()

    def _met(self) -> list[asyncio.Event]:
        return [event for holds, event in self._awaited if holds()]

    async def _keep(self, caption: Caption) -> None:
        self.totals.finals += 1
        await self.store.keep_final(caption)
