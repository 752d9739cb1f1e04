"""The stream of one talker: sound in, words out, over one connection after the other. A ``SpeechStream``."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress

from models.kyutai.connection import SIGN_OF_LIFE, Connection
from models.kyutai.hearing import Hearing
from models.kyutai.messages import STEP_SECONDS, Message, audio, marker
from models.kyutai.server import ServerSettings
from models.kyutai.sound import SILENT_FRAME, Frames
from pipeline.domain import SAMPLE_RATE, Samples
from pipeline.errors import RecognitionFailed, RecognitionStalled
from pipeline.streams import Heard

_MOST_BEHIND = round(5.0 / STEP_SECONDS)
"""Frames that a server may have and not have heard: it takes all there is, so more waits here."""
_SILENCE = audio(SILENT_FRAME)
_SOFTENED = 2
"""Silent frames before a marker: the last word is told only after all of its text."""
_AGAIN = round(60.0 / STEP_SECONDS)
"""Frames after which a rotation that found no slot is tried again."""


class KyutaiStream:
    """One task sends, another one reads. ``renew`` opens one more connection, on whichever server has room."""

    def __init__(
        self, connection: Connection, renew: Callable[[], Awaitable[Connection]], settings: ServerSettings
    ) -> None:
        self._connection = connection
        self._renew = renew
        self._settings = settings
        self._frames = Frames()
        self._hearing = Hearing(settings.delay)
        self._samples = 0
        self._rotate_at = round(settings.rotated / STEP_SECONDS)
        self._closed = False
        self._failure: RecognitionFailed | None = None
        self._heard_more = asyncio.Event()
        self._owed_since = self._sent_at = asyncio.get_running_loop().time()

    # --- who sends ---------------------------------------------------------------------------------------------------

    async def send(self, samples: Samples) -> None:
        if self._closed or not len(samples):
            return
        if not self._hearing.speaking:
            self._hearing.begin(self._own)
        self._samples += len(samples)
        await self._send_frames([*map(audio, self._frames.push(samples))])
        if self._hearing.pausing or self._too_old:
            await self._rotate()

    async def flush(self) -> None:
        if self._closed or not self._hearing.speaking:
            return
        await self._finish()
        await self._rotate()

    @property
    def _own(self) -> float:
        """Seconds of the stream's own sound."""
        return self._samples / SAMPLE_RATE

    @property
    def _too_old(self) -> bool:
        """No pause can be waited for any more."""
        return self._hearing.frames * STEP_SECONDS >= self._settings.longest

    async def _finish(self) -> None:
        """The last words of what was sent are told, and a marker after them, as fast as the server steps.

        The silence is sent without a break: a marker comes back after so many steps of the server, not of the slot.
        """
        after = math.ceil(self._settings.delay / STEP_SECONDS) + 1
        await self._send_frames([*map(audio, self._frames.finish()), *[_SILENCE] * _SOFTENED])
        number = self._hearing.end(self._own)
        self._owe()
        await self._send(marker(number))
        await self._send_frames([_SILENCE] * after)

    async def _send_frames(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            while self._hearing.behind >= _MOST_BEHIND:
                await self._progress()
            self._owe()
            self._hearing.frames += 1
            await self._send(frame)

    async def _send(self, packed: bytes) -> None:
        if self._failure is not None:
            raise self._failure
        self._sent_at = asyncio.get_running_loop().time()
        await self._connection.send(packed)

    def _owe(self) -> None:
        """From now on the server must answer, if it must not already."""
        if not self._hearing.owes:
            self._owed_since = asyncio.get_running_loop().time()

    async def _progress(self) -> None:
        """Returns once a message has come. Raises what ended the stream."""
        self._heard_more.clear()
        if self._failure is None and not self._closed:
            await self._heard_more.wait()
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise RecognitionFailed("the stream was closed")

    async def _rotate(self) -> None:
        """Takes a new connection in a pause, when this one is old; where there is none, this one goes on.

        Whoever sends waits meanwhile: as long as the last words take, and a handshake.
        """
        if self._hearing.frames < self._rotate_at:
            return
        if self._hearing.speaking:
            await self._finish()
        while not self._hearing.settled:
            await self._progress()
        try:
            fresh = await self._renew()
        except RecognitionFailed:
            self._rotate_at = self._hearing.frames + _AGAIN
            if self._too_old:
                raise
            return
        if self._closed:
            await fresh.close()
            return
        old, self._connection = self._connection, fresh
        self._hearing = Hearing(self._settings.delay, self._own)
        self._rotate_at = round(self._settings.rotated / STEP_SECONDS)
        old.server.rotated += 1
        await old.close()

    # --- who reads ---------------------------------------------------------------------------------------------------

    async def heard(self) -> AsyncIterator[Heard]:
        while not self._closed:
            connection, hearing = self._connection, self._hearing
            try:
                message = await self._next(connection)
                heard = None if message is None else hearing.take(message)
            except RecognitionFailed as failure:
                if self._closed or connection is not self._connection:
                    continue
                self._lose(failure)
                await connection.break_off()
                raise
            self._heard_more.set()
            if heard is not None:
                yield heard

    async def _next(self, connection: Connection) -> Message | None:
        """The next message, while there is sound or none. Raises ``RecognitionFailed``."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.stalled / 4):
                    return await connection.receive()
            now = loop.time()
            if self._hearing.owes and now - max(began, self._owed_since) > self._settings.stalled:
                raise RecognitionStalled("moshi-server does not answer")
            if now - self._sent_at > self._settings.alive:
                self._sent_at = now
                await connection.send(SIGN_OF_LIFE)

    def _lose(self, failure: RecognitionFailed) -> None:
        server = self._connection.server
        server.lost += 1
        if isinstance(failure, RecognitionStalled):
            server.fails(failure)
        else:
            server.suspected.set()
        self._failure = failure
        self._heard_more.set()

    # --- the end -----------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        self._closed = True
        self._heard_more.set()
        await self._connection.close()
