"""Somebody who talks into a microphone: sound goes on whether anybody takes it or not."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx2
import websockets

from pipeline.domain import SAMPLE_RATE, Samples
from tests.media_gateway.opus_packets import encoded
from tests.media_gateway.whip_client import WhipClient

STEP = 0.04
AGAIN = 0.25
"""Seconds until a client that was cut off tries the next gateway."""
Span = tuple[float, float]


@dataclass(slots=True)
class Talker:
    """Sends PCM by ``audio.ws`` and, cut off, goes on at the next gateway with what is said by then, as a browser does.

    ``began_at`` is when the sound began, in seconds since 1970; ``unheard`` are the parts of it that met no gateway,
    ``tried`` how many times it went to one: each time to the next.
    """

    gateways: Sequence[str]
    meeting: str
    token: str
    sound: Samples
    began_at: float = 0.0
    unheard: list[Span] = field(default_factory=list)
    tried: int = 0
    _began: float = 0.0

    async def talk(self) -> None:
        """Until everything is said. The first gateway is tried until it is there."""
        at = 0.0
        while at < self.length:
            door = self.gateways[self.tried % len(self.gateways)]
            address = f"{door}/api/v1/meetings/{self.meeting}/audio.ws"
            self.tried += 1
            lost_from = at
            try:
                async with websockets.connect(address, proxy=None, open_timeout=5, close_timeout=1) as socket:
                    await socket.send(json.dumps({"token": self.token, "codec": "pcm16", "sample_rate": SAMPLE_RATE}))
                    await socket.recv()
                    at = self._now()
                    if at > lost_from + STEP:
                        self.unheard.append((lost_from, at))
                    while at < self.length:
                        begin = round(at * SAMPLE_RATE)
                        await socket.send(self.sound[begin : begin + round(STEP * SAMPLE_RATE)].tobytes())
                        at += STEP
                        await asyncio.sleep(self._began + at - time.monotonic())
                    return
            except (OSError, websockets.WebSocketException, TimeoutError):
                await asyncio.sleep(AGAIN)

    @property
    def length(self) -> float:
        return len(self.sound) / SAMPLE_RATE

    def stop_at(self, seconds: float) -> None:
        """No more of the sound than its first ``seconds`` is said."""
        self.sound = self.sound[: round(seconds * SAMPLE_RATE)]

    @property
    def at(self) -> float:
        """How much is said."""
        return time.monotonic() - self._began if self._began else 0.0

    def _now(self) -> float:
        """How much is said; nothing before the first gateway took the first of it."""
        if not self._began:
            self._began, self.began_at = time.monotonic(), time.time()
        return time.monotonic() - self._began


@dataclass(slots=True)
class WhipTalker:
    """Publishes by WHIP to one gateway, as a browser does."""

    gateways: Sequence[str]
    meeting: str
    token: str
    sound: Samples
    began_at: float = 0.0
    unheard: list[Span] = field(default_factory=list)

    async def talk(self) -> None:
        page = WhipClient(encoded(self.sound, bit_rate=64_000, expected_loss=0))
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/sdp"}
            address = f"{self.gateways[0].replace('ws:', 'http:')}/whip/{self.meeting}"
            async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:
                answer = await client.post(address, content=await page.offer(), headers=headers)
            assert answer.is_success, answer.text
            await page.answered(answer.text)
            while page.track._began is None:  # noqa: ASYNC110 - aiortc tells nobody
                await asyncio.sleep(0.01)
            self.began_at = time.time() - (asyncio.get_running_loop().time() - page.track._began)
            await page.track.done.wait()
            await asyncio.sleep(0.5)
        finally:
            await page.close()
