"""Reading captions: what is announced, what is left where it is, names as text. The test says what the feed sends."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.e2e.people import Meetings, Visitors, read

NAMES = ("<b>Bob</b><script>alert(1)</script>", "مريم ابراهيم", "👩‍🚀 Zoé", "a --> b", "Ann")


@dataclass(slots=True)
class Feed:
    """The server's end of the WebSocket of one page: the test says what comes."""

    page: Page
    sockets: list[WebSocketRoute] = field(default_factory=list)
    sequence: int = 0

    def accept(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        if len(self.sockets) == 1:
            self.snapshot()

    def send(self, **event: Any) -> None:
        self.sequence += 1
        self._send({"sequence": self.sequence, "meeting": "m", "sent_at": 0.0} | event)

    def snapshot(self, *events: dict[str, Any], **more: Any) -> None:
        people = [{"participant": f"p{place}", "speaker": name, "present": True} for place, name in enumerate(NAMES)]
        state = {"title": "A <i>title</i>", "state": "running", "paused": False, "participants": people}
        self._send({"type": "snapshot", "sequence": self.sequence, **state, "events": list(events), **more})

    def caption(self, utterance: str, committed: str, tail: str = "", **more: Any) -> None:
        self.send(**caption(utterance, committed, tail, **more))

    def _send(self, event: dict[str, Any]) -> None:
        self.sockets[-1].send(json.dumps(event))


def caption(utterance: str, committed: str, tail: str = "", who: int = 4, **more: Any) -> dict[str, Any]:
    """An event; final unless it has a tail."""
    start = float(utterance.strip("u") or 0)
    words = [{"text": committed, "start": start, "end": start + 1.0, "confidence": 1.0}] if committed else []
    fixed = {"type": "caption", "utterance": utterance, "revision": len(committed + tail), "final": not tail}
    said = {"committed": committed, "tail": tail, "words": words, "language": "en", "lag": 0.0, "track": f"p{who}.1"}
    return fixed | said | {"participant": f"p{who}", "speaker": NAMES[who]} | more


@pytest.fixture
def feed(visitors: Visitors, meetings: Meetings) -> Iterator[Feed]:
    """A reader on the page of a meeting, whose events come from here."""
    meeting = meetings.new("Read")
    page = visitors.page("/sign-in")
    feed = Feed(page)
    page.route_web_socket("**/captions.ws*", lambda socket: feed.accept(socket))  # noqa: PLW0108 - no method
    page.goto(f"/meetings/{meeting}")
    read(page)
    expect(page.locator("#people li")).to_have_count(len(NAMES))
    return feed


def announced(feed: Feed) -> list[str]:
    return feed.page.locator("#announcer p").all_inner_texts()


def test_only_finished_captions_are_announced_and_each_once(feed: Feed) -> None:
    feed.page.evaluate(
        """() => {
            window.added = [];
            const take = change => change.addedNodes.forEach(node => window.added.push(node.textContent));
            const watch = changes => changes.forEach(take);
            new MutationObserver(watch).observe(document.getElementById("announcer"),
                {childList: true, subtree: true, characterData: true});
        }"""
    )
    feed.caption("u1", "", " Good")
    feed.caption("u1", " Good", " morning every")
    feed.caption("u1", " Good morning", " everybody")
    expect(feed.page.locator(".tail")).to_have_text("everybody")
    assert feed.page.evaluate("window.added") == []
    feed.caption("u1", " Good morning everybody.")
    feed.caption("u1", " Good morning everybody.", revision=90)  # said again, as after a lost connection
    feed.caption("u2", " Salut.", language="fr")
    expect(feed.page.locator("#announcer p")).to_have_count(2)
    assert feed.page.evaluate("window.added") == ["Ann: Good morning everybody.", "Ann: Salut."]
    assert feed.page.locator("#announcer p").nth(1).get_attribute("lang") == "fr"
    log = feed.page.locator("#announcer")
    expect(log).to_have_role("log")
    assert (log.get_attribute("aria-live"), log.get_attribute("aria-relevant")) == ("polite", "additions")
    # What is shown is content to go through at one's own pace, in no live region.
    assert (
        feed.page.locator("#captions").evaluate("list => list.closest('[aria-live], [role=log], [role=status]')")
        is None
    )
    assert feed.page.locator("#captions").evaluate("list => list.closest('[aria-hidden=true]')") is None


def test_who_comes_late_is_shown_the_history_and_not_told_all_of_it(visitors: Visitors, meetings: Meetings) -> None:
    meeting = meetings.new()
    page = visitors.page("/sign-in")
    feed = Feed(page)

    def late(socket: WebSocketRoute) -> None:
        feed.sockets.append(socket)
        feed.sequence = 20
        feed.snapshot(*({**caption(f"u{number}", f" Number {number}."), "sequence": number} for number in range(1, 21)))

    page.route_web_socket("**/captions.ws*", late)
    page.goto(f"/meetings/{meeting}")
    read(page)
    expect(page.locator(".caption")).to_have_count(20)
    assert announced(feed) == []
    feed.caption("u21", " News.")
    expect(page.locator("#announcer p")).to_have_text(["Ann: News."])


def test_announcements_can_be_turned_off(feed: Feed) -> None:
    feed.page.get_by_role("button", name="Display").click()
    feed.page.get_by_label("Let screen readers announce").uncheck()
    feed.page.keyboard.press("Escape")
    feed.caption("u1", " Quiet.")
    expect(feed.page.locator(".caption")).to_have_count(1)
    assert announced(feed) == []


def test_new_captions_never_move_what_is_being_read(feed: Feed) -> None:
    page = feed.page
    for number in range(1, 41):
        feed.caption(
            f"u{number}", f" Sentence number {number}, long enough to fill a good part of the line.", who=number % 5
        )
    expect(page.locator(".caption")).to_have_count(40)
    newest = page.locator("#newest")
    expect(newest).to_be_hidden()
    assert page.locator(".caption").last.is_visible()
    assert distance_from_end(page) < 2

    page.locator("#scroll").focus()
    page.keyboard.press("PageUp")
    page.wait_for_timeout(400)  # the browser scrolls smoothly
    expect(newest).to_be_visible()
    read_from = page.evaluate("document.getElementById('scroll').scrollTop")
    for number in range(41, 51):
        feed.caption(f"u{number}", " And so", " on")
        feed.caption(f"u{number}", " And so on, and so forth.")
    expect(page.locator(".caption")).to_have_count(50)
    assert page.evaluate("document.getElementById('scroll').scrollTop") == read_from
    expect(newest).to_have_text("Jump to the newest (10 new)")

    newest.focus()
    page.keyboard.press("Enter")
    expect(newest).to_be_hidden()
    assert distance_from_end(page) < 2
    assert page.evaluate("document.activeElement.id") == "scroll"  # the focus is not lost with the button
    feed.caption("u51", " It follows again.")
    expect(page.locator(".caption")).to_have_count(51)
    assert distance_from_end(page) < 2


def distance_from_end(page: Page) -> float:
    script = "it => it.scrollHeight - it.scrollTop - it.clientHeight"
    distance: float = page.locator("#scroll").evaluate(script)
    return distance


def test_names_and_words_are_text_whatever_is_in_them(feed: Feed) -> None:
    page = feed.page
    for place, name in enumerate(NAMES):
        feed.caption(f"u{place}", f" {name} <img src=x onerror=alert(1)>", who=place)
    expect(page.locator(".caption")).to_have_count(len(NAMES))
    assert page.locator(".caption .speaker bdi").all_text_contents() == list(NAMES)
    assert page.locator("#people .name").all_text_contents() == list(NAMES)
    assert page.locator("main :is(b, i, img, script)").count() == 0
    expect(page.locator("h1")).to_have_text("A <i>title</i>")
    assert page.locator(".caption .avatar").nth(2).inner_text() == "👩‍🚀Z"
    expect(page.locator(".caption .speaker bdi").nth(1)).to_have_css("unicode-bidi", "isolate")


def test_captions_stand_in_the_order_in_which_they_began(feed: Feed) -> None:
    feed.caption("u1", " First.", who=0)
    feed.caption("u9", " Third.", who=1)
    feed.caption("u5", " Second.", who=2)
    expect(feed.page.locator(".caption .committed")).to_have_text(["First.", "Second.", "Third."])


def test_a_caption_never_goes_back_to_an_older_state(feed: Feed) -> None:
    feed.caption("u1", " One two", " three", revision=5)
    feed.caption("u1", " One", " too", revision=4)
    feed.caption("u1", " One two", " three four", revision=6)
    expect(feed.page.locator(".words")).to_have_text("One two three four")
    feed.caption("u1", " One two three.", revision=7)
    feed.caption("u1", " One two", " more", revision=8)
    feed.caption("u2", " Next.")
    expect(feed.page.locator(".words")).to_have_text(["One two three.", "Next."])


def test_a_page_that_lost_its_connection_asks_for_what_came_after_what_it_has(feed: Feed) -> None:
    for number in range(1, 4):
        feed.caption(f"u{number}", f" Number {number}.")
    expect(feed.page.locator(".caption")).to_have_count(3)
    feed.sockets[-1].close(code=1012, reason="restart")
    expect(feed.page.locator("#notices")).to_contain_text("Connection lost")
    while len(feed.sockets) < 2:
        feed.page.wait_for_timeout(50)
    assert "after=3" in feed.sockets[1].url
    feed.sequence = 5
    feed.snapshot({**caption("u3", " Number 3."), "sequence": 4}, {**caption("u4", " Missed."), "sequence": 5})
    expect(feed.page.locator("#notices")).not_to_contain_text("Connection lost")
    feed.caption("u5", " Number 5.")
    expect(feed.page.locator(".caption")).to_have_count(5)
    assert announced(feed)[-3:] == ["Ann: Number 3.", "Ann: Missed.", "Ann: Number 5."]  # what was missed, and once


def test_notices_stand_beside_the_captions_until_they_are_over(feed: Feed) -> None:
    notices = feed.page.locator("#notices")
    expect(notices).to_have_role("status")
    for trouble, solved, said in (
        ("delayed", "in_time", "Captions are late"),
        ("engine_down", "engine_up", "speech recognition has a problem"),
        ("not_kept", "kept", "cannot be kept"),
        ("paused", "resumed", "paused for everybody"),
    ):
        feed.send(type="notice", code=trouble, at=1.0)
        expect(notices).to_contain_text(said)
        feed.send(type="notice", code=solved, at=2.0)
        expect(notices).to_be_empty()
    feed.send(type="notice", code="cut", at=3.0)
    notices.get_by_role("button", name="Dismiss").click()
    expect(notices).to_be_empty()
    assert feed.page.locator(".caption").count() == 0


def test_the_reader_chooses_size_colours_and_lines_and_finds_them_again(feed: Feed) -> None:
    page = feed.page
    feed.caption("u1", " Large.")
    words = page.locator(".words")
    expect(words).to_have_css("font-size", "20px")
    height = page.locator("#scroll").bounding_box()
    page.get_by_role("button", name="Display").click()
    page.get_by_label("Size of captions").select_option("Very large")
    page.get_by_label("Colours").select_option("High contrast")
    page.get_by_label("Lines of captions shown").select_option("3 lines")
    page.get_by_role("button", name="Close").click()
    expect(words).to_have_css("font-size", "40px")
    expect(page.locator("body")).to_have_css("background-color", "rgb(0, 0, 0)")
    chosen = page.locator("#scroll").bounding_box()
    assert height is not None
    assert chosen is not None
    assert chosen["height"] < height["height"]
    page.goto("/")
    expect(page.locator("body")).to_have_css("background-color", "rgb(0, 0, 0)")
    assert page.evaluate("document.documentElement.dataset.size") == "larger"


def spoken(utterance: str, text: str, **more: Any) -> dict[str, Any]:
    """A caption with each of its words."""
    start = float(utterance.strip("u"))
    words = [
        {"text": f" {word}", "start": start + place / 10, "end": start + (place + 1) / 10, "confidence": 1.0}
        for place, word in enumerate(text.split())
    ]
    return caption(utterance, f" {text}", **more) | {"words": words}


def voices(utterance: str, *runs: tuple[int, int, str], who: int = 4) -> dict[str, Any]:
    told = [
        {"first": first, "count": count, "voice": place, "speaker": name}
        for place, (first, count, name) in enumerate(runs, 1)
    ]
    speaker = {"participant": f"p{who}", "speaker": NAMES[who]}
    return {"type": "voices", "utterance": utterance, "runs": told} | speaker


def test_words_of_a_shared_microphone_get_the_names_of_their_voices(feed: Feed) -> None:
    page = feed.page
    feed.send(**spoken("u1", "Good morning. Good morning to you."))
    item = page.locator(".caption").first
    expect(item.locator(".speaker bdi")).to_have_text("Ann")
    expect(page.locator("#announcer p")).to_have_count(1)
    feed.send(**voices("u1", (0, 2, "Ann (voix 1)"), (2, 4, "Ann (voix 2)")))
    expect(item.locator(".speaker bdi")).to_have_text("Ann (voix 1)")
    expect(item.locator(".voice:visible")).to_have_text("Ann (voix 2)")
    assert item.locator(".words").inner_text().split() == "Good morning. Ann (voix 2) Good morning to you.".split()
    # What is said next by the same voice goes on under its name, and another voice has its own.
    feed.send(**voices("u2", (0, 2, "Ann (voix 2)")))
    feed.send(**spoken("u2", "Well then."))
    feed.send(**spoken("u3", "No."))
    feed.send(**voices("u3", (0, 1, "Ann (voix 1)")))
    expect(page.locator(".caption.same")).to_have_count(1)
    expect(page.locator(".caption").nth(1)).to_have_class(re.compile("same"))
    feed.send(**voices("u3", (0, 1, "Zoé")))
    expect(page.locator(".caption").nth(2).locator(".speaker bdi")).to_have_text("Zoé")
    assert announced(feed) == [
        "Ann: Good morning. Good morning to you.",
        "Ann (voix 2): Well then.",
        "Ann: No.",
    ], "each once, whoever is found to have said it"


def test_labels_never_move_what_is_being_read(feed: Feed) -> None:
    page = feed.page
    text = "A sentence that is long enough to fill a good part of the line. And an answer to it."
    for number in range(1, 41):
        feed.send(**spoken(f"u{number}", text))
    expect(page.locator(".caption")).to_have_count(40)
    page.evaluate("() => { const it = document.getElementById('scroll'); it.scrollTop = it.scrollHeight / 2; }")
    expect(page.locator("#newest")).to_be_visible()
    place = """() => {
        const { top } = document.getElementById("scroll").getBoundingClientRect();
        const items = Array.from(document.querySelectorAll(".caption"));
        window.item ??= items.find((item) => item.getBoundingClientRect().top >= top);
        return window.item.getBoundingClientRect().top;
    }"""
    before = page.evaluate(place)
    for number in range(1, 41):
        feed.send(**voices(f"u{number}", (0, 14, "Ann (voix 1)"), (14, 5, "Ann (voix 2)")))
    expect(page.locator(".caption .voice:visible").last).to_have_text("Ann (voix 2)")
    expect(page.locator(".caption").last.locator(".voice")).to_have_count(2)
    assert abs(page.evaluate(place) - before) < 12, "twenty labels above, each within the rounding of a scroll position"
