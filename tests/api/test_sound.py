"""The kept sound of a track is downloaded from here, or from S3 by a signed link, by those who may."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from api.files import files_of
from pipeline.domain import MeetingId
from pipeline.store.audio import audio_key
from tests.api.serving import Serving, serving
from tests.pipeline.store.test_audio import ANNE, frames, near, read, spans
from tests.s3_server import running_s3


async def spoken(served: Serving, meeting: MeetingId) -> None:
    keeper = served.house.files.new_keeper(meeting)
    for frame in frames(1.0, 2.0):
        keeper.write(frame)
    await keeper.close()


def of(meeting: str, track: str = ANNE) -> str:
    return f"/api/v1/meetings/{meeting}/audio/{track}"


async def test_the_sound_of_a_track_is_a_file_to_download(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        meeting = await served.meeting(keep_audio=True)
        await spoken(served, meeting)
        answer = await served.http.get(of(meeting))
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "audio/ogg"
        assert answer.headers["content-disposition"] == 'attachment; filename="anne.1.ogg"'
        (tmp_path / "heard.ogg").write_bytes(answer.content)
        assert spans(read(tmp_path / "heard.ogg")) == near((1.0, 3.0))
        assert (await served.http.delete(f"/api/v1/meetings/{meeting}")).status_code == 204
        assert (await served.http.get(of(meeting))).status_code == 404
        assert not any((tmp_path / "objects").rglob("*.ogg"))


@pytest.mark.parametrize("track", ["bilal.1", "a/b", "../../secret", "é"])
async def test_sound_that_is_not_kept_is_not_found(tmp_path: Path, track: str) -> None:
    async with serving(tmp_path) as served:
        meeting = await served.meeting()
        assert (await served.http.get(of(meeting, track))).status_code == 404
        assert (await served.http.get(of("never", track))).status_code == 404


async def test_where_s3_is_shared_a_signed_link_leads_there_and_is_logged_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running_s3(tmp_path / "s3") as s3:
        settings = replace(s3.settings, public_url=s3.url)
        caplog.set_level(0)
        async with serving(tmp_path, s3=settings) as served:
            served.house.files = files_of(served.house.settings, served.house.store, shared=True)
            meeting = await served.meeting(keep_audio=True)
            await spoken(served, meeting)
            answer = await served.http.get(of(meeting))
            assert answer.status_code == 307, answer.text
            assert answer.headers["cache-control"] == "no-store"
            link = answer.headers["location"]
            async with served.stranger() as stranger:
                sound = await stranger.get(link)
            assert sound.content == await asyncio.to_thread(s3.path(audio_key(meeting, ANNE)).read_bytes)
            ours = [record for record in caplog.records if not record.name.startswith("http")]  # the client's own
            assert ours
            assert not any("X-Amz" in str(vars(record)) + record.getMessage() for record in ours)
            await served.house.files.forget(meeting)
            assert (await served.http.get(of(meeting))).status_code == 404
            await served.http.delete(f"/api/v1/meetings/{meeting}")
    assert not any((tmp_path / "s3" / "buckets").rglob("*.ogg"))


async def test_where_s3_is_not_reached_from_outside_it_goes_through_here(tmp_path: Path) -> None:
    with running_s3(tmp_path / "s3") as s3:
        async with serving(tmp_path, s3=s3.settings) as served:
            served.house.files = files_of(served.house.settings, served.house.store, shared=True)
            meeting = await served.meeting(keep_audio=True)
            await spoken(served, meeting)
            answer = await served.http.get(of(meeting))
            assert (answer.status_code, answer.content[:4]) == (200, b"OggS")
