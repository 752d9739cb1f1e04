"""What a moshi-server is and whether it would let us in, for ``greffier doctor``."""

import asyncio
import json
import urllib.request
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from models.kyutai.connection import Connection
from models.kyutai.server import KyutaiServer, ServerSettings
from pipeline.errors import NoFreeChannel, RecognitionFailed

_SECONDS = 2.0
_LARGEST = 2**16
_UNKNOWN = "VERGEN_IDEMPOTENT_OUTPUT"
"""What moshi-server says of its git where it was built from the registry."""


async def look_at(url: str, settings: ServerSettings) -> str:
    """How it was built and how many of its slots are in use, where it tells. Raises ``RecognitionFailed``."""
    server = KyutaiServer(url, settings)
    try:
        connection = await Connection.open(server, settings.key, _SECONDS)
    except NoFreeChannel as error:
        said = [str(error)]
    except RecognitionFailed as error:
        raise RecognitionFailed(f"{url}: {error}") from error
    else:
        await connection.close()
        said = []
    build, modules = await asyncio.gather(
        asyncio.to_thread(_asked, url, "/api/build_info"), asyncio.to_thread(_asked, url, "/api/modules_info")
    )
    return ", ".join(
        [f"{url} answers and accepts the key", *said, *_build(build), *_slots(modules, urlsplit(url).path)]
    )


def _asked(url: str, path: str) -> Any:
    """What moshi-server says of itself without a key; None where it does not."""
    parts = urlsplit(url)
    address = urlunsplit(("https" if parts.scheme == "wss" else "http", parts.netloc, path, "", ""))
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(address, timeout=_SECONDS) as answer:
            return json.loads(answer.read(_LARGEST))
    except (OSError, ValueError):
        return None


def _build(said: Any) -> list[str]:
    if not isinstance(said, dict):
        return []
    names = ("server", "version", "git_describe", "git_hash", "build_timestamp")
    found = [str(said[name])[:80] for name in names if said.get(name, _UNKNOWN) != _UNKNOWN]
    return ["built as " + " ".join(found)] if found else []


def _slots(said: Any, path: str) -> list[str]:
    """Of the module at ``path``."""
    modules = said if isinstance(said, list) else []
    for module in modules:
        if isinstance(module, dict) and module.get("path") == path and "total_slots" in module:
            return [f"{module.get('used_slots')} of {module['total_slots']} slots in use"]
    return []
