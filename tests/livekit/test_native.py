"""LiveKit's SDK in a process: its end, and what it logs."""

import asyncio
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from livekit.rtc.log import logger

from media_gateway.livekit import native

ENDING = """
import time
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from media_gateway.livekit.access import LiveKitServer

ends, sleeps = FfiClient._dispose, time.sleep
FfiClient._dispose = lambda self: (print("the SDK ends"), ends(self))
time.sleep = lambda seconds: (print("calls return"), sleeps(seconds))
for _ in range(2):
    LiveKitServer("ws://127.0.0.1:9", "key", "secret")
FfiClient.instance
"""


def test_calls_of_the_sdk_have_time_to_return_once_after_it_has_ended() -> None:
    said = subprocess.run(
        [sys.executable, "-c", ENDING], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == ["the SDK ends", "calls return"]


def test_an_event_that_fails_in_the_sdk_is_logged_without_what_it_told(caplog: pytest.LogCaptureFixture) -> None:
    native.outlive()
    logging.error("error running user callback for %s: %s", "participant_connected", 'name: "Anne"')  # noqa: LOG015 - as the SDK does
    assert caplog.messages == ["error running user callback for participant_connected"]


def test_what_native_code_says_of_anybody_s_packets_is_logged_by_its_place_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    native.outlive()
    for text in ("Stream 'what Anne wrote' already open", "Stream 'and again' already open"):
        logger.error("%s:%s:%s - %s", "livekit_data_stream::incoming", 290, "livekit_data_stream::incoming", text)
    logger.error("error putting to queue: %s", "of Python")
    assert caplog.messages == ["livekit_data_stream::incoming:290", "error putting to queue: of Python"]


async def test_a_connection_that_nobody_waits_for_is_ended_once_it_is_made_and_never_cancelled() -> None:
    made, ended = asyncio.Event(), asyncio.Event()

    async def connect() -> None:
        await made.wait()

    async def end() -> None:
        ended.set()

    connecting = asyncio.create_task(connect())
    await native.end_when_made(connecting, end, patience=0.01)
    assert not connecting.done()
    made.set()
    async with asyncio.timeout(10):
        await ended.wait()
    assert not connecting.cancelled()


async def test_a_connection_that_is_not_made_needs_no_end() -> None:
    async def connect() -> None:
        raise ConnectionError

    async def end() -> None:
        pytest.fail("there is nothing to end")

    await native.end_when_made(asyncio.create_task(connect()), end, patience=10)
