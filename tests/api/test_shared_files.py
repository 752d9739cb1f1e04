"""Files of meetings that many processes share: what one has written another reads, and all goes with the meeting."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.roles import Role
from pipeline.domain import SAMPLE_RATE
from tests.api.role_serving import role_serving
from tests.api.test_sharing import Fleet, fleet, speak, until
from tests.api.test_whip import Chatter
from tests.pipeline.store.test_audio import read
from tests.recordings import heard, recorded
from tests.s3_server import S3, running_s3

__all__ = ["fleet"]  # a fixture


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3]:
    with running_s3(tmp_path / "s3") as server:
        yield server


@pytest.fixture
async def ministry(fleet: Fleet, s3: S3) -> Fleet:
    """A fleet with an S3."""
    fleet.settings = replace(fleet.settings, s3=s3.settings)
    return fleet


def objects(s3: S3) -> list[str]:
    bucket = s3.path("")
    found = [str(path.relative_to(bucket)) for path in bucket.rglob("*") if path.is_file()]
    return [name for name in found if not name.startswith(".")]


async def test_sound_that_a_gateway_kept_is_downloaded_at_an_api_and_goes_with_its_meeting(
    ministry: Fleet, s3: S3, tmp_path: Path
) -> None:
    api, gateway = await ministry.add(Role.API), await ministry.add(Role.GATEWAY)
    await ministry.add(Role.WORKER)
    meeting = (await api.http.post("/api/v1/meetings", json={"keep_audio": True})).json()["id"]
    await speak(gateway, meeting, await ministry.token(api, meeting))
    assert (await api.http.post(f"/api/v1/meetings/{meeting}/end")).status_code == 200

    async def kept() -> bool:
        return any(name.endswith(".ogg") for name in objects(s3))

    await until(kept)
    transcript = (await api.http.get(f"/api/v1/meetings/{meeting}/transcript.json")).json()
    track = transcript["segments"][0]["track"]
    sound = await api.http.get(f"/api/v1/meetings/{meeting}/audio/{track}")
    assert sound.status_code == 200, sound.text
    (tmp_path / "heard.ogg").write_bytes(sound.content)
    spoken = len(heard("en_LJ001-0002.wav")) / SAMPLE_RATE
    assert len(read(tmp_path / "heard.ogg")) / SAMPLE_RATE >= spoken - 0.5
    assert (await api.http.delete(f"/api/v1/meetings/{meeting}")).status_code == 204
    assert objects(s3) == []


async def test_a_recording_that_an_api_took_is_transcribed_by_a_worker_and_leaves_nothing(
    ministry: Fleet, s3: S3
) -> None:
    api = await ministry.add(Role.API)
    sent = {"file": ("jfk.flac", recorded("en_jfk.flac").read_bytes())}
    answer = await api.http.post("/api/v1/recordings", files=sent)
    assert answer.status_code == 202, answer.text
    recording = answer.headers["Location"]
    assert objects(s3) == [f"recordings/{answer.json()['id']}"]
    assert not any((api.house.settings.home / "uploads").iterdir())
    batch = role_serving(ministry.settings, Role.WORKER, ministry.key, queue="batch", script=Chatter())
    await ministry.stack.enter_async_context(batch)

    async def done() -> bool:
        shown = (await api.http.get(recording)).json()
        assert shown["state"] != "failed", shown
        return bool(shown["state"] == "done") and objects(s3) == []

    await until(done)
