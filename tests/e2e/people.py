"""Visitors of the pages, those whose microphone plays recorded speech, and the meetings they go to."""

import itertools
import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright

from pipeline.domain import SAMPLE_RATE, Samples
from tests.recordings import heard, silence
from tests.serving import Process

PATIENCE = 30_000
"""Milliseconds that a page may take for anything: two cores recognise speech meanwhile."""
ROOT = Path(__file__).parents[2]
_NUMBERS = itertools.count(1)


@dataclass(slots=True)
class Visitors:
    """Their pages must run without an error; what a page says of its network is let through."""

    browser: Browser
    url: str
    errors: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)

    def page(self, path: str = "/", locale: str = "en-GB", **context: Any) -> Page:
        """A page of somebody who has never been here."""
        opened = self.browser.new_context(locale=locale, base_url=self.url, accept_downloads=True, **context)
        self._contexts.append(opened)
        page = watched(opened, opened.new_page(), self.errors)
        page.goto(path)
        return page

    def leave(self) -> None:
        for context in self._contexts:
            context.close()
        assert not self.errors


@dataclass(slots=True)
class Microphones:
    playwright: Playwright
    chromium: str
    folder: Path
    url: str
    errors: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)

    def page(self, path: str, sound: Samples, *, loops: bool = False, locale: str = "en-GB") -> Page:
        """A page in a browser process of its own, whose microphone plays ``sound`` once it is allowed."""
        number = next(_NUMBERS)
        wav = _written(self.folder / f"microphone-{number}.wav", sound)
        context = self.playwright.chromium.launch_persistent_context(
            self.folder / f"profile-{number}",
            executable_path=self.chromium,
            base_url=self.url,
            locale=locale,
            accept_downloads=True,
            permissions=["microphone"],
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-audio-capture={wav}{'' if loops else '%noloop'}",
                # Only the loopback interface may be there; names of mDNS are nothing to a gateway on this machine.
                "--allow-loopback-in-peer-connection",
                "--disable-features=WebRtcHideLocalIpsWithMdns",
                "--autoplay-policy=no-user-gesture-required",
            ],
        )
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = watched(context, context.pages[0], self.errors)
        page.goto(path)
        return page

    def leave(self) -> None:
        for context in self._contexts:
            context.close()
        assert not self.errors


@dataclass(slots=True)
class Meetings:
    server: Process

    def new(self, title: str = "", **more: Any) -> str:
        """The id of a new meeting."""
        answer = self.server.ask("POST", "/api/v1/meetings", json={"title": title} | more)
        assert answer.status_code == 201, answer.text
        identity: str = answer.json()["id"]
        return identity


def speak(page: Page, name: str) -> None:
    """Joins with the microphone as it is: the browser's noise reduction would distort what is played."""
    page.get_by_label("Your name").fill(name)
    page.get_by_label("My sound is clean already").check()
    page.get_by_role("button", name="Join with the microphone").click()


def read(page: Page) -> None:
    page.locator("#read").click()
    page.locator("#stage").wait_for()


def spoken(name: str, before: float = 1.0, after: float = 1.0) -> Samples:
    """A recording between silences, so that none of it is played before the connection stands."""
    return np.concatenate([silence(before), heard(name), silence(after)])


def watched(context: BrowserContext, page: Page, errors: list[str]) -> Page:
    context.set_default_timeout(PATIENCE)

    def told(message: ConsoleMessage) -> None:
        if message.type == "error" and not _is_of_the_network(message.text):
            errors.append(message.text)

    page.on("console", told)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return page


def violations(page: Page) -> Mapping[str, list[str]]:
    """What axe-core finds wrong in the page: the parts concerned by rule."""
    page.evaluate((ROOT / "node_modules/axe-core/axe.min.js").read_text())
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
    found = page.evaluate("tags => axe.run(document, {resultTypes: ['violations'], runOnly: tags})", tags)
    return {each["id"]: [node["html"] for node in each["nodes"]] for each in found["violations"]}


def _is_of_the_network(text: str) -> bool:
    return "Failed to load resource" in text or "WebSocket connection to" in text or "net::ERR" in text


def _written(path: Path, sound: Samples) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(sound.tobytes())
    return path
