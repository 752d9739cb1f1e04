"""The command ``greffier``."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from api.settings import VARIABLES, PolicyName, Settings, read_settings
from pipeline.errors import GreffierError, InvalidInput, ModelUnavailable, StorageFull, UnreadableMedia
from pipeline.export.formats import FORMATS

_CODES = (
    (UnreadableMedia, 66),
    (InvalidInput, 64),
    (ModelUnavailable, 69),
    (StorageFull, 73),
)
"""Exit codes of sysexits.h: no input, usage, unavailable, cannot create."""
_SOFTWARE = 70

_ABOUT = """\
Live captions, transcripts and minutes for meetings.

  greffier demo                                   caption the sample meeting in this terminal
  greffier caption anne.wav bob.ogg               caption recordings as the live tracks of one meeting
  greffier transcribe meeting.mp4 --format vtt    transcribe a recording to files
  greffier doctor                                 what this machine lacks, and how to get it
"""


def main(given: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code is 0 when all went well (sysexits.h otherwise)."""
    logging.basicConfig(level=logging.WARNING, format="greffier: %(message)s")
    arguments = parser().parse_args(given)
    try:
        settings = read_settings()
        for sentence in settings.unknown:
            print(f"greffier: {sentence}", file=sys.stderr)
        code: int = arguments.run(arguments, settings)
        return code
    except GreffierError as error:
        print(f"greffier: {error}", file=sys.stderr)
        return next((code for kind, code in _CODES if isinstance(error, kind)), _SOFTWARE)
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="greffier",
        description=_ABOUT,
        epilog="Settings come from the environment:\n"
        + "\n".join(f"  {variable.name:22} {variable.meaning}" for variable in VARIABLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_caption(commands)
    _add_transcribe(commands)
    _add_doctor(commands)
    return whole


def _add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("demo", help="caption the sample meeting in this terminal")
    command.add_argument("--speed", type=_speed, default=1.0, help="times real time (default 1)")
    command.set_defaults(run=_demo)


def _add_caption(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("caption", help="caption recordings as the live tracks of one meeting")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a recording of one participant")
    command.add_argument("--language", help="fixed (fr), or found among several (fr,en)")
    command.add_argument("--speed", type=_speed, default=1.0, help="times real time (default 1)")
    command.add_argument(
        "--events", type=Path, metavar="OUT.jsonl", help="write each caption event here (- is standard output)"
    )
    command.add_argument("--transcript", type=Path, metavar="OUT.json", help="write the transcript here")
    command.add_argument("--glossary", type=Path, metavar="WORDS.txt", help="terms that may be said, one a line")
    command.add_argument("--policy", choices=[policy.value for policy in PolicyName], help="when words are committed")
    command.set_defaults(run=_caption)


def _add_transcribe(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("transcribe", help="transcribe recordings to files")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a recording in any usual format")
    command.add_argument("--language", help="fixed (fr), or found among several (fr,en)")
    command.add_argument("--format", default="txt", help=f"one or more of {','.join(FORMATS)} (default txt)")
    command.add_argument("--out", type=Path, metavar="FOLDER", help="where files go (default: beside the recording)")
    command.add_argument("--beam", type=int, default=5, choices=range(1, 11), metavar="N", help="beam size (default 5)")
    command.add_argument("--glossary", type=Path, metavar="WORDS.txt", help="terms that may be said, one a line")
    command.set_defaults(run=_transcribe)


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("doctor", help="what this machine lacks, and how to get it")
    command.set_defaults(run=_doctor)


def _demo(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.caption import demo

    return demo(arguments, settings)


def _caption(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.caption import caption

    return caption(arguments, settings)


def _transcribe(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.transcribe import transcribe

    return transcribe(arguments, settings)


def _doctor(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.doctor import all_well, examine, render

    findings = examine(settings)
    print(render(findings, colour=sys.stdout.isatty()))
    return 0 if all_well(findings) else 1


def _speed(text: str) -> float:
    speed = float(text)
    if not 0.0 <= speed <= 1000.0:
        raise argparse.ArgumentTypeError(f"a speed lies between 0 (as fast as it goes) and 1000, not {text}")
    return speed


if __name__ == "__main__":
    sys.exit(main())
