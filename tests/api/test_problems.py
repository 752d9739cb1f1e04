"""Every error is a problem document that says what was wrong, and tells nothing of the inside."""

from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx2 as httpx
import pytest
from fastapi import FastAPI

from api.denials import NotAllowed, NotSignedIn
from api.problems import MEDIA_TYPE, install_problems, status_of
from pipeline import errors
from pipeline.errors import GreffierError
from tests.api.serving import Serving


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotSignedIn("x"), 401),
        (NotAllowed("x"), 403),
        (errors.NotFound("x"), 404),
        (errors.InvalidInput("x"), 422),
        (errors.OutOfDate("x"), 409),
        (errors.TooMany("x"), 429),
        (errors.UnreadableMedia("x"), 422),
        (errors.StorageFull("x"), 507),
        (errors.StorageFailed("x"), 503),
        (errors.RecognitionFailed("x"), 503),
        (errors.ModelUnavailable("x"), 503),
        (GreffierError("x"), 500),
    ],
)
def test_every_error_of_greffier_has_its_status(error: GreffierError, status: int) -> None:
    assert status_of(error) is HTTPStatus(status)


@pytest.fixture
async def raising() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_problems(app)

    @app.get("/surprise")
    async def surprise() -> None:
        raise RuntimeError("a name and /a/path")

    @app.get("/full")
    async def full() -> None:
        raise errors.StorageFull("there is no room left")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_a_surprise_tells_nothing(raising: httpx.AsyncClient) -> None:
    answer = await raising.get("/surprise")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert "path" not in answer.text
    assert "RuntimeError" not in answer.text


async def test_a_full_disk_says_so(raising: httpx.AsyncClient) -> None:
    answer = await raising.get("/full")
    assert answer.status_code == 507
    assert answer.json() == {
        "type": "about:blank",
        "title": "Insufficient Storage",
        "status": 507,
        "detail": "there is no room left",
    }


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "says"),
    [
        ("GET", "/nothing/here", {}, 404, "nothing at this address"),
        ("PUT", "/healthz", {}, 405, "does not take this method"),
        ("GET", "/api/v1/meetings/unknown", {}, 404, "there is no meeting unknown"),
        ("GET", "/api/v1/meetings?limit=many", {}, 422, "limit: "),
        (
            "POST",
            "/api/v1/meetings",
            {"content": "{", "headers": JSON},
            400,
            "not JSON",
        ),
        ("POST", "/api/v1/meetings", {"json": [1]}, 422, "body: "),
        ("POST", "/api/v1/meetings", {"json": {"titel": "x"}}, 422, "titel: "),
        ("POST", "/api/v1/meetings", {"json": {"languages": ["xx"]}}, 422, "languages: no language"),
        ("POST", "/api/v1/meetings", {"json": {"glossary": ["x"] * 201}}, 422, "glossary: "),
        ("POST", "/api/v1/meetings", {"content": b"x" * 1_100_000}, 413, "larger than is taken"),
    ],
)
async def test_what_is_wrong_with_a_request_is_named(
    served: Serving, method: str, path: str, sent: dict[str, object], status: int, says: str
) -> None:
    answer = await served.http.request(method, path, **sent)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem = answer.json()
    assert problem["status"] == status
    assert says in problem["detail"]
    assert "x" * 50 not in answer.text


async def test_a_body_that_never_ends_is_cut_short(served: Serving) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 100_000

    answer = await served.http.post("/api/v1/meetings", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == MEDIA_TYPE


async def test_a_person_who_is_not_signed_in_is_led_to_the_page_where_one_signs_in(served: Serving) -> None:
    async with served.stranger(Accept="text/html", Host="greffier.example") as http:
        answer = await http.get("/meetings/abc?x=1")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fmeetings%2Fabc%3Fx%3D1")
        assert (await http.get("/api/v1/meetings")).status_code == 401


async def test_a_person_who_asks_for_what_is_not_there_gets_a_page_and_a_program_a_problem(served: Serving) -> None:
    async with served.stranger(Accept="text/html") as http:
        answer = await http.get("/nothing/here")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert (await http.get("/api/v1/nothing")).headers["content-type"] == MEDIA_TYPE
