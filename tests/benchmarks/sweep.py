"""``python -m tests.benchmarks sweep``: one setting at a time, around the defaults, in virtual time.

The stated subset is ``SUBSET``: 4 talkers at once who stand for 8 (tests/benchmarks/virtual.py). Differences of a point
of WER are noise. Rows that are kept are not measured again, unless ``--again``; ``--only margin`` measures the variants
with that in their name. Runs of two variants share the machine, since neither looks at a clock.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from models.faster_whisper import EngineSettings
from pipeline.live.meeting import MeetingCaptioner
from pipeline.live.policies import LocalAgreement
from pipeline.live.settings import LiveSettings
from tests.benchmarks import report, virtual, yardstick
from tests.benchmarks.corpus import clips_named, speech_seconds
from tests.benchmarks.integrity import measure_erasure, update_intervals
from tests.benchmarks.latency import percentile
from tests.benchmarks.measures import latency_figures, word_error_figures
from tests.benchmarks.mixing import TrackFile, talk
from tests.benchmarks.scenarios import Row
from tests.benchmarks.targets import shown
from tests.benchmarks.truth import speech_in

SUBSET = (
    ("fr_readalongs_ej", "fr_ibm_udhr1", "fr_pv_leopard", "fr_fdm083"),
    ("fr_fdm070", "fr_fdm003"),
    ("fr_fdm065", "fr_fdm056"),
    ("en_jfk", "en_libri_1088", "en_pv_quilter", "en_libri_6313", "en_neutts_dave", "en_sonnet1"),
)
SLOWER = 2.0


@dataclass(frozen=True, slots=True)
class Variant:
    """``live`` and ``engine`` change fields of ``LiveSettings`` and ``EngineSettings``."""

    name: str
    live: Mapping[str, float] = field(default_factory=dict)
    engine: Mapping[str, float] = field(default_factory=dict)
    agreement: bool = False


def variants() -> list[Variant]:
    """The most telling first: a search that is stopped keeps what it has."""
    live = (
        ("margin", (0.3, 0.7)),
        ("stretch", (0.4, 4.0)),
        ("window", (10.0, 20.0)),
        ("doubt", (0.7, 1.4)),
        ("step", (0.8,)),
        ("join", (0.8, 2.5)),
    )
    engine = (
        ("final_beam", (1,)),
        ("most_forced", (24, 64)),
        ("padding", (0.5, 2.0)),
    )
    return [
        Variant("defaults"),
        Variant("--policy local-agreement", agreement=True),
        *(Variant(f"live_beam={value}", engine={"live_beam": value}) for value in (1, 2)),
        *(Variant(f"{name}={value}", live={name: value}) for name, values in live for value in values),
        *(Variant(f"{name}={value}", engine={name: value}) for name, values in engine for value in values),
    ]


def tracks() -> list[TrackFile]:
    return [talk(clips_named(ids), None, f"sweep-{number}") for number, ids in enumerate(SUBSET, start=1)]


def measure(variant: Variant) -> Row:
    settings = EngineSettings(device="cpu", compute_type="int8", callers=1, **variant.engine)
    engine = virtual.CostedEngine(yardstick.model_folder(), settings)
    core = MeetingCaptioner(LiveSettings(**variant.live), new_policy=LocalAgreement if variant.agreement else None)
    run = virtual.play(tracks(), core, engine, SLOWER)
    speech = sum(speech_seconds(speech_in(track)) for track in run.tracks.values())
    figures = latency_figures([run]) | word_error_figures([run])
    figures["erasure"] = measure_erasure(run.events).rate
    figures["update_interval_p50"] = percentile(update_intervals(run.events), 50)
    figures["cost_per_speech_s"] = run.busy / speech
    return Row(f"sweep {variant.name}", f"python -m tests.benchmarks sweep --again --only {variant.name}", figures)


def main(given: Sequence[str] = ()) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks sweep")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--only", default="", help="variants whose name holds this")
    asked = parser.parse_args(given)
    kept = report.load_results()
    wanted = [
        variant
        for variant in variants()
        if asked.only in variant.name and (asked.again or f"sweep {variant.name}" not in kept)
    ]
    tracks()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for row in pool.map(measure, wanted):
            print(row.name, file=sys.stderr, flush=True)
            report.keep([row])
    report.insert("sweep", table())
    return 0


def table() -> str:
    columns = (
        ("French captions WER", "wer_live_fr", "%"),
        ("English captions WER", "wer_live_en", "%"),
        ("first display, median", "display_p50", "s"),
        ("committed, median", "commit_p50", "s"),
        ("95th", "commit_p95", "s"),
        ("final, 95th", "final_p95", "s"),
        ("update interval, median", "update_interval_p50", "s"),
        ("erasure", "erasure", ""),
        ("recognition, s per s of speech", "cost_per_speech_s", ""),
    )
    results = report.load_results()
    names = [f"sweep {variant.name}" for variant in variants()]
    rows = [
        (name.removeprefix("sweep "), *(shown(results[name]["figures"].get(key), unit) for _, key, unit in columns))
        for name in names
        if name in results
    ]
    said = f"Virtual time, 4 talkers who stand for 8: {'; '.join(', '.join(ids) for ids in SUBSET)}.\n\n"
    return said + report.table(("changed", *(says for says, _, _ in columns)), rows)
