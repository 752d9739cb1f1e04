"""The command ``greffier``."""

import argparse
import errno
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from api.parsing import parse_host, parse_languages, parse_speakers
from api.settings import PolicyName, Settings, read_settings
from api.variables import HOST, PORT, SPOKEN, VARIABLES
from pipeline.access import Scope
from pipeline.domain import SpeakerCount
from pipeline.errors import (
    BusFailed,
    GreffierError,
    InvalidInput,
    ModelUnavailable,
    NotFound,
    StorageFull,
    UnreadableMedia,
)
from pipeline.export.formats import FORMATS

_CODES = (
    (UnreadableMedia, 66),
    (InvalidInput, 64),
    (ModelUnavailable, 69),
    (BusFailed, 69),
    (NotFound, 66),
    (StorageFull, 73),
)
"""Exit codes of sysexits.h: no input, usage, unavailable, cannot create."""
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_SOFTWARE, _CANNOT_CREATE, _INPUT_OUTPUT = 70, 73, 74

_ABOUT = """\
Live captions, transcripts and minutes for meetings.

  greffier serve                                  meetings in the browser, at http://localhost:8642
  greffier gateway, worker, api                   the same as many processes, over Redis and PostgreSQL
  greffier status                                 those processes: what they hold, and who waits
  greffier keys add "our site" --scope meetings   make an API key
  greffier demo                                   caption the sample meeting in this terminal
  greffier caption anne.wav bob.ogg               caption recordings as the live tracks of one meeting
  greffier transcribe meeting.mp4 --format vtt    transcribe a recording to files
  greffier diarize meeting.mp4 --rttm who.rttm    who spoke when in a recording
  greffier score reference.rttm who.rttm          how wrong that is, or a transcript
  greffier doctor                                 what this machine lacks, and how to get it
"""

_EXITS = """\
0 all went well; 1 something lacks, or a recording broke off; 2 or 64 a wrong option or setting; 66 not a recording, or
  no such key; 69 the model or Redis is not there; 73 no room left to write; 130 interrupted: what was made is kept
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
        sys.stdout.flush()
        return code
    except GreffierError as error:
        _drop_output()
        print(f"greffier: {error}", file=sys.stderr)
        return next((code for kind, code in _CODES if isinstance(error, kind)), _SOFTWARE)
    except BrokenPipeError:
        _drop_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        _drop_output()
        print(f"greffier: {error}", file=sys.stderr)
        return _CANNOT_CREATE if error.errno in {errno.ENOSPC, errno.EDQUOT} else _INPUT_OUTPUT
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _drop_output() -> None:
    """What standard output still holds is written if it can be, so that Python does not complain when it exits."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="greffier",
        description=_ABOUT,
        epilog="settings, from the environment:\n"
        + "\n".join(f"  {variable.name:29} {variable.meaning}" for variable in VARIABLES)
        + "\n\nexit codes:\n  "
        + _EXITS,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=28),
    )
    commands = whole.add_subparsers(title="commands", metavar="COMMAND [...]", required=True)
    _add_demo(commands)
    _add_caption(commands)
    _add_transcribe(commands)
    _add_diarize(commands)
    _add_score(commands)
    _add_doctor(commands)
    _add_serve(commands)
    _add_shared(commands)
    _add_status(commands)
    _add_keys(commands)
    return whole


