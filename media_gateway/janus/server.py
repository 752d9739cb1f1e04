"""Where a Janus gateway is, and what it asks of those who come."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from media_gateway.webrtc.ice import IceServer
from pipeline.errors import InvalidSetting


@dataclass(frozen=True, slots=True)
class JanusServer:
    """Its WebSocket API at ``url``; ``secret`` and ``token`` open the API, ``pin`` the rooms.

    Raises ``InvalidSetting`` for a URL that is none.
    """

    url: str
    pin: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ice_servers: tuple[IceServer, ...] = ()

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise InvalidSetting("the address of Janus must be that of its WebSocket API, such as ws://HOST:8188")

    def credentials(self) -> dict[str, str]:
        """What every request to the API carries."""
        return _given(apisecret=self.secret, token=self.token)

    def entrance(self, room: int | str) -> dict[str, object]:
        """What every request to enter ``room`` carries."""
        return {"room": room, **_given(pin=self.pin, token=self.token)}


def _given(**texts: str | None) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}
