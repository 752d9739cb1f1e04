"""Messages of Janus, read."""

import json
from typing import Any

import pytest

from media_gateway.janus.messages import Refused, Said, needs_encryption, read, room_error
from pipeline.errors import GatewayFailed, NotFound


def said(**fields: Any) -> Said:
    message = read(json.dumps(fields))
    assert message is not None
    return message


def test_an_answer_of_the_core_has_its_data() -> None:
    answer = said(janus="success", transaction="t", data={"id": 7})
    assert (answer.kind, answer.transaction, answer.content, answer.error) == ("success", "t", {"id": 7}, None)


def test_an_event_of_the_plugin_has_its_handle_its_data_and_its_description() -> None:
    event = said(
        janus="event",
        sender=5,
        plugindata={"plugin": "janus.plugin.videoroom", "data": {"videoroom": "attached"}},
        jsep={"type": "offer", "sdp": "v=0"},
    )
    assert (event.handle, event.content) == (5, {"videoroom": "attached"})
    assert event.jsep == {"type": "offer", "sdp": "v=0"}


def test_errors_of_the_core_and_of_the_plugin_are_refusals() -> None:
    core = said(janus="error", transaction="t", error={"code": 403, "reason": "Unauthorized request"}).error
    plugin = said(janus="event", plugindata={"data": {"error_code": 428, "error": "No such feed (1)"}}).error
    assert isinstance(core, Refused)
    assert isinstance(plugin, Refused)
    assert (core.code, plugin.code) == (403, 428)
    assert "GREFFIER_JANUS_SECRET" in str(core)
    assert "No such feed (1)" in str(plugin)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"janus": 1}', "[" * 100_000, '"janus"', "null"])
def test_what_is_no_message_is_none(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize("plugindata", [None, 1, [], {"data": None}, {"data": [1]}])
def test_data_of_another_shape_is_no_data(plugindata: object) -> None:
    assert said(janus="event", plugindata=plugindata, sender="x", transaction=1, jsep=[]) == Said("event")


def test_a_refusal_says_what_it_means_to_whoever_asked_for_the_room() -> None:
    assert isinstance(room_error(Refused(426, "No such room")), NotFound)
    for code in (429, 433):
        error = room_error(Refused(code, "pin"))
        assert isinstance(error, GatewayFailed)
        assert "GREFFIER_JANUS_PIN" in str(error)
    other = Refused(499, "Unknown error")
    assert room_error(other) is other


def test_a_room_that_wants_encryption_says_so_in_words() -> None:
    assert needs_encryption(Refused(433, "Room requires end-to-end encrypted media"))
    assert not needs_encryption(Refused(433, "Unauthorized (wrong pin)"))
