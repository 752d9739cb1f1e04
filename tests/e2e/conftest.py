"""A person's browser: Debian's Chromium, driven by Playwright, in front of a real ``greffier serve``."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.e2e.people import Meetings, Microphones, Visitors
from tests.serving import Process, process

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="package")
def chromium() -> str:
    """Without it a laptop skips and CI fails."""
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI"):
            pytest.fail("chromium is missing: CI needs the packages of .ci/debian-packages.txt")
        pytest.skip("chromium is not on this machine")
    return CHROMIUM


# Of the package: Playwright's synchronous interface keeps an event loop running, which other tests could not bear.
@pytest.fixture(scope="package")
def playwright(chromium: str) -> Iterator[Playwright]:
    with sync_playwright() as playing:
        yield playing


@pytest.fixture(scope="package")
def browser(playwright: Playwright, chromium: str) -> Iterator[Browser]:
    with playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as browser:
        yield browser


@pytest.fixture(scope="package")
def server(whisper_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The whole product, with its real recogniser."""
    with process(tmp_path_factory.mktemp("home")) as serving:
        yield serving


@pytest.fixture
def visitors(browser: Browser, server: Process) -> Iterator[Visitors]:
    """Opens pages; each visitor has a browser profile of their own."""
    visitors = Visitors(browser, server.url)
    yield visitors
    visitors.leave()


@pytest.fixture
def microphones(playwright: Playwright, chromium: str, tmp_path: Path, server: Process) -> Iterator[Microphones]:
    """Browsers whose microphone plays recorded speech."""
    microphones = Microphones(playwright, chromium, tmp_path, server.url)
    yield microphones
    microphones.leave()


@pytest.fixture
def meetings(server: Process) -> Meetings:
    return Meetings(server)
