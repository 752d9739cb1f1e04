"""A page in a room of a real livekit-server, as Visio's front is, and whoever else is there."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Page

from tests.e2e.people import ROOT

Result = TypeVar("Result")
PATIENCE_SECONDS = 60.0
_FILES = {
    "/": ROOT / "tests/e2e/livekit.html",
    "/livekit-client.umd.js": ROOT / "node_modules/livekit-client/dist/livekit-client.umd.js",
}


@dataclass(slots=True)
class Elsewhere:
    """An event loop in a thread of its own, for the SDK's people: Playwright keeps that of the test to itself."""

    loop: asyncio.AbstractEventLoop

    def run(self, what: Coroutine[Any, Any, Result]) -> Result:
        """Waits for it."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(PATIENCE_SECONDS)


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="people of LiveKit")
    thread.start()
    try:
        yield Elsewhere(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def front() -> Iterator[str]:
    """The address of the page, on a free port of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files)) as server:
        thread = threading.Thread(target=server.serve_forever, name="the page of LiveKit")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Files(SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        return str(_FILES.get(path.partition("?")[0], Path("/nothing")))

    def log_message(self, *_: object) -> None:
        pass


@dataclass(slots=True)
class Front:
    """The page, joined or not; ``said`` is what it shows."""

    page: Page

    def join(self, url: str, token: str) -> None:
        self.page.evaluate("([url, token]) => join(url, token)", [url, token])

    def speak(self, on: bool) -> None:
        self.page.evaluate("on => speak(on)", on)

    def rows(self) -> list[tuple[str, str]]:
        """Identity and text, in order."""
        found = self.page.locator("#rows article").evaluate_all(
            "rows => rows.map(row => [row.dataset.identity, row.lastChild.textContent])"
        )
        return [(identity, text) for identity, text in found]

    def said(self, identity: str) -> str:
        """All that is shown of somebody."""
        return " ".join(text for who, text in self.rows() if who == identity)

    def others(self) -> list[str]:
        """Whom the page sees in the room, beside itself."""
        return list(self.page.evaluate("[...room.remoteParticipants.keys()]"))

    def packets(self) -> list[dict[str, Any]]:
        """Each packet as it came: segments, participant, track, and when, in seconds since 1970."""
        return list(self.page.evaluate("packets"))

    def dropped(self) -> dict[str, int]:
        """Packets that are not shown, by the reason."""
        return dict(self.page.evaluate("dropped"))

    def streamed(self) -> list[dict[str, Any]]:
        """Each ended ``lk.transcription`` stream, in order: participant, attributes, text."""
        return list(self.page.evaluate("streams.filter(stream => stream.text !== null)"))
