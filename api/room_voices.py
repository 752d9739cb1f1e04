"""What hears the voices at shared microphones, where the settings and the machine go with it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from api.settings import Settings, SharedRooms
from models.voice_onnx import VoiceModel, VoiceNetworks, are_made, voice_folder
from pipeline.errors import ModelUnavailable

_log = logging.getLogger("greffier.voices")


@asynccontextmanager
async def voice_model(settings: Settings) -> AsyncIterator[VoiceModel | None]:
    """What tells voices of shared microphones apart live; None where the settings or the machine go without."""
    folder = voice_folder(settings.cache)
    if settings.shared_rooms is SharedRooms.NEVER:
        yield None
    elif not are_made(folder):
        _log.warning("voices.unmade", extra={"folder": str(folder)})
        yield None
    elif (networks := await asyncio.to_thread(_networks, folder)) is None:
        yield None
    else:
        model = VoiceModel(networks)
        try:
            yield model
        finally:
            model.close()


def _networks(folder: Path) -> VoiceNetworks | None:
    """None where a file is broken: meetings go on without labels."""
    try:
        return VoiceNetworks(folder)
    except ModelUnavailable as error:
        _log.error("voices.unusable", extra={"error": str(error)})
        return None
