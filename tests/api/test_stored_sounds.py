"""A process that transcribes fetches what another has received, and leaves nothing of it behind."""

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

from api.stored_sounds import StoredSounds
from pipeline.domain import RecordingId
from pipeline.errors import StorageFailed, UnreadableMedia
from pipeline.leased import Stopping
from pipeline.store.uploads import SharedUploads
from tests.recordings import recorded
from tests.s3_server import running_s3

ONE = RecordingId("one")


async def test_a_recording_that_another_process_received_is_heard_here(tmp_path: Path) -> None:
    with running_s3(tmp_path / "s3") as server:
        uploads = SharedUploads(tmp_path / "uploads", server.objects())
        async with uploads.receive(ONE) as upload:
            await upload.write(recorded("en_jfk.flac").read_bytes())
        await uploads.share(ONE)
        sounds = StoredSounds(server.objects(), asyncio.get_running_loop(), threading.Event())
        sound = await asyncio.to_thread(sounds.open, ONE)
        assert sound.duration == pytest.approx(11.0, abs=0.1)
        pieces = await asyncio.to_thread(lambda: list(sound.pieces(5.0)))
        assert len(np.concatenate(pieces)) / 16_000 == pytest.approx(11.0, abs=0.1)
        again = await asyncio.to_thread(lambda: list(sound.pieces(5.0)))
        assert np.array_equal(np.concatenate(pieces), np.concatenate(again)), "each time from its beginning"
        sounds.remove_others([])
        await asyncio.to_thread(sounds.remove, ONE)
        with pytest.raises(UnreadableMedia, match="upload it again"):
            await asyncio.to_thread(sounds.open, ONE)


async def test_an_object_store_that_is_away_may_be_asked_again(tmp_path: Path) -> None:
    with running_s3(tmp_path / "s3") as server:
        sounds = StoredSounds(server.objects(), asyncio.get_running_loop(), threading.Event())
        await asyncio.to_thread(server.kill)
        with pytest.raises(StorageFailed) as failed:
            await asyncio.to_thread(sounds.open, ONE)
        assert failed.value.retryable


async def test_a_process_that_stops_waits_for_no_file(tmp_path: Path) -> None:
    with running_s3(tmp_path / "s3") as server:
        stopping = threading.Event()
        sounds = StoredSounds(server.objects(), asyncio.get_running_loop(), stopping)
        server.pause()
        try:
            opening = asyncio.create_task(asyncio.to_thread(sounds.open, ONE))
            await asyncio.sleep(0.1)
            stopping.set()
            async with asyncio.timeout(5.0):
                with pytest.raises(Stopping):
                    await opening
        finally:
            server.resume()
