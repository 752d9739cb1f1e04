"""``python -m tests.benchmarks sweep``: one setting at a time, around the defaults, on a stated subset.

The subset is ``SUBSET``: 4 talkers at once, about a minute each. Differences of a point of WER are noise. Rows that are
kept are not measured again, unless ``--again``; ``--only margin`` measures the variants with that in their name.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.benchmarks import report
from tests.benchmarks.corpus import clips_named
from tests.benchmarks.measures import talker_figures
from tests.benchmarks.mixing import TrackFile, talk
from tests.benchmarks.replay import CommandFailed, replay
from tests.benchmarks.scenarios import SPEECH, Row
from tests.benchmarks.targets import shown

SUBSET = (
    ("fr_readalongs_ej", "fr_ibm_udhr1", "fr_pv_leopard"),
    ("fr_fdm070",),
    ("fr_fdm065",),
    ("en_jfk", "en_libri_1088", "en_pv_quilter", "en_libri_6313", "en_neutts_dave"),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """``changes`` are for tests/benchmarks/variant.py, ``settings`` for the environment, ``options`` of the command."""

    name: str
    changes: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()


def variants() -> list[Variant]:
    changed = {
        "live.margin": (0.1, 0.2, 0.4, 0.6),
        "live.doubt": (0.4, 0.6, 1.2),
        "live.sure": (0.4, 0.8),
        "live.window": (6.0, 8.0, 12.0, 15.0),
        "live.keep": (4.5, 9.0),
        "live.join": (0.8, 2.5),
        "engine.padding": (0.5, 2.0, 4.0),
        "engine.least_padded": (2.0, 6.0, 8.0),
        "engine.tokens_per_second": (5.0, 10.0),
    }
    said = {
        "GREFFIER_STEP": ("0.3", "0.5", "0.8", "1.2"),
        "GREFFIER_BATCH": ("1", "2", "4", "8"),
        "GREFFIER_COMPUTE_TYPE": ("int8", "float32"),
        "GREFFIER_THREADS": ("1", "2"),
    }
    return [
        Variant("defaults"),
        Variant("--policy local-agreement", options=("--policy", "local-agreement")),
        *(Variant(f"{name}={value}", (f"{name}={value}",)) for name, values in changed.items() for value in values),
        *(Variant(f"{name}={value}", (), {name: value}) for name, values in said.items() for value in values),
    ]


def tracks() -> list[TrackFile]:
    return [talk(clips_named(ids), None, f"sweep-{number}") for number, ids in enumerate(SUBSET, start=1)]


def measure(variant: Variant) -> Row:
    run = replay("sweep", tracks(), *SPEECH, *variant.options, settings=variant.settings, changes=variant.changes)
    return Row(f"sweep {variant.name}", run.command, talker_figures([run]))


def main(given: Sequence[str] = ()) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks sweep")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--only", default="", help="variants whose name holds this")
    asked = parser.parse_args(given)
    for variant in variants():
        if asked.only not in variant.name:
            continue
        if not asked.again and f"sweep {variant.name}" in report.load_results():
            continue
        print(variant.name, file=sys.stderr, flush=True)
        try:
            report.keep([measure(variant)])
        except CommandFailed as error:
            print(f"  {error}", file=sys.stderr)
    report.insert("sweep", table())
    return 0


def table() -> str:
    columns = (
        ("French captions WER", "wer_live_fr", "%"),
        ("English captions WER", "wer_live_en", "%"),
        ("French record WER", "wer_record_fr", "%"),
        ("first display, median", "display_p50", "s"),
        ("committed, median", "commit_p50", "s"),
        ("95th", "commit_p95", "s"),
        ("final, 95th", "final_p95", "s"),
        ("erasure", "erasure", ""),
        ("CPU s per s of speech", "cpu_per_speech_s", ""),
    )
    results = report.load_results()
    names = [f"sweep {variant.name}" for variant in variants()]
    rows = [
        (name.removeprefix("sweep "), *(shown(results[name]["figures"].get(key), unit) for _, key, unit in columns))
        for name in names
        if name in results
    ]
    said = f"4 talkers at once: {'; '.join(', '.join(ids) for ids in SUBSET)}.\n\n"
    return said + report.table(("changed", *(says for says, _, _ in columns)), rows)
