"""Where a Janus is."""

import pytest

from media_gateway.janus import JanusServer
from pipeline.errors import InvalidSetting


@pytest.mark.parametrize("url", ["ws://127.0.0.1:8188", "wss://janus.example.org", "wss://example.org/janus"])
def test_its_address_is_that_of_a_web_socket(url: str) -> None:
    assert JanusServer(url).url == url


@pytest.mark.parametrize(
    "url", ["", "http://127.0.0.1:8088/janus", "ws://", "127.0.0.1:8188", "ws://host:port", "ws://["]
)
def test_another_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidSetting, match="WebSocket API"):
        JanusServer(url)


def test_what_opens_it_is_shown_to_nobody() -> None:
    server = JanusServer("ws://host", pin="one", secret="two", token="three")
    assert not any(each in repr(server) for each in ("one", "two", "three"))


def test_requests_carry_what_is_asked_for_and_nothing_else() -> None:
    assert JanusServer("ws://host").credentials() == {}
    assert JanusServer("ws://host").entrance(1) == {"room": 1}
    server = JanusServer("ws://host", pin="one", secret="two", token="three")
    assert server.credentials() == {"apisecret": "two", "token": "three"}
    assert server.entrance("salle") == {"room": "salle", "pin": "one", "token": "three"}
