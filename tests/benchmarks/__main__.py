"""``python -m tests.benchmarks [NAME...]``: measures, keeps the figures, writes docs/benchmarks.md.

Without names every scenario runs, those never measured first, then those measured longest ago, for at most
``--minutes``; what does not fit keeps its older figures until the next run. A name stands for all that begin with
it and a hyphen, too (``failover``). ``list`` names the scenarios, ``render`` only writes the pages again, ``capacity``
only docs/capacity.md, ``sweep`` searches the defaults, ``peers`` compares with others.
"""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Sequence

from tests.benchmarks import capacity, meetings, peers, report, sweep, yardstick
from tests.benchmarks.replay import replay
from tests.benchmarks.scenarios import SCENARIOS, Scenario


def main(given: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if given is None else given)
    if words[:1] == ["sweep"]:
        return sweep.main(words[1:])
    if words[:1] == ["peers"]:
        return peers.main(words[1:])
    asked = _arguments(words)
    if asked.names == ["list"]:
        print("\n".join(f"{scenario.name:22} about {scenario.seconds:.0f} s" for scenario in SCENARIOS))
        return 0
    if asked.names == ["render"]:
        report.write_page(report.load_results())
        capacity.write_page()
        return 0
    if asked.names == ["capacity"]:
        capacity.write_page()
        return 0
    return _measure(_chosen(asked.names), asked.minutes if not asked.names else float("inf"))


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="scenarios, or: list, render, capacity, sweep, peers")
    parser.add_argument("--minutes", type=float, default=29.0, help="the most that all scenarios together may take")
    return parser.parse_args(given)


def _chosen(names: Sequence[str]) -> list[Scenario]:
    known = {scenario.name: scenario for scenario in SCENARIOS}
    families = {name: [one for one in known if one == name or one.startswith(f"{name}-")] for name in names}
    strange = [name for name, family in families.items() if not family]
    if strange:
        raise SystemExit(f"no scenario is named {', '.join(strange)}; known: {', '.join(known)}")
    if names:
        return [known[one] for family in families.values() for one in family]
    measured = report.measured_at()
    return sorted((one for one in SCENARIOS if not one.extra), key=lambda one: measured.get(one.name, ""))


def _measure(scenarios: Sequence[Scenario], minutes: float) -> int:
    begun = time.monotonic()
    _prepare()
    failed = 0
    for scenario in scenarios:
        left = minutes * 60 - (time.monotonic() - begun)
        if scenario.seconds > left:
            _say(f"{scenario.name}: left out, {left:.0f} s remain; python -m tests.benchmarks {scenario.name}")
            continue
        _say(f"{scenario.name}: about {scenario.seconds:.0f} s")
        try:
            report.keep(scenario.run(), scenario.name)
        except Exception:  # noqa: BLE001 - one scenario that fails stops no other; it is told, and the exit code says so
            traceback.print_exc()
            failed += 1
    report.write_page(report.load_results())
    capacity.write_page()
    _say(f"{(time.monotonic() - begun) / 60:.1f} minutes; {report.PAGE}")
    return 1 if failed else 0


def _prepare() -> None:
    """What is made once: the yardstick's readings, and the calibration of this machine by a first short caption."""
    _say("yardstick: some minutes the first time")
    yardstick.fill(yardstick.measured_clips(), processes=os.cpu_count() or 1)
    replay("first", [meetings.clip_file("fr_linto_bonjour")])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
