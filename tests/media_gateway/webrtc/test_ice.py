"""ICE servers as aiortc wants them said."""

from api.parsing import IceServer
from media_gateway.webrtc.ice import configuration_with


def test_servers_are_those_of_the_settings_and_never_somebody_elses() -> None:
    servers = configuration_with([IceServer("turn:example.org:3478", "u", "p")]).iceServers
    assert [(each.urls, each.username, each.credential) for each in servers or []] == [
        ("turn:example.org:3478", "u", "p")
    ]
    assert configuration_with([]).iceServers == []
