"""People in a LiveKit room, by the real SDK: they speak recordings, mute, rename themselves, and read what is shown."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from livekit import rtc

from media_gateway.livekit import native
from pipeline.domain import SAMPLE_RATE, Samples
from tests.livekit.server import LiveKit
from tests.server_process import WAIT

native.outlive()
TRANSCRIPTION = "lk.transcription"
NOTICE = "greffier.notice"
_QUEUE_MS = 400
"""Sound that waits in the SDK: what a busy machine may be late by, without a hole in what is sent."""
_BLOCK = SAMPLE_RATE // 20


@dataclass(frozen=True, slots=True)
class Text:
    """One ``lk.transcription`` stream as it was received: ``sender`` is whose words it claims to be, ``at`` is
    ``time.monotonic()``."""

    sender: str
    text: str
    attributes: dict[str, str]
    at: float

    @property
    def segment(self) -> str:
        return self.attributes["lk.segment_id"]

    @property
    def final(self) -> bool:
        return self.attributes["lk.transcription_final"] == "true"


@dataclass(frozen=True, slots=True)
class Packet:
    """One segment of a legacy transcription packet; ``track`` is what it names, where its speaker is there. Times in
    milliseconds, ``at`` is ``time.monotonic()``."""

    speaker: str
    track: str
    id: str
    text: str
    final: bool
    language: str
    start: int
    end: int
    at: float


@dataclass(slots=True)
class Microphone:
    """A published track; what is played on it goes out in real time, silence in between."""

    publication: rtc.LocalTrackPublication
    track: rtc.LocalAudioTrack
    source: rtc.AudioSource

    @property
    def id(self) -> str:
        return self.publication.sid

    async def play(self, sound: Samples) -> float:
        """Returns when all of it is out; the ``time.monotonic()`` of its first sample."""
        began = time.monotonic() + self.source.queued_duration
        for start in range(0, len(sound), _BLOCK):
            block = np.ascontiguousarray(sound[start : start + _BLOCK])
            await self.source.capture_frame(rtc.AudioFrame(block.tobytes(), SAMPLE_RATE, 1, len(block)))
        await self.source.wait_for_playout()
        return began

    def mute(self) -> None:
        """As a client that keeps its device open: what is played meanwhile is not heard."""
        self.track.mute()

    def unmute(self) -> None:
        self.track.unmute()


@dataclass(slots=True)
class Person:
    """A participant; ``texts`` and ``notices`` are what it was shown, ``told`` are the names of the SDK's events."""

    room: rtc.Room
    identity: str
    texts: list[Text] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    packets: list[Packet] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    microphones: list[Microphone] = field(default_factory=list)
    _reading: set["asyncio.Task[None]"] = field(default_factory=set)

    @classmethod
    async def join(
        cls,
        server: LiveKit,
        room: str,
        identity: str,
        name: str = "",
        *,
        key: bytes | None = None,
        hears: bool = False,
        token: str = "",
        **more: object,
    ) -> "Person":
        """``key`` makes it encrypt end to end, and it ``hears`` the others: fifty who do keep two cores busy. ``more``
        goes to ``server.token``, unless ``token`` is given."""
        person = cls(rtc.Room(), identity)
        person._listen()
        encryption = rtc.E2EEOptions(rtc.KeyProviderOptions(shared_key=key)) if key is not None else None
        options = rtc.RoomOptions(auto_subscribe=hears, encryption=encryption)
        async with asyncio.timeout(WAIT):
            await person.room.connect(server.url, token or server.token(room, identity, name, **more), options)
        return person

    async def publish(
        self, source: "rtc.TrackSource.ValueType" = rtc.TrackSource.SOURCE_MICROPHONE, *, muted: bool = False
    ) -> Microphone:
        """A new track, silent as yet."""
        sound = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=_QUEUE_MS)
        track = rtc.LocalAudioTrack.create_audio_track("sound", sound)
        if muted:
            track.mute()
        async with asyncio.timeout(WAIT):
            published = await self.room.local_participant.publish_track(track, rtc.TrackPublishOptions(source=source))
        self.microphones.append(Microphone(published, track, sound))
        return self.microphones[-1]

    async def unpublish(self, microphone: Microphone) -> None:
        self.microphones.remove(microphone)
        await self.room.local_participant.unpublish_track(microphone.id)
        await microphone.source.aclose()

    async def rename(self, name: str) -> None:
        await self.room.local_participant.set_name(name)

    async def describe(self, attributes: dict[str, str]) -> None:
        """Sets attributes; those that are not named stay."""
        await self.room.local_participant.set_attributes(attributes)

    async def leave(self) -> None:
        """Does nothing for one who is not there any more."""
        async with asyncio.timeout(WAIT):
            await self.room.disconnect()
        for microphone in self.microphones:
            await microphone.source.aclose()
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)

    def finals(self) -> dict[str, str]:
        """The text of each ended utterance, by its segment."""
        return {text.segment: text.text for text in self.texts if text.final}

    def _listen(self) -> None:
        self.room.register_text_stream_handler(TRANSCRIPTION, self._opened)
        self.room.register_text_stream_handler(NOTICE, self._opened)
        self.room.on("transcription_received", self._received)
        for event in ("reconnecting", "reconnected", "disconnected", "participant_connected"):
            self.room.on(event, lambda *_, event=event: self.told.append(event))

    def _received(
        self,
        segments: list[rtc.TranscriptionSegment],
        participant: rtc.Participant | None,
        publication: rtc.TrackPublication | None,
    ) -> None:
        speaker = participant.identity if participant is not None else ""
        track, at = publication.sid if publication is not None else "", time.monotonic()
        for each in segments:
            times = each.start_time, each.end_time
            self.packets.append(Packet(speaker, track, each.id, each.text, each.final, each.language, *times, at))

    def _opened(self, reader: rtc.TextStreamReader, sender: str) -> None:
        task = asyncio.create_task(self._read(reader, sender))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read(self, reader: rtc.TextStreamReader, sender: str) -> None:
        text = await reader.read_all()
        if reader.info.topic == NOTICE:
            self.notices.append(json.loads(text))
        else:
            self.texts.append(Text(sender, text, dict(reader.info.attributes or {}), time.monotonic()))


@dataclass(slots=True)
class People:
    """Those who are in rooms of one server, and leave with the test."""

    server: LiveKit
    _there: list[Person] = field(default_factory=list)

    async def join(self, room: str, identity: str, name: str = "", **more: Any) -> Person:
        """As ``Person.join``."""
        self._there.append(await Person.join(self.server, room, identity, name, **more))
        return self._there[-1]

    async def leave(self) -> None:
        await asyncio.gather(*(person.leave() for person in self._there))
        self._there.clear()


@asynccontextmanager
async def people_of(server: LiveKit) -> AsyncIterator[People]:
    people = People(server)
    try:
        yield people
    finally:
        await people.leave()


async def until(true: Callable[[], object], seconds: float = WAIT, what: object = "") -> None:
    """Waits for something that tells nobody; fails with ``what``, called where it can be, after ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(what() if callable(what) else what or "it did not come") from None
