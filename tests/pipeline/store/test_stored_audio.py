"""Kept sound is in the object store while it is spoken, and whole after, whatever becomes of the process."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.domain import SAMPLE_RATE, MeetingId
from pipeline.errors import NotFound, StorageFailed
from pipeline.store.audio import audio_key
from pipeline.store.memory import MemoryObjects
from pipeline.store.stored_audio import StoredAudio, open_sound
from tests.pipeline.store.test_audio import ANNE, BILAL, frames, near, read, spans
from tests.s3_server import running_s3

MEETING = MeetingId("council")


async def kept() -> bool:
    return True


async def gone() -> bool:
    return False


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30.0):
        while not true():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def heard(objects: MemoryObjects, folder: Path) -> list[tuple[float, float]]:
    with await open_sound(objects, MEETING, ANNE) as file:
        (folder / "heard.ogg").write_bytes(file.read())
    return spans(read(folder / "heard.ogg"))


async def test_every_track_is_whole_in_the_object_store_when_the_meeting_ends(tmp_path: Path) -> None:
    with running_s3(tmp_path / "s3") as server:
        audio = StoredAudio(server.objects(), MEETING, kept, every=0.05)
        for anne, bilal in zip(frames(1.0, 2.0), frames(4.0, 2.0, track=BILAL), strict=True):
            audio.write(anne)
            audio.write(bilal)
            await asyncio.sleep(0.001)
        await audio.close()
        for track, expected in ((ANNE, (1.0, 3.0)), (BILAL, (4.0, 6.0))):
            assert spans(read(server.path(audio_key(MEETING, track)))) == near(expected)
        folder = server.path(audio_key(MEETING, ANNE)).parent
        assert sorted(path.name for path in folder.iterdir()) == ["anne.1.ogg", "bilal.1.ogg"], "no parts are left"
    assert len(asyncio.all_tasks()) == 1


async def test_what_was_spoken_until_the_process_was_killed_can_be_heard(tmp_path: Path) -> None:
    objects = MemoryObjects()
    audio = StoredAudio(objects, MEETING, kept, every=0.02)
    for second in range(4):
        before = len(objects.kept)
        for frame in frames(2.0 * second, 1.0):
            audio.write(frame)
        await until(lambda before=before: len(objects.kept) > before)  # type: ignore[misc]
    await until(audio._here._queue.empty)
    await asyncio.sleep(0.2)
    kept_then = MemoryObjects(dict(objects.kept))
    await audio.close()
    found = await heard(kept_then, tmp_path)
    assert found[:3] == near((0.0, 1.0), (2.0, 3.0), (4.0, 5.0))
    assert found[3][1] > 6.0, "but for the last second"
    assert (await heard(objects, tmp_path))[-1] == pytest.approx((6.0, 7.0), abs=0.02)


async def test_a_track_that_was_never_kept_is_not_found() -> None:
    with pytest.raises(NotFound, match="no sound of this track"):
        await open_sound(MemoryObjects(), MEETING, ANNE)


async def test_an_object_store_that_is_away_for_a_while_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Away(MemoryObjects):
        async def put(self, key: str, content: object) -> None:
            raise StorageFailed("S3 cannot be reached")

    objects = Away()
    audio = StoredAudio(objects, MEETING, kept, every=0.02)
    with caplog.at_level(logging.WARNING):
        for frame in frames(0.0, 1.0):
            audio.write(frame)
        await until(lambda: bool(caplog.records))
    audio.objects = back = MemoryObjects()
    await audio.close()
    assert await heard(back, tmp_path) == near((0.0, 1.0))
    assert {record.message for record in caplog.records} == {"audio.not_sent"}


async def test_one_that_stays_away_holds_up_no_end(caplog: pytest.LogCaptureFixture) -> None:
    class Away(MemoryObjects):
        async def put(self, key: str, content: object) -> None:
            raise StorageFailed("S3 cannot be reached")

    audio = StoredAudio(Away(), MEETING, kept)
    audio.write(frames(0.0, 0.1)[0])
    with caplog.at_level(logging.WARNING):
        await audio.close()
    assert [record.message for record in caplog.records] == ["audio.not_sent"]


async def test_of_a_meeting_that_was_deleted_meanwhile_nothing_is_left() -> None:
    objects = MemoryObjects()
    audio = StoredAudio(objects, MEETING, gone)
    for frame in frames(0.0, 0.5):
        audio.write(frame)
    await audio.close()
    assert objects.kept == {}


async def test_what_is_written_can_be_sent_bit_by_bit_since_it_never_changes() -> None:
    """Else parts would not be the file."""
    objects = MemoryObjects()
    audio = StoredAudio(objects, MEETING, kept, every=0.01)
    for frame in [*frames(0.0, 1.0), *frames(300.0, 5.0)]:
        audio.write(frame)
        if round(frame.start * SAMPLE_RATE) % 4800 == 0:
            await asyncio.sleep(0.02)
    await until(audio._here._queue.empty)
    await asyncio.sleep(0.1)
    parts = b"".join(objects.kept[key] for key in sorted(objects.kept) if ".parts/" in key)
    await audio.close()
    assert parts
    assert objects.kept[audio_key(MEETING, ANNE)].startswith(parts)
