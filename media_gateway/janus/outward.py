"""Captions out: a publisher of data alone, whose feed is named ``captions``.

Janus passes each message on to whoever subscribes to that feed, and keeps none for whoever comes later.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidStateError

from media_gateway.janus.session import JanusHandle
from media_gateway.webrtc import seam
from media_gateway.webrtc.channels import MOST_BUFFERED
from media_gateway.webrtc.descriptions import UNUSABLE
from pipeline.errors import GatewayFailed
from pipeline.export.event import Event

FEED_NAME = "captions"
_OPEN_SECONDS = 10.0
_LOOK_SECONDS = 0.02
_LAST_SECONDS = 1.0


class CaptionsFeed:
    """Published once by ``publish``; ``on_over`` is called when its connection is over."""

    def __init__(self, configuration: RTCConfiguration, on_over: Callable[[], None]) -> None:
        self._connection = RTCPeerConnection(configuration)
        self._channel = self._connection.createDataChannel(FEED_NAME)
        self._on_over = on_over
        self._connection.on("connectionstatechange", self._changed)

    async def publish(self, handle: JanusHandle) -> None:
        """Returns when captions can be sent. Raises ``GatewayFailed``, and ``Refused`` when the room takes none."""
        opened = asyncio.Event()
        self._channel.on("open", opened.set)
        await self._connection.setLocalDescription(await self._connection.createOffer())
        offer = self._connection.localDescription
        answered = await handle.ask({"request": "publish"}, {"type": offer.type, "sdp": offer.sdp})
        if answered.jsep is None:
            raise GatewayFailed("Janus did not answer the offer of captions")
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(answered.jsep["sdp"], "answer"))
            async with asyncio.timeout(_OPEN_SECONDS):
                await opened.wait()
        except TimeoutError as error:
            raise GatewayFailed("no data channel with Janus came up: captions cannot be shown") from error
        except UNUSABLE as error:
            raise GatewayFailed("Janus takes no data channels: captions cannot be shown") from error

    async def show(self, event: Event) -> None:
        """Sends it as one JSON text once there is room. Raises ``GatewayFailed`` when the connection is over."""
        channel = self._channel
        while channel.readyState == "open" and channel.bufferedAmount > MOST_BUFFERED:  # noqa: ASYNC110 (a close is silent)
            await asyncio.sleep(_LOOK_SECONDS)
        if channel.readyState != "open":
            raise GatewayFailed("the data channel with Janus is closed")
        try:
            channel.send(json.dumps(event, ensure_ascii=False, separators=(",", ":")))
        except (InvalidStateError, ValueError) as error:
            raise GatewayFailed("the data channel with Janus does not take an event") from error

    async def sent(self) -> None:
        """Returns when what was shown has arrived, or after a second."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS):
                # aiortc does not tell when the last message has gone.
                while self._channel.readyState == "open" and seam.is_sending(self._connection):  # noqa: ASYNC110 - aiortc tells nobody
                    await asyncio.sleep(_LOOK_SECONDS)

    async def close(self) -> None:
        await self._connection.close()

    def _changed(self) -> None:
        if self._connection.connectionState in {"failed", "closed"}:
            self._on_over()
