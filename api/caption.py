"""``greffier caption`` and ``greffier demo``: recordings as live tracks, captions and a transcript out."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from api.audiences import EventLog, Terminal
from api.detecting import speech_detectors
from api.output import check_writable, fetch_progress, opened, written
from api.replay import Audience, Replay, Voice, named, voices_of
from api.sample import read_script, write_mixed
from api.settings import PolicyName, Settings
from api.wiring import kyutai_servers, recognition
from models.batching import Batcher
from models.voice_onnx import VoiceModel, VoiceNetworks, voice_folder
from pipeline.domain import TrackId
from pipeline.errors import InvalidInput
from pipeline.export.json import json as transcript_json
from pipeline.export.text import text as transcript_text

_ROOM = "Salle Descartes"
_GLOSSARY_TERMS = 200
_FASTEST_SHARED = 4.0
"""Times real time: faster, windows would come too late to be heard."""


def caption(arguments: argparse.Namespace, settings: Settings) -> int:
    """Replays the files; the exit code is 0, 1 when a file broke off, 128 and the signal's number when interrupted."""
    voices = voices_of(arguments.files)
    if arguments.policy:
        settings = replace(settings, policy=PolicyName(arguments.policy))
    glossary = read_glossary(arguments.glossary) if arguments.glossary else ()
    if arguments.transcript:
        check_writable(arguments.transcript)
    _check_speed(arguments)
    with ExitStack() as stack:
        terminal = Terminal(_names(voices), voiced=arguments.shared_room)
        audience: Audience = terminal
        if arguments.events:
            audience = EventLog(stack.enter_context(opened(arguments.events)), arguments.events)
        engine = recognition(settings, fetch_progress)
        captioner = engine.captioner(arguments.language or settings.languages, glossary)
        batcher = engine.batcher()
        replay = Replay(voices, captioner, batcher, speech_detectors(), audience, speed=arguments.speed)
        if arguments.shared_room:
            replay.voice_model = _voice_model(settings, stack)
        try:
            code = asyncio.run(_played(replay, batcher, settings))
            terminal.finish()
        finally:
            if arguments.transcript:
                _write_transcript(replay, arguments.transcript)
    for error in replay.errors:
        print(f"greffier: {error}", file=sys.stderr)
    return code or (1 if replay.errors else 0)


def _write_transcript(replay: Replay, path: Path) -> None:
    title = ", ".join(voice.path.name for voice in replay.voices)
    with written(path) as file:
        file.write(transcript_json(replay.transcript(title=title)))


def demo(arguments: argparse.Namespace, settings: Settings) -> int:
    """The sample meeting in the terminal, then its transcript."""
    script = read_script()
    _check_speed(arguments)
    with ExitStack() as stack:
        if arguments.shared_room:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="greffier-")))
            languages = tuple(dict.fromkeys(voice.language for voice in script.voices))
            voices = [named(write_mixed(script, folder), _ROOM, languages, 0.0)]
        else:
            voices = [named(voice.path, voice.name, (voice.language,), voice.start) for voice in script.voices]
        model = _voice_model(settings, stack) if arguments.shared_room else None
        engine = recognition(settings, fetch_progress)
        print(f"{script.title}\n", flush=True)
        terminal = Terminal(_names(voices), voiced=arguments.shared_room)
        captioner, batcher = engine.captioner(settings.languages), engine.batcher()
        replay = Replay(voices, captioner, batcher, speech_detectors(), terminal, speed=arguments.speed)
        replay.voice_model = model
        code = asyncio.run(_played(replay, batcher, settings))
        terminal.finish()
    print("\n" + transcript_text(replay.transcript(title=script.title)), end="")
    return code


def _check_speed(arguments: argparse.Namespace) -> None:
    if arguments.shared_room and not 0 < arguments.speed <= _FASTEST_SHARED:
        raise InvalidInput(f"voices are told apart at a speed of at most {_FASTEST_SHARED:g}, not {arguments.speed:g}")


def _voice_model(settings: Settings, stack: ExitStack) -> VoiceModel:
    """Closed with ``stack``. Raises ``ModelUnavailable``."""
    model = VoiceModel(VoiceNetworks(voice_folder(settings.cache)))
    stack.callback(model.close)
    return model


def read_glossary(path: Path) -> tuple[str, ...]:
    """One term a line; empty lines and lines that begin with # are not terms."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the glossary {path} cannot be read as UTF-8 text: {error}") from error
    terms = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if len(terms) > _GLOSSARY_TERMS:
        raise InvalidInput(f"the glossary {path} holds {len(terms)} terms; {_GLOSSARY_TERMS} are the most")
    return terms


async def _played(replay: Replay, batcher: Batcher, settings: Settings) -> int:
    """The first Ctrl-C ends the meeting and keeps what was said; a second one ends the command."""
    code = 0
    async with batcher, kyutai_servers(settings) as replay.streams:
        running = asyncio.ensure_future(replay.run())

        def interrupted(number: int) -> None:
            nonlocal code
            if code:
                running.cancel()
            code = 128 + number  # as shells say it
            replay.stop()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, interrupted, number)
        with suppress(asyncio.CancelledError):
            await running
    return code


def _names(voices: Sequence[Voice]) -> dict[TrackId, str]:
    return {voice.track.id: voice.track.participant.name for voice in voices}
