"""Meetings as players see them: captions put into segments while somebody plays (``pipeline/export/hls``)."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from api import past_voices
from api.past_voices import labels_of
from pipeline.domain import Caption, Meeting, MeetingId, Participant, TrackId
from pipeline.errors import NotFound
from pipeline.export.event import Reading
from pipeline.export.hls import SEGMENT_S, MediaPlaylist, Subtitles, audio_playlist, subtitles_playlist
from pipeline.export.live_cues import LiveCues, labels_first
from pipeline.ports import EventFeed

UNUSED_S = 120.0
"""After this time without a player the segments of a meeting are let go; they can be made again."""


class Running(Protocol):
    @property
    def feed(self) -> EventFeed: ...

    def now(self) -> float: ...


class RunningOnes(Protocol):
    async def find(self, meeting: MeetingId) -> Running | None: ...


class Store(past_voices.Store, Protocol):
    async def meeting(self, meeting: MeetingId) -> Meeting: ...

    async def finals(self, meeting: MeetingId) -> list[Caption]: ...


class Playback:
    """The segments of one meeting. Reads the feed when a player asks, so that waiting costs nothing.

    The feed of a session holds everything that earlier ones made final. Where no session runs, the store is read; it
    has every final by the time it says that the meeting ended.
    """

    def __init__(
        self, meeting: Meeting, store: Store, meetings: RunningOnes, hold_back: float, wall: Callable[[], float]
    ) -> None:
        self.meeting = meeting
        self.subtitles = Subtitles(hold_back)
        self.listed = 0
        self.used_at = 0.0
        self._store = store
        self._meetings = meetings
        self._hold_back = hold_back
        self._wall = wall
        self._cues = LiveCues()
        self._running: Running | None = None
        self._cursor: int | None = None
        self._store_read = False
        self._busy = asyncio.Lock()
        self._playlists: dict[str, MediaPlaylist] = {
            "audio": audio_playlist(meeting.created_at),
            "subtitles": subtitles_playlist(meeting.created_at),
        }

    async def catch_up(self) -> None:
        """Takes what is new; then ``listed`` says how many segments there are. Raises ``NotFound`` once deleted."""
        async with self._busy:
            running = await self._meetings.find(self.meeting.id)
            if running is not None and running is not self._running:
                self._running, self._cursor = running, None
            if self._running is not None:
                await self._read_feed(self._running.feed)
            if running is None:
                await self._read_store()
            self.listed = self.subtitles.listed(self._now())

    async def playlist(self, kind: str, token: str | None) -> str:
        """``audio`` or ``subtitles``.

        At the beginning of a meeting it comes with the first segment, since players give up where there is none.
        """
        await self.catch_up()
        if not self.listed:
            first = SEGMENT_S + self._hold_back
            await asyncio.sleep(min(max(0.0, first - self._now()) + 0.05, first))
            await self.catch_up()
        return self._playlists[kind].text(self.listed, ended=self.subtitles.ended, token=token)

    def _now(self) -> float:
        return self._running.now() if self._running else self._wall() - self.meeting.created_at

    async def _read_feed(self, feed: EventFeed) -> None:
        readings = feed.history(self._cursor)
        if readings:
            # In a thread: the captions of hours take seconds, and others are not to wait for it.
            await asyncio.to_thread(self._take_events, readings)
            self._cursor = readings[-1].sequence

    async def _read_store(self) -> None:
        kept = await self._store.meeting(self.meeting.id)
        over = kept.ended_at is not None and not self.subtitles.ended
        if over or (self._running is None and not self._store_read):
            finals = await self._store.finals(self.meeting.id)
            tracks = await self._store.tracks(self.meeting.id)
            for utterance, label in (await labels_of(self._store, self.meeting.id, finals)).items():
                self._cues.label(utterance, label["runs"])
            await asyncio.to_thread(self._take_finals, finals, tracks)
            self._store_read = True
        if over and kept.ended_at is not None:
            self.subtitles.end(kept.ended_at - kept.created_at)
            self._running = None

    def _take_events(self, readings: Sequence[Reading]) -> None:
        for reading in labels_first(readings):
            for cue in self._cues.event(reading.event):
                self.subtitles.add(cue)

    def _take_finals(self, finals: Sequence[Caption], tracks: dict[TrackId, Participant]) -> None:
        for caption in finals:
            speaker = tracks[caption.track].name if caption.track in tracks else caption.track
            for cue in self._cues.caption(caption, speaker):
                self.subtitles.add(cue)


class Playbacks:
    """The meetings that somebody plays now; those that nobody has asked for since ``UNUSED_S`` are dropped."""

    def __init__(
        self, store: Store, meetings: RunningOnes, hold_back: float, wall: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._meetings = meetings
        self._hold_back = hold_back
        self._wall = wall
        self._kept: dict[MeetingId, Playback] = {}

    async def of(self, meeting: MeetingId) -> Playback:
        """Raises ``NotFound``."""
        now = time.monotonic()
        self._kept = {name: each for name, each in self._kept.items() if now - each.used_at < UNUSED_S}
        if meeting not in self._kept:
            kept = await self._store.meeting(meeting)
            self._kept.setdefault(meeting, Playback(kept, self._store, self._meetings, self._hold_back, self._wall))
        playback = self._kept[meeting]
        playback.used_at = now
        return playback

    async def caught_up(self, meeting: MeetingId) -> Playback:
        """The playback with all that is new. Raises ``NotFound``."""
        playback = await self.of(meeting)
        try:
            await playback.catch_up()
        except NotFound:
            self._kept.pop(meeting, None)
            raise
        return playback
