"""One socket with a moshi-server, which is a slot there. What websockets and the network raise is mapped here only."""

import asyncio
import logging

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import CloseCode

from models.kyutai.messages import NO_FREE_CHANNELS, Message, Ready, Refusal, audio, read_message
from models.kyutai.server import KyutaiServer
from pipeline.errors import NoFreeChannel, RecognitionFailed, RecognitionStalled

SIGN_OF_LIFE = audio(np.zeros(0, np.float32))
"""moshi-server lets go of whoever sends nothing for 120 s."""
_KEY_HEADER = "kyutai-api-key"
_LARGEST_MESSAGE = 2**16
_CLOSE_SECONDS = 0.5
_REFUSED = (401, 403)
_SILENT = logging.Logger("greffier.kyutai.socket")  # noqa: LOG001 - apart from all others, so that nothing is written
"""websockets writes headers, keys among them, to its log where that is asked for everything."""
_SILENT.disabled = True


class _Direct(connect):
    """Follows no redirect: the key goes to nobody else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Connection:
    """Made by ``open``; whoever has it closes it."""

    def __init__(self, socket: ClientConnection, server: KyutaiServer) -> None:
        self._socket = socket
        self._closed = False
        self.server = server

    @classmethod
    async def open(cls, server: KyutaiServer, key: str, seconds: float) -> "Connection":
        """Takes a slot, once the model of the server says that it is ready: a server that hangs is none.

        Raises ``NoFreeChannel`` and ``RecognitionFailed``, at the latest after ``seconds``.
        """
        server.used += 1
        try:
            return await cls._open(server, key, seconds)
        except BaseException:
            server.used -= 1
            raise

    @classmethod
    async def _open(cls, server: KyutaiServer, key: str, seconds: float) -> "Connection":
        try:
            async with asyncio.timeout(seconds):
                socket = await _Direct(
                    server.url,
                    additional_headers={_KEY_HEADER: key},
                    compression=None,
                    open_timeout=None,
                    close_timeout=_CLOSE_SECONDS,
                    ping_interval=server.settings.stalled / 2,  # steps and markers say it sooner, where there are any
                    ping_timeout=server.settings.stalled,
                    max_size=_LARGEST_MESSAGE,
                    proxy=None,
                    logger=_SILENT,
                )
                connection = cls(socket, server)
                try:
                    await connection._until_ready()
                except BaseException:
                    await connection.break_off()
                    raise
        except InvalidStatus as error:
            status = error.response.status_code
            said = "the key is refused" if status in _REFUSED else f"the handshake is answered with {status}"
            raise RecognitionFailed(said) from None  # its response may repeat what was sent
        except TimeoutError as error:
            raise RecognitionFailed(f"it is not ready within {seconds:g} s") from error
        except (OSError, WebSocketException) as error:
            raise RecognitionFailed(f"it cannot be reached: {type(error).__name__}") from error
        return connection

    async def _until_ready(self) -> None:
        match await self.receive():
            case Ready():
                return
            case Refusal(reason=reason) if reason == NO_FREE_CHANNELS:
                raise NoFreeChannel(NO_FREE_CHANNELS)
        raise RecognitionFailed("what answers does not begin as moshi-server does")

    async def send(self, packed: bytes) -> None:
        """Raises ``RecognitionFailed``."""
        try:
            await self._socket.send(packed)
        except (OSError, WebSocketException) as error:
            raise _lost(error) from error

    async def receive(self) -> Message | None:
        """The next message, None for one that means nothing. Raises ``RecognitionFailed``."""
        try:
            return read_message(await self._socket.recv())
        except (OSError, WebSocketException) as error:
            raise _lost(error) from error

    async def close(self) -> None:
        """Gives the slot back; never raises, and does nothing the second time."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._socket.close()
        except (OSError, WebSocketException):  # it is gone, which is what was wanted
            return
        finally:
            self._socket.transport.abort()  # where nobody waits for its goodbye
            self.server.used -= 1

    async def break_off(self) -> None:
        """Without a goodbye: it has failed. What gives the slot back is ``close``."""
        self._socket.transport.abort()
        await self._socket.wait_closed()


def _lost(error: Exception) -> RecognitionFailed:
    if isinstance(error, ConnectionClosed) and error.sent is not None and error.sent.code == CloseCode.INTERNAL_ERROR:
        return RecognitionStalled("moshi-server answers no ping")
    return RecognitionFailed("the connection with moshi-server was lost")
