"""The sound of one meeting, for whoever captions it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pipeline.bus.redis import keys
from pipeline.bus.redis.audio_entries import event_of, is_needed, track_of
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.line import Word
from pipeline.bus.redis.reader import Entry, Stop
from pipeline.bus.redis.scripts import REPORT
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    AudioLost,
    MeetingId,
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
from pipeline.errors import BusFailed

_MOST_BYTES = 2 * SAMPLE_RATE * 1200
_USELESS = 500
_CLOSE_WITHIN = 2.0
_SLACK = 0.005

Name = tuple[int, int]
"""The id of an entry, in its order."""


@dataclass(frozen=True, slots=True)
class _Given:
    """Up: the track's gateway has died."""

    track: TrackId
    at_end: float


@dataclass(slots=True, eq=False)
class _Received:
    """One track. ``number`` of its newest event; ``trail``: what has come and may be needed, with its entries."""

    number: int | None = None
    opened: bool = False
    until: float = 0.0
    trail: deque[tuple[Name, TrackEvent]] = field(default_factory=deque)


class AudioInbox:
    """An ``AudioBus`` for receiving; one receiver.

    What comes again is ignored, what is missing becomes an ``AudioLost``. A track whose beginning is not in the stream
    any more is opened by what ``{m}:tracks`` says of it, and in speech. Drop rule: 1,200 s of sound wait for the
    receiver; then the oldest frame goes, and is missing.
    """

    def __init__(self, bus: RedisBus, meeting: MeetingId, holder: str) -> None:
        """See ``open``."""
        self.heard: dict[str, float] = {}
        """By gateway: the meeting time until which it has taken all sound."""
        self.gateway_of: dict[TrackId, str] = {}
        """By which gateway a track comes."""
        self.on_people: Callable[[], None] | None = None
        """Called when who is there has changed (``People.load``)."""
        self._bus = bus
        self._holder = holder
        self._lease, self._audio, self._tracks_key, self._progress = (
            keys.of_meeting(meeting, what) for what in ("lease", "audio", "tracks", "progress")
        )
        self._queue: deque[Entry | _Given | TrackEvent] = deque()
        self._bytes = 0
        self._tracks: dict[TrackId, _Received] = {}
        self._known: dict[TrackId, tuple[Track, float, str]] = {}
        self._before: dict[TrackId, float] = {}
        self._old: Name = (0, 0)
        self._reported: dict[str, float] = {}
        self._content = bus.content
        self._taken: Name = (0, 0)
        self._useless: list[Name] = []
        self._changed = asyncio.Event()
        self._closed = False
        self._stop: Stop | None = None

    @classmethod
    async def open(cls, bus: RedisBus, meeting: MeetingId, holder: str) -> "AudioInbox":
        """``holder`` of the meeting's lease. Raises ``BusFailed``."""
        inbox = cls(bus, meeting, holder)
        pairs, newest = await bus.ask([("HGETALL", inbox._progress), ("XREVRANGE", inbox._audio, "+", "-", "COUNT", 1)])
        for name, at in zip(pairs[::2], pairs[1::2], strict=True):
            if name.startswith(b"@"):
                inbox.heard[name[1:].decode()] = float(at)
            else:
                inbox._before[TrackId(name.decode())] = float(at)
        inbox._old = _name(newest[0][0].decode()) if newest else (0, 0)
        await inbox.tracks()
        inbox._stop = await bus.reader.follow(inbox._audio, "0", inbox._come)
        return inbox

    async def tracks(self) -> dict[TrackId, tuple[Track, float, str]]:
        """The tracks that are open, or of which sound is still needed: each with when it opened and its gateway.

        Raises ``BusFailed``.
        """
        pairs = await self._bus.call("HGETALL", self._tracks_key)
        names = [TrackId(name.decode()) for name in pairs[::2]]
        self._known = {name: track_of(name, text) for name, text in zip(names, pairs[1::2], strict=True)}
        self.gateway_of |= {name: gateway for name, (_, _, gateway) in self._known.items()}
        return dict(self._known)

    async def send(self, event: TrackEvent) -> None:
        """An event of this process's own, behind those that have come."""
        self._put(event)

    async def receive(self) -> AsyncIterator[TrackEvent]:
        """First what the stream still holds, then what comes; ends after ``close``."""
        while True:
            while self._queue:
                for event in await self._next(self._queue.popleft()):
                    yield event
            if self._closed:
                return
            self._changed.clear()
            await self._changed.wait()

    async def report(self, needed: Mapping[TrackId, float]) -> bool:
        """Nothing of each track before its moment is needed; ``inf``: nothing at all, and the track is over.

        False, and nothing reported, where the lease is not ``holder``'s. Raises ``BusFailed``.
        """
        if self._content != self._bus.content:
            self._content, self._reported = self._bus.content, {}
        for track, at in needed.items():
            self._let_go(track, at)
        before = {track: at for track, at in self._before.items() if at < float("inf")}  # whoever was before said so
        reached = {track: max(at, before.get(track, at)) for track, at in needed.items()}
        said: dict[str, float] = {**reached} | {f"@{gateway}": until for gateway, until in self.heard.items()}
        changed = {name: at for name, at in said.items() if self._reported.get(name) != at}
        oldest = min(self._waiting_names(), default=(self._taken[0], self._taken[1] + 1))
        looked_at, useless = len(self._useless), [name for name in self._useless if name > oldest]
        gone = useless if len(useless) >= _USELESS else []
        arguments: list[Word] = [self._holder, _text(oldest), keys.SECONDS_KEPT, len(changed)]
        for name, at in changed.items():
            arguments += (name, repr(float(at)))
        arguments += map(_text, gone)
        names = [self._lease, self._progress, self._tracks_key, self._audio]
        if not await self._bus.run(REPORT, names, arguments):
            return False
        self._reported |= changed
        self._useless[:looked_at] = [] if gone else useless
        return True

    async def lose(self, track: TrackId, at_end: float) -> None:
        """The gateway of ``track`` has died: its sound is lost from where it was last ``heard`` to ``at_end``, and the
        track is closed. Should it send again after all, the track is open again."""
        self._put(_Given(track, at_end))

    async def close(self) -> None:
        """Nothing more comes; what is in the stream now can still be received, then ``receive`` ends."""
        with suppress(BusFailed, TimeoutError):
            async with asyncio.timeout(_CLOSE_WITHIN):
                found = await self._bus.call("XREVRANGE", self._audio, "+", "-", "COUNT", 1)
                while found and self._taken < _name(found[0][0].decode()):
                    self._changed.clear()
                    await self._changed.wait()
        if self._stop is not None:
            await self._stop()
        self._closed = True
        self._changed.set()

    # --- what comes ----------------------------------------------------------------------------------------------

    def _come(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._taken = max(self._taken, _name(entry.id))
            gateway = entry.fields[b"g"].decode()
            match entry.fields[b"k"]:
                case b"heard":
                    self.heard[gateway] = max(self.heard.get(gateway, 0.0), float(entry.fields[b"a"]))
                    self._useless.append(_name(entry.id))
                case b"people":
                    self._useless.append(_name(entry.id))
                    if self.on_people is not None:
                        self.on_people()
                case _:
                    self.gateway_of[TrackId(entry.fields[b"t"].decode())] = gateway
                    self._put(entry)
        self._changed.set()

    def _put(self, piece: "Entry | _Given | TrackEvent") -> None:
        self._queue.append(piece)
        self._bytes += _size(piece)
        if self._bytes > _MOST_BYTES:
            index, oldest = next((at, one) for at, one in enumerate(self._queue) if _size(one))
            del self._queue[index]
            self._bytes -= _size(oldest)
        self._changed.set()

    async def _next(self, piece: "Entry | _Given | TrackEvent") -> list[TrackEvent]:
        self._bytes -= _size(piece)
        if isinstance(piece, _Given):
            return await self._given_up(piece)
        if not isinstance(piece, Entry):
            return [piece]
        track, name = TrackId(piece.fields[b"t"].decode()), _name(piece.id)
        received, number = self._tracks.setdefault(track, _Received()), int(piece.fields[b"n"])
        event = event_of(track, piece.fields)
        again = received.number is not None and number <= received.number
        if again or (name <= self._old and not is_needed(event, self._before.get(track, float("-inf")))):
            self._useless.append(name)
            return []
        events = await self._led_up_to(event, track, received, number)
        received.number = number
        received.opened = not isinstance(event, TrackClosed)
        received.until = max(received.until, _end(event))
        received.trail.append((name, event))
        return [*events, event]

    async def _led_up_to(self, event: TrackEvent, track: TrackId, received: _Received, number: int) -> list[TrackEvent]:
        """What must be said before ``event``, since it did not come."""
        events: list[TrackEvent] = []
        if not received.opened and not isinstance(event, TrackOpened):
            events.append(await self._opened(track))
        start = event.start if isinstance(event, AudioFrame | AudioLost) else event.at
        since = start
        if received.number is not None and number > received.number + 1:
            since = received.until
        elif received.number is None and isinstance(event, AudioFrame):
            since = self._before.get(track, start)
        if start > since + _SLACK:
            events.append(AudioLost(track, since, start))
        if not received.opened and isinstance(event, AudioFrame):
            events.append(SpeechStarted(track, start))
        return events

    async def _given_up(self, given: _Given) -> list[TrackEvent]:
        """Where nobody knows until when its gateway has taken sound, nothing is marked."""
        track, received = given.track, self._tracks.setdefault(given.track, _Received())
        if received.number is not None and not received.opened:
            return []
        events: list[TrackEvent] = [] if received.opened else [await self._opened(track)]
        since = max(self.heard.get(self.gateway_of.get(track, ""), 0.0), received.until) or given.at_end
        if given.at_end > since + _SLACK:
            events.append(AudioLost(track, since, given.at_end))
        received.opened, received.number = False, received.number or 0
        return [*events, TrackClosed(track, max(given.at_end, received.until))]

    async def _opened(self, track: TrackId) -> TrackOpened:
        if track not in self._known:
            with suppress(BusFailed):
                await self.tracks()
        if track in self._known:
            known, at, _ = self._known[track]
            return TrackOpened(known, at)
        participant = ParticipantId(track.rpartition(".")[0] or track)
        return TrackOpened(Track(track, Participant(participant, participant)), 0.0)

    # --- what is needed ------------------------------------------------------------------------------------------

    def _let_go(self, track: TrackId, before: float) -> None:
        trail = self._tracks[track].trail if track in self._tracks else deque()
        while trail and not is_needed(trail[0][1], before):
            self._useless.append(trail.popleft()[0])

    def _waiting_names(self) -> Iterator[Name]:
        """The oldest entry that is needed of each track, and the oldest that waits."""
        for received in self._tracks.values():
            if received.trail:
                yield received.trail[0][0]
        for piece in self._queue:
            if isinstance(piece, Entry):
                yield _name(piece.id)
                return


def _name(text: str) -> Name:
    first, _, second = text.partition("-")
    return int(first), int(second)


def _text(name: Name) -> str:
    return f"{name[0]}-{name[1]}"


def _size(piece: "Entry | _Given | TrackEvent") -> int:
    return len(piece.fields.get(b"p", b"")) if isinstance(piece, Entry) else 0


def _end(event: TrackEvent) -> float:
    match event:
        case AudioFrame(end=end) | AudioLost(end=end):
            return end
        case TrackOpened(at=at) | SpeechStarted(at=at) | SpeechEnded(at=at) | TrackClosed(at=at):
            return at
