"""Captions back to the page that speaks, by data channels of its own connection.

The page opens them. ``captions``: each event of the meeting's feed as one JSON text, the history first. ``webvtt``: the
header, then the cues of committed words, one message for those that an event settles; joined they are a WebVTT file.

Bounded: while ``MOST_BUFFERED`` bytes wait in a channel nothing more is read; the feed then gives the newest state of
each utterance, so that a slow page skips states and no final.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from aiortc import RTCDataChannel

from pipeline.export.event import Reading
from pipeline.export.live_cues import HEADER, GrowingDocument, labels_first

MOST_BUFFERED = 64 * 1024
_LOOK_SECONDS = 0.05

ReadCaptions = Callable[[int | None], AsyncIterator[list[Reading]]]
"""Reads a meeting's feed: what is newer than a sequence number, or everything."""


async def send_captions(channel: RTCDataChannel, read: ReadCaptions) -> None:
    """Runs until the feed ends or the channel closes."""
    async for batch in read(None):
        for reading in batch:
            if not await _sent(channel, reading.text):
                return


async def send_cues(channel: RTCDataChannel, read: ReadCaptions) -> None:
    """Runs until the feed ends or the channel closes."""
    document = GrowingDocument()
    if not await _sent(channel, HEADER):
        return
    async for batch in read(None):
        for reading in labels_first(batch):
            blocks = document.event(reading.event)
            if blocks and not await _sent(channel, blocks):
                return
            await asyncio.sleep(0)  # hours of history take seconds, and others are served between


SERVED = {"captions": send_captions, "webvtt": send_cues}
"""What is sent on a channel, by its label; others are left alone."""


async def _sent(channel: RTCDataChannel, text: str) -> bool:
    """Waits for room; False when the channel is closed."""
    while channel.readyState == "open" and channel.bufferedAmount > MOST_BUFFERED:  # noqa: ASYNC110 (a close is silent)
        await asyncio.sleep(_LOOK_SECONDS)
    if channel.readyState != "open":
        return False
    channel.send(text)
    return True
