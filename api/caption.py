"""``greffier caption`` and ``greffier demo``: recordings as live tracks, captions and a transcript out."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from api.audiences import EventLog, Nobody, Terminal
from api.output import fetch_progress, opened, written
from api.replay import Audience, Replay, Voice, named, voices_of
from api.settings import PolicyName, Settings, parse_languages
from api.wiring import Recognition, recognition, speech_detectors
from pipeline.domain import TrackId
from pipeline.errors import InvalidInput
from pipeline.export.json import json as transcript_json
from pipeline.export.text import text as transcript_text

SAMPLE = Path(__file__).parent.parent / "sample"
_INTERRUPTED = 130
_GLOSSARY_TERMS = 200


def caption(arguments: argparse.Namespace, settings: Settings) -> int:
    """Replays the files; the exit code is 0, 1 when a file could not be read, 130 when interrupted."""
    voices = voices_of(arguments.files)
    if arguments.policy:
        settings = replace(settings, policy=PolicyName(arguments.policy))
    languages = parse_languages(arguments.language) if arguments.language else settings.languages
    glossary = read_glossary(arguments.glossary) if arguments.glossary else ()
    with ExitStack() as stack:
        audience: Audience = Terminal(_names(voices)) if not arguments.events else Nobody()
        if arguments.events:
            audience = EventLog(stack.enter_context(opened(arguments.events)))
        engine = recognition(settings, fetch_progress)
        replay, code = _play(engine, voices, audience, arguments.speed, languages, glossary)
    if arguments.transcript:
        with written(arguments.transcript) as file:
            file.write(transcript_json(replay.transcript(title=", ".join(path.name for path in arguments.files))))
    for error in replay.errors:
        print(f"greffier: {error}", file=sys.stderr)
    return code or (1 if replay.errors else 0)


def demo(arguments: argparse.Namespace, settings: Settings) -> int:
    """The sample meeting in the terminal, then its transcript."""
    script = json.loads((SAMPLE / "meeting.json").read_text(encoding="utf-8"))
    voices = [
        named(SAMPLE / turn["file"], turn["participant"], (turn["language"],), turn["start"])
        for turn in script["tracks"]
    ]
    engine = recognition(settings, fetch_progress)
    print(f"{script['title']}\n", flush=True)
    replay, code = _play(engine, voices, Terminal(_names(voices)), arguments.speed, settings.languages, ())
    print("\n" + transcript_text(replay.transcript(title=script["title"])), end="")
    return code


def read_glossary(path: Path) -> tuple[str, ...]:
    """One term a line; empty lines and lines that begin with # are not terms."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the glossary {path} cannot be read as UTF-8 text: {error}") from error
    terms = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if len(terms) > _GLOSSARY_TERMS:
        raise InvalidInput(f"the glossary {path} holds {len(terms)} terms; {_GLOSSARY_TERMS} are the most")
    return terms


def _play(
    engine: Recognition,
    voices: Sequence[Voice],
    audience: Audience,
    speed: float,
    languages: tuple[str, ...],
    glossary: tuple[str, ...],
) -> tuple[Replay, int]:
    return asyncio.run(_played(engine, voices, audience, speed, languages, glossary))


async def _played(
    engine: Recognition,
    voices: Sequence[Voice],
    audience: Audience,
    speed: float,
    languages: tuple[str, ...],
    glossary: tuple[str, ...],
) -> tuple[Replay, int]:
    """The first Ctrl-C ends the meeting and keeps what was said; a second one ends the command."""
    code = 0
    async with engine.batcher() as recognizer:
        replay = Replay(
            voices, engine.captioner(languages, glossary), recognizer, speech_detectors(), audience, speed=speed
        )
        running = asyncio.ensure_future(replay.run())

        def interrupted() -> None:
            nonlocal code
            if code:
                running.cancel()
            code = _INTERRUPTED
            replay.stop()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, interrupted)
        with suppress(asyncio.CancelledError):
            await running
    return replay, code


def _names(voices: Sequence[Voice]) -> dict[TrackId, str]:
    return {voice.track.id: voice.track.participant.name for voice in voices}