def _new(commands: Commands, name: str, about: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")


def _add_language(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--language", type=_languages, metavar="fr,en", help="fixed (fr), or found among several (fr,en)"
    )


def _add_demo(commands: Commands) -> None:
    command = _new(commands, "demo", "caption the sample meeting in this terminal")
    command.add_argument("--speed", type=_speed, default=1.0, help="times real time (default 1)")
    command.add_argument(
        "--shared-room", action="store_true", help="all four at one microphone: their voices are told apart"
    )
    command.set_defaults(run=_demo)


def _add_caption(commands: Commands) -> None:
    command = _new(commands, "caption", "caption recordings as the live tracks of one meeting")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a recording of one participant")
    _add_language(command)
    command.add_argument("--speed", type=_speed, default=1.0, help="times real time (default 1)")
    command.add_argument(
        "--events", type=Path, metavar="OUT.jsonl", help="write each caption event here (- is standard output)"
    )
    command.add_argument("--transcript", type=Path, metavar="OUT.json", help="write the transcript here")
    command.add_argument(
        "--shared-room", action="store_true", help="several people speak in each file: events and transcript say who"
    )
    command.add_argument("--glossary", type=Path, metavar="WORDS.txt", help="terms that may be said, one a line")
    command.add_argument("--policy", choices=[policy.value for policy in PolicyName], help="when words are committed")
    command.set_defaults(run=_caption)


def _add_transcribe(commands: Commands) -> None:
    command = _new(commands, "transcribe", "transcribe recordings to files")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a recording in any usual format")
    _add_language(command)
    command.add_argument("--format", default="txt", help=f"one or more of {','.join(FORMATS)} (default txt)")
    command.add_argument("--out", type=Path, metavar="FOLDER", help="where files go (default: beside the recording)")
    command.add_argument("--beam", type=int, default=5, choices=range(1, 11), metavar="N", help="beam size (default 5)")
    command.add_argument("--glossary", type=Path, metavar="WORDS.txt", help="terms that may be said, one a line")
    command.add_argument("--diarize", action="store_true", help="name the voices of a recording that mixes several")
    _add_speakers(command)
    command.set_defaults(run=_transcribe)


def _add_diarize(commands: Commands) -> None:
    command = _new(commands, "diarize", "write who spoke when in a recording")
    command.add_argument("file", type=Path, metavar="FILE", help="a recording in any usual format")
    command.add_argument(
        "--rttm", type=Path, required=True, metavar="OUT", help="the file to write, - for the terminal"
    )
    _add_speakers(command)
    command.set_defaults(run=_diarize)


def _add_score(commands: Commands) -> None:
    command = _new(commands, "score", "how wrong a hypothesis is: DER and JER, or cpWER and tcpWER")
    command.add_argument("reference", type=Path, metavar="REFERENCE", help="RTTM, or words: STM, SegLST")
    command.add_argument(
        "hypothesis", type=Path, metavar="HYPOTHESIS", help="of the same kind; words also as transcribe --format json"
    )
    command.add_argument("--uem", type=Path, metavar="FILE", help="which parts are scored (RTTM)")
    command.add_argument(
        "--collar",
        type=_collar,
        metavar="SECONDS",
        help="RTTM: left out at each side of a boundary (default 0); words: how far off they may be (default 5)",
    )
    command.add_argument("--fold", action="store_true", help="compare words without case and punctuation")
    command.add_argument("--json", action="store_true", help="all of it, for programs")
    command.set_defaults(run=_score)


def _add_speakers(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--speakers", type=_speakers, default=SpeakerCount(), metavar="N|MIN-MAX", help="how many voices there are"
    )


def _add_doctor(commands: Commands) -> None:
    command = _new(commands, "doctor", "what this machine lacks, and how to get it")
    command.set_defaults(run=_doctor)


def _add_serve(commands: Commands) -> None:
    command = _new(commands, "serve", "run the server: meetings in the browser, and the API")
    _add_address(command)
    command.add_argument("--open", action="store_true", help="open the page in a browser")
    command.set_defaults(run=_serve)


def _add_address(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", type=_host, help="where to listen (GREFFIER_HOST; default 127.0.0.1)")
    command.add_argument("--port", type=_port, help="the port, 0 for any (GREFFIER_PORT; default 8642)")


def _add_shared(commands: Commands) -> None:
    """The commands of processes that share meetings."""
    taking = _new(commands, "gateway", "take the sound of meetings, and send what is said to workers")
    _add_address(taking)
    taking.set_defaults(run=_gateway)
    working = _new(commands, "worker", "recognise what is said, in live meetings or in recordings")
    working.add_argument(
        "--queues", choices=["live", "batch"], required=True, help="live meetings, or recordings: one process for each"
    )
    _add_address(working)
    working.set_defaults(run=_worker)
    asked = _new(commands, "api", "serve pages, captions to readers, and the API")
    _add_address(asked)
    asked.set_defaults(run=_api)


def _add_status(commands: Commands) -> None:
    command = _new(commands, "status", "the processes that share meetings, what they hold, who waits")
    command.add_argument("--json", action="store_true", help="all of it, for programs")
    command.set_defaults(run=_status)


def _add_keys(commands: Commands) -> None:
    command = _new(commands, "keys", "the API keys of applications")
    verbs = command.add_subparsers(title="what to do", metavar="VERB [...]", required=True)
    add = _new(verbs, "add", "make a key and print it, once")
    add.add_argument("name", help="what it is for")
    scopes = [scope.value for scope in Scope]
    add.add_argument("--scope", nargs="+", choices=scopes, required=True, help="what it may be used for")
    add.set_defaults(run=_keys_add)
    listing = _new(verbs, "list", "list the keys, by the last characters of each")
    listing.set_defaults(run=_keys_list)
    remove = _new(verbs, "remove", "remove a key: it is refused from now on")
    remove.add_argument("id", help="as greffier keys list shows it")
    remove.set_defaults(run=_keys_remove)


def _demo(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.caption import demo

    return demo(arguments, settings)


def _caption(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.caption import caption

    return caption(arguments, settings)


def _transcribe(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.transcribe import transcribe

    return transcribe(arguments, settings)


def _diarize(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.diarize import diarize

    return diarize(arguments, settings)


def _score(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.score import score

    return score(arguments, settings)


def _serve(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.serve import serve

    return serve(arguments, settings)


def _gateway(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.serve import gateway

    return gateway(arguments, settings)


def _worker(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.serve import worker

    return worker(arguments, settings)


def _api(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.serve import api

    return api(arguments, settings)


def _status(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.status import status

    return status(arguments, settings)


def _keys_add(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.key_commands import add

    return add(arguments, settings)


def _keys_list(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.key_commands import show

    return show(arguments, settings)


def _keys_remove(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.key_commands import remove

    return remove(arguments, settings)


def _doctor(arguments: argparse.Namespace, settings: Settings) -> int:
    from api.doctor import all_well, examine, render

    findings = examine(settings)
    print(render(findings, colour=sys.stdout.isatty()))
    return 0 if all_well(findings) else 1


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 0.0 <= speed <= 1000.0:
        raise argparse.ArgumentTypeError(f"a speed lies between 0 (as fast as it goes) and 1000, not {text}")
    return speed


def _collar(text: str) -> float:
    try:
        collar = float(text)
    except ValueError:
        collar = -1.0
    if not 0.0 <= collar <= 60.0:
        raise argparse.ArgumentTypeError(f"a collar is a number of seconds from 0 to 60, not {text}")
    return collar


def _host(text: str) -> str:
    try:
        return parse_host(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be {HOST.allowed}") from None


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} must be {PORT.allowed}")
    return int(text)


def _speakers(text: str) -> SpeakerCount:
    try:
        return parse_speakers(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of voices, such as 3, or 2-4") from None


def _languages(text: str) -> tuple[str, ...]:
    try:
        return parse_languages(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be {SPOKEN.allowed}") from None


if __name__ == "__main__":
    sys.exit(main())
