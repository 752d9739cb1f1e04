"""The sound of one meeting from a gateway to whoever captions it."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, islice
from typing import cast

from pipeline.bus.redis import keys
from pipeline.bus.redis.audio_entries import fields_of, is_needed, json_of, seconds_of
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.line import Answer, Command
from pipeline.domain import MeetingId, Participant, ParticipantId, TrackClosed, TrackEvent, TrackId, TrackOpened

_MOST_SECONDS = 60.0
_AT_ONCE = 256
_LOOK_EVERY = 0.5
_HEARD_KEPT = 60
_RENEW_EVERY = 3600.0
_CLOSE_WITHIN = 2.0
_MISSED = 2.0


@dataclass(slots=True, eq=False)
class _Kept:
    """One event. ``entry`` is its id in the stream, once it is there; ``dropped`` when nobody is to hear it."""

    serial: int
    number: int
    event: TrackEvent
    entry: bytes | None = None
    dropped: bool = False


@dataclass(slots=True, eq=False)
class _Sent:
    """One track. ``told`` is what ``{m}:tracks`` says of it; ``done`` once it is closed and nothing is needed."""

    id: TrackId
    told: str = ""
    number: int = 0
    seconds: float = 0.0
    closed: bool = False
    kept: deque[_Kept] = field(default_factory=deque)
    done: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Flight:
    """What is on its way. ``sound``: events of the first ``taken`` that are unsent, from answer ``sound_at`` on."""

    tracks: set[TrackId] = field(default_factory=set)
    people: set[ParticipantId] = field(default_factory=set)
    heard: float | None = None
    useless: list[bytes] = field(default_factory=list)
    over: list[TrackId] = field(default_factory=list)
    looks: bool = False
    sound: Sequence[_Kept] = ()
    sound_at: int = 0
    taken: int = 0


class AudioOutlet:
    """An ``AudioBus`` for sending. Nothing in it waits for Redis, but ``close`` and ``ended``.

    Every event of a track is kept until the owner of the meeting needs it no more, and sent again when Redis was
    restarted or emptied. Who is there and what is open is told again after 2 s without a word, since the owner may have
    thought this gateway dead. Drop rule: of a track at most 60 s of sound are kept; the oldest frame goes, from here
    and from Redis, and the owner marks the hole.
    """

    def __init__(self, bus: RedisBus, meeting: MeetingId, gateway: str = "") -> None:
        """``gateway``: the name of the process, where it is not that of ``bus``."""
        self._bus = bus
        self._gateway = gateway or bus.process
        self._audio, self._tracks_key, self._people_key, self._progress = (
            keys.of_meeting(meeting, what) for what in ("audio", "tracks", "people", "progress")
        )
        self._tracks: dict[TrackId, _Sent] = {}
        self._people: dict[ParticipantId, str] = {}
        self._serials = count()
        self._unsent: deque[_Kept] = deque()
        self._flight = _Flight()
        self._tracks_due: set[TrackId] = set()
        self._people_due: set[ParticipantId] = set()
        self._heard: float | None = None
        self._heard_entries: deque[bytes] = deque()
        self._useless: list[bytes] = []
        self._over: list[TrackId] = []
        self._content = bus.content
        self._look_at = self._renew_at = float("-inf")
        self._answered_at = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._written = asyncio.Event()
        self._closed = self._done = False
        self._cancel = bus.on_return(self._returned)

    async def send(self, event: TrackEvent) -> None:
        if self._closed:
            return
        track = event.track.id if isinstance(event, TrackOpened) else event.track
        sent = self._tracks.setdefault(track, _Sent(track))
        if isinstance(event, TrackOpened):
            sent.told, sent.closed = json_of(event.track, event.at, self._gateway), False
            self._tracks_due.add(track)
        elif isinstance(event, TrackClosed):
            sent.closed = True
        sent.number += 1
        kept = _Kept(next(self._serials), sent.number, event)
        sent.kept.append(kept)
        self._unsent.append(kept)
        self._count(sent, seconds_of(event))
        self._bus.sent.seconds_sent += seconds_of(event)
        while sent.seconds > _MOST_SECONDS:
            self._drop_oldest(sent)
        self._wake()

    def receive(self) -> AsyncIterator[TrackEvent]:
        """Raises ``RuntimeError``: it is for sending."""
        raise RuntimeError("an outlet only sends")

    def heard(self, now: float) -> None:
        """This gateway lives and has taken all sound until ``now``, meeting time; call it every 0.5 s."""
        self._heard = now
        self._wake()

    def set_person(self, participant: Participant, languages: tuple[str, ...] = ()) -> None:
        """Somebody is there by this gateway, or is called otherwise now."""
        said = json.dumps({"name": participant.name, "languages": languages}, ensure_ascii=False)
        if self._people.get(participant.id) != said:
            self._people[participant.id] = said
            self._people_due.add(participant.id)
            self._wake()

    def drop_person(self, participant: ParticipantId) -> None:
        if self._people.pop(participant, None) is not None:
            self._people_due.add(participant)
            self._wake()

    async def ended(self, track: TrackId) -> None:
        """Returns once nothing of a closed track is needed any more, or the outlet is closed."""
        if sent := self._tracks.get(track):
            await sent.done.wait()

    async def close(self) -> None:
        """Nothing more is sent; what waits is written (2 s at most), what is kept is forgotten."""
        self._closed = True
        self._cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_WITHIN):
                while self._due:
                    self._written.clear()
                    self._bus.audio.wake(self)
                    await self._written.wait()
        self._done = True
        self._bus.audio.forget(self)
        if self._timer is not None:
            self._timer.cancel()
        for sent in self._tracks.values():
            self._count(sent, -sent.seconds)
            sent.done.set()
        self._tracks.clear()

    # --- what is kept --------------------------------------------------------------------------------------------

    def _drop_oldest(self, sent: _Sent) -> None:
        index, kept = next((at, one) for at, one in enumerate(sent.kept) if seconds_of(one.event))
        del sent.kept[index]
        self._count(sent, -seconds_of(kept.event))
        self._bus.sent.seconds_lost += seconds_of(kept.event)
        kept.dropped = True
        if kept.entry is not None:
            self._useless.append(kept.entry)

    def _count(self, sent: _Sent, seconds: float) -> None:
        sent.seconds += seconds
        self._bus.sent.seconds_kept += seconds

    def _progressed(self, sent: _Sent, before: float) -> None:
        while sent.kept and not is_needed(sent.kept[0].event, before):
            self._count(sent, -seconds_of(sent.kept.popleft().event))
        if before == float("inf"):
            self._over.append(sent.id)
            if sent.closed:
                sent.done.set()
                del self._tracks[sent.id]
            else:  # it was given up, but goes on
                self._tracks_due.add(sent.id)

    async def _returned(self) -> None:
        self._wake()

    def _send_again(self) -> None:
        """Redis was restarted or emptied."""
        self._content = self._bus.content
        kept = [one for sent in self._tracks.values() for one in sent.kept]
        self._unsent = deque(sorted(kept, key=lambda one: one.serial))
        self._tracks_due.update(self._tracks)
        self._people_due.update(self._people)
        self._heard_entries.clear()
        self._useless = [one.entry for one in kept if one.entry is not None]
        self._renew_at = float("-inf")

    # --- what the pump asks --------------------------------------------------------------------------------------

    @property
    def _due(self) -> bool:
        return bool(self._unsent or self._tracks_due or self._people_due or self._useless) and not self._done

    def commands(self) -> Sequence[Command]:
        if self._done:
            return ()
        if self._content != self._bus.content:
            self._send_again()
        self._flight = flight = _Flight(
            tracks=self._tracks_due,
            people=self._people_due,
            heard=self._heard if len(self._unsent) <= _AT_ONCE else None,
            useless=self._useless,
            over=self._over,
            looks=time.monotonic() >= self._look_at and any(sent.kept for sent in self._tracks.values()),
        )
        self._tracks_due, self._people_due, self._useless, self._over = set(), set(), [], []
        if flight.heard is not None:
            self._heard = None
        commands = self._changes(flight)
        flight.sound_at = len(commands)
        flight.sound = [one for one in islice(self._unsent, _AT_ONCE) if not one.dropped]
        flight.taken = min(len(self._unsent), _AT_ONCE)
        commands += [self._entry(one) for one in flight.sound]
        if flight.heard is not None:
            commands.append(("XADD", self._audio, "*", "g", self._gateway, "k", "heard", "a", repr(flight.heard)))
        if flight.useless:  # where they are sent again, those that are still there go
            commands.append(("XDEL", self._audio, *flight.useless))
        if time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + _RENEW_EVERY
            all_keys = (self._audio, self._tracks_key, self._people_key)
            commands += [("EXPIRE", key, keys.SECONDS_KEPT) for key in all_keys]
        if flight.looks:
            commands.append(("HGETALL", self._progress))
        return commands

    def answered(self, answers: Sequence[Answer]) -> bool:
        flight, self._flight = self._flight, _Flight()
        entries = answers[flight.sound_at : flight.sound_at + len(flight.sound) + (flight.heard is not None)]
        for one, entry in zip(flight.sound, entries, strict=False):
            one.entry = cast(bytes, entry)
            if one.dropped:
                self._useless.append(one.entry)
        for _ in range(flight.taken):
            self._unsent.popleft()
        if flight.heard is not None:
            self._keep_few(cast(bytes, entries[-1]))
        if flight.looks:
            self._look_at = time.monotonic() + _LOOK_EVERY
            self._look(cast(list[bytes], answers[-1]))
        if self._timer is None and not self._closed and any(sent.kept for sent in self._tracks.values()):
            self._timer = asyncio.get_running_loop().call_later(_LOOK_EVERY, self._look_again)
        if time.monotonic() - self._answered_at > _MISSED:  # whoever missed us may have struck us off
            self._tracks_due.update(self._tracks)
            self._people_due.update(self._people)
        self._answered_at = time.monotonic()
        self._written.set()
        return self._due

    def unanswered(self) -> None:
        flight, self._flight = self._flight, _Flight()
        self._tracks_due |= flight.tracks
        self._people_due |= flight.people
        self._useless += flight.useless
        self._over += flight.over
        if self._heard is None:
            self._heard = flight.heard

    def _changes(self, flight: "_Flight") -> list[Command]:
        """What the hashes of the meeting are to say."""
        commands: list[Command] = []
        told = ((track, self._tracks[track].told) for track in flight.tracks if track in self._tracks)
        commands += [("HSET", self._tracks_key, *each) for each in told]
        for participant in flight.people:
            name, said = f"{self._gateway} {participant}", self._people.get(participant)
            person = (self._people_key, name)
            commands.append(("HDEL", *person) if said is None else ("HSET", *person, said))
        if flight.people:
            commands.append(("XADD", self._audio, "*", "g", self._gateway, "k", "people"))
        if flight.over:
            commands.append(("HDEL", self._progress, *flight.over))
        return commands

    def _entry(self, one: _Kept) -> Command:
        track = one.event.track.id if isinstance(one.event, TrackOpened) else one.event.track
        return ("XADD", self._audio, "*", "g", self._gateway, "t", track, "n", one.number, *fields_of(one.event))

    def _keep_few(self, entry: bytes) -> None:
        """Of the entries ``heard`` the newest say it all; without an owner nobody else takes them away."""
        self._heard_entries.append(entry)
        if len(self._heard_entries) > 2 * _HEARD_KEPT:
            self._useless += [self._heard_entries.popleft() for _ in range(_HEARD_KEPT)]

    def _look(self, pairs: Sequence[bytes]) -> None:
        for name, before in zip(pairs[::2], pairs[1::2], strict=True):
            if sent := self._tracks.get(TrackId(name.decode())):
                self._progressed(sent, float(before))

    def _look_again(self) -> None:
        self._timer = None
        self._wake()

    def _wake(self) -> None:
        if not self._closed:
            self._bus.audio.wake(self)
