"""The OpenAPI document is complete: whoever reads it alone can use the API."""

from collections.abc import Iterator
from typing import Any

from fastapi.routing import iter_route_contexts

from api.app import create_app
from api.problems import MEDIA_TYPE
from tests.api.serving import Serving

Operation = dict[str, Any]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, Operation]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def has_example(document: dict[str, Any], operation: Operation) -> bool:
    contents = [operation.get("requestBody", {}).get("content", {})]
    contents += [response.get("content", {}) for status, response in operation["responses"].items() if status < "300"]
    bodies = [body for content in contents for body in content.values()]
    for body in bodies:
        name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
        named = document["components"]["schemas"].get(name, {})
        if {"example", "examples"} & (body.keys() | body.get("schema", {}).keys() | named.keys()):
            return True
    parameters = operation.get("parameters", ())
    nothing_to_show = not parameters and not bodies and "204" in operation["responses"]
    return nothing_to_show or any({"example", "examples"} & each.keys() for each in parameters)


async def test_every_operation_has_a_summary_an_example_and_its_errors(served: Serving) -> None:
    document = (await served.http.get("/api/v1/openapi.json")).json()
    seen = 0
    for name, operation in operations(document):
        seen += 1
        assert operation["summary"], name
        assert operation["tags"], name
        assert has_example(document, operation), f"{name} has no example"
        errors = {status: each for status, each in operation["responses"].items() if status >= "400"}
        assert errors, f"{name} declares no error"
        for status, response in errors.items():
            assert response["description"], f"{name} {status}"
            if name != "GET /readyz":
                assert response["content"].keys() == {MEDIA_TYPE}, f"{name} {status}"
    assert seen > 30


async def test_what_needs_a_right_says_which_credentials_give_it(served: Serving) -> None:
    document = (await served.http.get("/api/v1/openapi.json")).json()
    schemes = document["components"]["securitySchemes"]
    for name, operation in operations(document):
        for wanted in operation["security"]:
            assert wanted.keys() <= schemes.keys()
        if "401" in operation["responses"]:
            assert operation["security"], name
    assert document["paths"]["/whip/{meeting}"]["post"]["security"] == [{"token": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []


async def test_every_route_of_the_api_stands_in_it(served: Serving) -> None:
    app = create_app(served.house)
    written = app.openapi()["paths"]
    for route in iter_route_contexts(app.routes):
        path = route.path_format or ""
        if path.startswith(("/api/v1/", "/whip")) and route.methods and not path.endswith("openapi.json"):
            assert {method.lower() for method in route.methods - {"HEAD"}} <= written[path].keys()


async def test_the_sockets_are_told_of_in_words(served: Serving) -> None:
    document = (await served.http.get("/api/v1/openapi.json")).json()
    assert "captions.ws" in document["info"]["description"]
    assert "audio.ws" in document["info"]["description"]
