"""Every answer goes out with the headers that keep browsers from doing harm, and leaves a line without secrets."""

import logging
from pathlib import Path

import pytest

from tests.api.serving import Serving, serving

PATHS = ("/healthz", "/", "/nothing", "/api/v1/meetings", "/static/greffier.css")


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_the_headers(served: Serving, path: str) -> None:
    async with served.stranger() as http:
        headers = (await http.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "microphone=(self)" in headers["permissions-policy"]
    assert headers["cache-control"] in {"no-store", "no-cache"}


async def test_a_body_that_is_too_large_is_answered_with_them_too(served: Serving) -> None:
    answer = await served.http.post("/api/v1/meetings", content=b"x" * 2_000_000)
    assert (answer.status_code, answer.headers["x-content-type-options"]) == (413, "nosniff")


async def test_the_log_has_no_query(served: Serving, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    meeting = await served.meeting(title="A title nobody else may read")
    token = served.token(meeting)
    async with served.stranger() as http:
        await http.get(f"/api/v1/meetings/{meeting}?token={token}")
    (line,) = [record for record in caplog.records if getattr(record, "path", "") == f"/api/v1/meetings/{meeting}"]
    assert vars(line) | {"method": "GET", "status": 200} == vars(line)
    said = "".join(str(vars(record)) for record in caplog.records if record.name.startswith("greffier"))
    assert token not in said
    assert "nobody else" not in said


class TestOrigins:
    async def test_pages_of_elsewhere_may_not_read_answers(self, served: Serving) -> None:
        answer = await served.http.get("/api/v1/meetings", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers

    async def test_pages_of_the_origins_in_the_settings_may(self, tmp_path: Path) -> None:
        async with serving(tmp_path, origins=("https://site.example",)) as served, served.stranger() as http:
            asked = {"Origin": "https://site.example", "Access-Control-Request-Method": "POST"}
            allowed = await http.options("/api/v1/meetings", headers=asked)
            assert allowed.headers["access-control-allow-origin"] == "https://site.example"
            assert "access-control-allow-credentials" not in allowed.headers
            other = await http.options("/api/v1/meetings", headers=asked | {"Origin": "https://evil.example"})
            assert "access-control-allow-origin" not in other.headers


async def test_the_log_has_no_names_of_rooms(served: Serving, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await served.http.get("/api/v1/livekit/rooms/anne%20and%20bilal%2Falone/captions")
    assert "/api/v1/livekit/rooms/{room}" in [getattr(record, "path", "") for record in caplog.records]
    assert "bilal" not in "".join(str(vars(record)) for record in caplog.records if record.name == "greffier.api")
