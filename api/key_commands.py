"""``greffier keys``: add, list and remove the API keys of applications, also while the server runs."""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from api.keys import new_key
from api.names import LONGEST_NAME, normalised
from api.settings import Settings
from pipeline.access import KeyId, Scope
from pipeline.errors import InvalidInput
from pipeline.store.sql import SqlStore


def add(arguments: argparse.Namespace, settings: Settings) -> int:
    """Prints the new key; it is kept as a digest, and nobody can show it again."""
    try:
        name = normalised(arguments.name, LONGEST_NAME, "the name of a key")
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    key, text = new_key(name, (Scope(scope) for scope in arguments.scope), time.time())

    async def run(store: SqlStore) -> None:
        await store.add_key(key)

    _with_store(settings, run)
    print(text)
    return 0


def show(_: argparse.Namespace, settings: Settings) -> int:
    async def run(store: SqlStore) -> None:
        for key in await store.keys():
            made = datetime.fromtimestamp(key.created_at, UTC).strftime("%Y-%m-%d")
            scopes = ",".join(sorted(scope.value for scope in key.scopes))
            print(f"{key.id}  ...{key.ending}  {made}  {scopes}  {key.name}")

    _with_store(settings, run)
    return 0


def remove(arguments: argparse.Namespace, settings: Settings) -> int:
    """Applications that use it are refused from now on. Raises ``NotFound``."""

    async def run(store: SqlStore) -> None:
        await store.remove_key(KeyId(arguments.id))

    _with_store(settings, run)
    return 0


def _with_store(settings: Settings, run: Callable[[SqlStore], Awaitable[None]]) -> None:
    async def opened() -> None:
        store = SqlStore.open(settings.database_url)
        try:
            await run(store)
        finally:
            await store.close()

    asyncio.run(opened())
