"""The Kyutai servers of a process, as its one ``StreamingRecognizer``.

The rule for whoever begins to speak:

1. Of the servers that are healthy and have a free slot, the least loaded is asked, then the next one.
2. Are all of them full, ``NoFreeChannel``: whoever asks waits a little and asks again (``pipeline/streamed``). One that
   has said so is not asked again for a moment.
3. Does none of them answer, ``RecognitionFailed``.

Where that does not help in time, Whisper recognises the utterance.
"""

import asyncio
import logging
from contextlib import suppress

from models.kyutai.connection import Connection
from models.kyutai.server import KyutaiServer, ServerSettings
from models.kyutai.stream import KyutaiStream
from pipeline.errors import NoFreeChannel, RecognitionFailed

_log = logging.getLogger("greffier.kyutai")

LANGUAGES = frozenset({"fr", "en"})
"""Of the model stt-1b-en_fr."""


class KyutaiServers:
    """An async context, that looks after the health of its servers meanwhile. ``fallbacks`` counts ``given_up``."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.servers = tuple(KyutaiServer(url, settings) for url in settings.urls)
        self.fallbacks = 0
        self._watching: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "KyutaiServers":
        self._watching = [asyncio.create_task(self._watch(server)) for server in self.servers]
        return self

    async def __aexit__(self, *_: object) -> None:
        watching, self._watching = self._watching, []
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)

    def takes(self, languages: tuple[str, ...]) -> bool:
        return bool(languages) and LANGUAGES.issuperset(languages) and any(server.healthy for server in self.servers)

    async def open(self) -> KyutaiStream:
        """Raises ``NoFreeChannel`` and ``RecognitionFailed``, by the rule above."""
        return KyutaiStream(await self._connection(), self._connection, self.settings)

    def given_up(self) -> None:
        self.fallbacks += 1

    async def _connection(self) -> Connection:
        now = asyncio.get_running_loop().time()
        failure = RecognitionFailed("no server of Kyutai's recogniser is healthy")
        full = False
        for server in sorted(self.servers, key=lambda each: each.burden):
            if not server.has_room(now):
                full |= server.healthy
                continue
            try:
                return await self._ask(server)
            except NoFreeChannel:
                full = True
            except RecognitionFailed as error:
                failure = error
        raise NoFreeChannel("all slots of all servers are in use") if full else failure

    async def _ask(self, server: KyutaiServer, *, looking: bool = False) -> Connection:
        try:
            connection = await Connection.open(server, self.settings.key, self.settings.connecting)
        except NoFreeChannel:
            if looking:  # it is well, and nobody was refused
                server.works()
            else:
                server.is_full(asyncio.get_running_loop().time())
            raise
        except RecognitionFailed as error:
            server.fails(error, looking=looking)
            raise
        except BaseException:  # whoever asked did not wait to the end, or something happened that nobody foresaw
            server.suspected.set()
            raise
        server.works()
        return connection

    async def _watch(self, server: KyutaiServer) -> None:
        """Looks at a server for as long as it runs; one with which somebody speaks is seen to be well."""
        while True:
            if server.suspected.is_set() or not server.used or not server.healthy:
                server.suspected.clear()
                await self._look(server)
            with suppress(TimeoutError):
                async with asyncio.timeout(server.rest):
                    await (server.suspected if server.healthy else asyncio.Event()).wait()

    async def _look(self, server: KyutaiServer) -> None:
        try:
            await (await self._ask(server, looking=True)).close()
        except RecognitionFailed:
            return  # the server was told
        except Exception as error:  # noqa: BLE001 - whatever a look meets, it is not the last one
            _log.error("kyutai.failed", extra={"server": server.name, "error": type(error).__name__})
            server.fails(RecognitionFailed(type(error).__name__), looking=True)  # its text may repeat the key
