"""Captions back to the page that speaks, by data channels of its own connection.

The page opens them. ``captions``: each event of the meeting's feed as one JSON text, the history first.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from aiortc import RTCDataChannel

LABEL_CAPTIONS = "captions"
_MOST_BUFFERED = 64 * 1024
_LOOK_SECONDS = 0.05


class Reading(Protocol):
    """One event of a feed, as JSON text too."""

    @property
    def event(self) -> dict[str, object]: ...

    @property
    def text(self) -> str: ...


class ReadCaptions(Protocol):
    def __call__(self, after: int | None) -> AsyncIterator[Sequence[Reading]]: ...


async def send_captions(channel: RTCDataChannel, read: ReadCaptions) -> None:
    """Runs until the feed ends or the channel closes.

    Bounded: while ``_MOST_BUFFERED`` bytes wait in the channel nothing is read; the feed then gives the newest state of
    each utterance, so that a slow page skips states and no final.
    """
    async for batch in read(None):
        for reading in batch:
            if not await _has_room(channel):
                return
            channel.send(reading.text)


async def _has_room(channel: RTCDataChannel) -> bool:
    """Waits for room; False when the channel is closed."""
    while channel.readyState == "open" and channel.bufferedAmount > _MOST_BUFFERED:  # noqa: ASYNC110 (its closing says nothing)
        await asyncio.sleep(_LOOK_SECONDS)
    return channel.readyState == "open"
