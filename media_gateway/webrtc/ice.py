"""How peers find a way to each other through firewalls, as aiortc wants it said."""

from collections.abc import Sequence
from typing import Protocol

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceServer
from aiortc.rtcicetransport import parse_stun_turn_uri

from pipeline.errors import InvalidSetting


class IceServer(Protocol):
    """A STUN or TURN server (RFC 7064, RFC 7065)."""

    @property
    def url(self) -> str: ...

    @property
    def username(self) -> str | None: ...

    @property
    def credential(self) -> str | None: ...


def configuration_with(servers: Sequence[IceServer]) -> RTCConfiguration:
    """Raises ``InvalidSetting`` for the address of an ICE server that is none."""
    for server in servers:
        _check_address(server.url)
    known = [RTCIceServer(each.url, each.username, each.credential) for each in servers]
    return RTCConfiguration(iceServers=known, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)


def _check_address(url: str) -> None:
    try:
        parse_stun_turn_uri(url)
    except ValueError as error:
        raise InvalidSetting(
            f"no ICE server has the address {url}: write stun:host:port or turn:host:port?transport=udp"
        ) from error
