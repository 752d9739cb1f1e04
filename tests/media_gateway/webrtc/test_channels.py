"""Captions on a data channel: all of the history, then what changes, and no more than a slow page can take."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from aiortc import RTCDataChannel

from media_gateway.webrtc.channels import MOST_BUFFERED, SERVED, send_captions, send_cues
from pipeline.bus.feed import CaptionFeed
from pipeline.domain import Caption, TrackId, UtteranceId, Word
from pipeline.export.event import caption_event


@dataclass
class Channel:
    """Stands for a data channel whose page reads when the test says so."""

    readyState: str = "open"  # noqa: N815 - as aiortc names it
    bufferedAmount: int = 0  # noqa: N815 - as http.server calls them
    sent: list[str] = field(default_factory=list)

    def send(self, text: str) -> None:
        self.sent.append(text)
        self.bufferedAmount += len(text)


def channel() -> tuple[Channel, RTCDataChannel]:
    made = Channel()
    return made, cast(RTCDataChannel, cast(Any, made))


def said(feed: CaptionFeed, utterance: str, *words: str, final: bool = True) -> None:
    spoken = tuple(Word(f" {word}", k / 2, k / 2 + 0.4) for k, word in enumerate(words))
    caption = Caption(TrackId("t"), UtteranceId(utterance), 1, final, "en", spoken)
    event = caption_event(caption, 1.0) | {"type": "caption", "participant": "p", "speaker": "Anne"}
    feed.publish(event, utterance)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_each_event_is_one_message_the_history_first() -> None:
    feed = CaptionFeed()
    feed.publish({"type": "meeting", "state": "running"})
    said(feed, "one", "hello", final=False)
    page, made = channel()
    sending = asyncio.create_task(send_captions(made, feed.read))
    await settle()
    said(feed, "one", "hello", "there")
    await settle()
    feed.close()
    await sending
    assert page.sent == [reading.text for reading in [*feed.history()][:1]] + page.sent[1:]
    assert ['"committed":" hello there"' in text for text in page.sent] == [False, False, True]


async def test_cues_are_a_document_when_joined() -> None:
    feed = CaptionFeed()
    page, made = channel()
    sending = asyncio.create_task(send_cues(made, feed.read))
    await settle()
    assert page.sent == ["WEBVTT\n\n"]
    feed.publish({"type": "notice", "code": "paused"})
    said(feed, "one", "hello", final=False)
    await settle()
    said(feed, "one", "hello", "there.")
    await settle()
    feed.close()
    await sending
    assert len(page.sent) == 2
    assert page.sent[1].endswith("<v Anne>hello there.\n\n")


async def test_a_page_that_does_not_read_skips_states_but_no_final() -> None:
    feed = CaptionFeed()
    page, made = channel()
    page.bufferedAmount = MOST_BUFFERED + 1
    sending = asyncio.create_task(send_captions(made, feed.read))
    feed.publish({"type": "meeting", "state": "running"})
    await settle()
    for count in range(1, 200):
        said(feed, "one", *["word"] * count, final=False)
        await asyncio.sleep(0)
    said(feed, "one", "all", "of", "it")
    said(feed, "two", "more")
    assert page.sent == []
    page.bufferedAmount = 0
    feed.close()
    await sending
    assert len(page.sent) <= 4
    assert '" all of it"' in page.sent[-2]
    assert '" more"' in page.sent[-1]


async def test_a_channel_that_closes_ends_it() -> None:
    for serve in SERVED.values():
        page, made = channel()
        page.bufferedAmount = MOST_BUFFERED + 1
        feed = CaptionFeed()
        feed.publish({"type": "meeting", "state": "running"})
        sending = asyncio.create_task(serve(made, feed.read))
        await settle()
        page.readyState = "closed"
        await asyncio.wait_for(sending, 1.0)
        assert page.sent == []
