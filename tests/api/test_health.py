"""Whoever watches the server learns whether it lives and whether it can do its work."""

from pathlib import Path

import pytest

import api.vitals
from tests.api.serving import Serving


async def test_a_server_that_works_is_ready(served: Serving) -> None:
    async with served.stranger() as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "engine": True, "store": True})


async def test_a_recogniser_that_keeps_failing_is_not_ready_until_it_works_again(served: Serving) -> None:
    for _ in range(3):
        served.house.metrics.batch_failed()
    answer = await served.http.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "engine": False, "store": True})
    assert (await served.http.get("/healthz")).status_code == 200
    served.house.metrics.batch_heard([0.1], 0.2)
    assert (await served.http.get("/readyz")).status_code == 200


async def test_a_store_that_cannot_be_written_is_not_ready(served: Serving) -> None:
    await served.house.store.close()
    answer = await served.http.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "engine": True, "store": False})


async def test_a_disk_that_is_nearly_full_is_not_ready(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.vitals, "_LEAST_ROOM", 1 << 62)
    assert (await served.http.get("/readyz")).json()["store"] is False


def test_a_folder_that_is_gone_has_no_room(tmp_path: Path) -> None:
    assert not api.vitals.has_room(tmp_path / "gone")
