"""A microphone that several people share, captioned by workers: its mark and its voices travel with the meeting."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from pipeline.domain import SAMPLE_RATE, Samples
from pipeline.export.event import Event
from pipeline.speakers import VoiceActivity
from tests.pipeline.distributed.ministry import ANNE, COUNCIL, Ministry, Reader, eventually, ministry, reading, until
from tests.redis_server import RedisServer

_STEP = 0.02
_SECOND = 2_000 + 40 * 21
"""The sound of words from number 21 on, which another voice says."""


@dataclass(slots=True)
class SoundVoices:
    """A ``VoiceModel`` of two voices, told apart by the value of their samples."""

    heard: list[float] = field(default_factory=list)

    async def hear(self, samples: Samples, start: float) -> VoiceActivity:
        self.heard.append(start)
        each = round(_STEP * SAMPLE_RATE)
        count = max(1, len(samples) // each)
        loud = np.abs(samples[: count * each].reshape(count, -1)).max(axis=1)
        activity = np.stack([(loud > 0) & (loud < _SECOND), loud >= _SECOND], axis=1).astype(np.float32)
        embeddings = np.full((2, 8), np.nan, np.float32)
        for voice in (0, 1):
            if activity[:, voice].sum() * _STEP >= 0.45:
                embeddings[voice] = np.eye(8, dtype=np.float32)[voice]
        return VoiceActivity(start, _STEP, activity, embeddings)

    async def several(self, samples: Samples) -> bool:
        return False


@pytest.fixture
async def house(redis_server: RedisServer, postgresql_url: str) -> AsyncIterator[Ministry]:
    async with ministry(redis_server.url, postgresql_url) as house:
        yield house


def labels(reader: Reader) -> dict[str, int]:
    """The voice of each word."""
    captions: dict[object, Event] = {event["utterance"]: event for event in reader.captions()}
    told = {event["utterance"]: event for event in reader.events if event["type"] == "voices"}
    return {
        captions[utterance]["words"][place]["text"]: run["voice"]  # type: ignore[index]
        for utterance, event in told.items()
        for run in event["runs"]  # type: ignore[attr-defined]
        for place in range(run["first"], run["first"] + run["count"])
    }


async def test_a_room_marked_by_another_process_keeps_its_voices_when_its_worker_is_killed(house: Ministry) -> None:
    models = {name: SoundVoices() for name in ("worker-1", "worker-2")}
    first = await house.worker("worker-1", voice_model=models["worker-1"])
    gateway = await house.gateway()
    async with reading(await gateway.meeting()) as reader:
        talker = await gateway.talker()
        await talker.say(2)
        assert not models["worker-1"].heard
        await house.store.mark_shared_room(COUNCIL, ANNE.id, shared=True)
        await (await gateway.meeting()).voices_changed()
        await until(lambda: first.owned() is not None)
        await talker.say(38)
        await until(lambda: {1, 2} <= set(labels(reader).values()))
        assert labels(reader)[" w15"] == 1
        assert labels(reader).get(" w35", 2) == 2
        await eventually(lambda: house.store.runs(COUNCIL), bool)
        second = await house.worker("worker-2", voice_model=models["worker-2"])
        await first.die()
        await until(lambda: second.owned() is not None)
        await talker.say(12)
        await until(lambda: {" w44", " w46", " w48"} <= labels(reader).keys())
        assert {labels(reader)[f" w{number}"] for number in range(44, 49)} == {2}, "one voice, whoever hears it"


async def test_who_was_said_to_speak_alone_by_another_process_is_not_marked_by_coming_again(house: Ministry) -> None:
    meeting = await (await house.gateway()).meeting()
    await meeting.enter(ANNE)
    await house.store.mark_shared_room(COUNCIL, ANNE.id, shared=False)
    await meeting.enter(replace(ANNE, shared_room=True))
    (anne,) = [each for each in await house.store.participants(COUNCIL) if each.id == ANNE.id]
    assert anne.shared_room is False
