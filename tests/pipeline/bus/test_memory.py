"""A full audio bus marks what it drops."""

import asyncio

import pytest

from pipeline.bus.memory import MemoryAudioBus
from pipeline.domain import (
    AudioLost,
    SpeechEnded,
    SpeechStarted,
    TrackEvent,
    TrackId,
)
from tests.recordings import frames_of, silence


async def held(bus: MemoryAudioBus) -> list[TrackEvent]:
    await bus.close()
    return [event async for event in bus.receive()]


async def filled(bus: MemoryAudioBus, *events: TrackEvent) -> MemoryAudioBus:
    for event in events:
        await bus.send(event)
    return bus


async def test_a_full_bus_replaces_its_oldest_sound_by_one_mark() -> None:
    frames = frames_of(silence(1.0), "a")
    bus = await filled(MemoryAudioBus(seconds=0.5), SpeechStarted(TrackId("a"), 0.0), *frames)
    events = await held(bus)
    assert events[:2] == [SpeechStarted(TrackId("a"), 0.0), AudioLost(TrackId("a"), 0.0, pytest.approx(0.5))]
    assert events[2:] == frames[25:]


async def test_a_full_bus_takes_from_the_track_that_holds_most() -> None:
    quiet, loud = frames_of(silence(0.1), "quiet"), frames_of(silence(1.0), "loud")
    events = await held(await filled(MemoryAudioBus(seconds=0.5), *quiet, *loud))
    assert [event for event in events if event in quiet] == quiet
    assert {event.track for event in events if isinstance(event, AudioLost)} == {TrackId("loud")}


async def test_starts_and_ends_of_speech_outlive_the_sound_between_them() -> None:
    marks: list[TrackEvent] = []
    bus = MemoryAudioBus(seconds=0.02)
    for index, frame in enumerate(frames_of(silence(1.0), "a")):
        pair = [SpeechStarted(TrackId("a"), float(index)), SpeechEnded(TrackId("a"), index + 0.5)]
        await filled(bus, pair[0], frame, pair[1])
        marks += pair
    events = await held(bus)
    assert [event for event in events if isinstance(event, SpeechStarted | SpeechEnded)] == marks
    assert sum(isinstance(event, AudioLost) for event in events) == 49


async def test_the_bus_says_how_much_sound_it_holds() -> None:
    bus = await filled(MemoryAudioBus(seconds=1.0), *frames_of(silence(0.5), "a"))
    assert bus.seconds_held == pytest.approx(0.5)
    await anext(bus.receive())
    assert bus.seconds_held == pytest.approx(0.48)


async def test_a_sender_waits_for_a_lossless_bus() -> None:
    bus = MemoryAudioBus(seconds=0.1, lossless=True)
    frames = frames_of(silence(2.0), "a")

    async def send() -> None:
        await filled(bus, *frames)
        await bus.close()

    sending = asyncio.create_task(send())
    received = [event async for event in bus.receive() if bus.seconds_held <= 0.1]
    await sending
    assert received == frames


async def test_a_lossless_bus_takes_a_frame_longer_than_itself() -> None:
    frame = frames_of(silence(1.0), "a", frame=16_000)[0]
    bus = MemoryAudioBus(seconds=0.5, lossless=True)
    await asyncio.wait_for(bus.send(frame), 1.0)
    assert await held(bus) == [frame]


async def test_what_is_sent_to_a_closed_bus_goes_nowhere() -> None:
    bus = MemoryAudioBus()
    await bus.close()
    await bus.send(SpeechStarted(TrackId("a"), 0.0))
    assert await held(bus) == []
