"""``python -m tests.faults.altered [OPTIONS] COMMAND...``: greffier as it is nowhere but in tests.

Each option changes one thing before the command runs; the rest is greffier's own.
"""

import argparse
import sys
import time


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.altered", description=__doc__.split("\n")[0])
    parser.add_argument("--ahead", type=float, help="the clock of this machine is ahead by so many seconds")
    parser.add_argument("--keeps", type=float, help="a gateway keeps so many seconds of sound of a track, not 60")
    parser.add_argument("--scripted", help="seconds of a batch, and of each window: a recogniser that costs so much")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    if asked.ahead:
        set_ahead(asked.ahead)
    # Only now, so that whoever takes the clock by its name takes this one.
    if asked.keeps:
        keep(asked.keeps)
    if asked.scripted:
        script(*map(float, asked.scripted.split(",")))
    from api.cli import main as greffier

    return greffier(asked.command)


def set_ahead(seconds: float) -> None:
    """Clocks that only count (``time.monotonic``, the event loop's) stay, as on a machine that is set wrongly."""
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + seconds
    time.time_ns = lambda: right_ns() + round(seconds * 1e9)


def keep(seconds: float) -> None:
    from pipeline.bus.redis import audio_out

    audio_out._MOST_SECONDS = seconds


def script(batch: float, window: float) -> None:
    import api.wiring
    from api.settings import Settings
    from models.downloads import Progress
    from models.scripted import Cost
    from tests.faults.babble import babbling

    def recognition(settings: Settings, progress: Progress) -> api.wiring.Recognition:
        del progress
        return babbling(Cost(batch, window), settings.talkers or 1000)

    api.wiring.recognition = recognition


if __name__ == "__main__":
    sys.exit(main())
