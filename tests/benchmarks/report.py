"""Writes what was measured between the markers of docs/benchmarks.md, and its plot; the prose outside them stays."""

import json
import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.benchmarks.gpu import BATCHES
from tests.benchmarks.scenarios import Row
from tests.benchmarks.targets import FAULTS, LATENCY, TARGETS, Results, shown

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, PLOT, KEPT = DOCS / "benchmarks.md", DOCS / "benchmarks.png", DOCS / "benchmarks.json"
PACKAGES = ("ctranslate2", "faster-whisper", "onnxruntime", "jiwer", "whisper-normalizer", "num2words")
TALKER_ROWS = ("talkers-1", "local-agreement-1", "talkers-4", "talkers-8", "overload-16")


def load_results() -> dict[str, dict]:
    """Every row that was measured, on whichever machine, by its name."""
    results: dict[str, dict] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    return results


def keep(rows: Iterable[Row], scenario: str = "") -> dict[str, dict]:
    """Adds rows to what earlier runs measured; a row that is measured again replaces itself."""
    results, at = load_results(), time.strftime("%Y-%m-%d %H:%M")
    for row in rows:
        kept = {"command": row.command, "figures": row.figures, "at": at, "scenario": scenario}
        results[row.name] = kept | {"machine": row.machine or machine()}
    part = KEPT.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    part.replace(KEPT)
    return results


def measured_at() -> dict[str, str]:
    """When each scenario was last measured."""
    return {row["scenario"]: row["at"] for row in load_results().values() if row.get("scenario")}


def machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(encoding="utf-8").splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB; Python {platform.python_version()}, {packages}."


def machines(results: Results) -> str:
    """Each machine with the days on which rows were measured there; figures of one machine may be compared."""
    days: dict[str, set[str]] = {}
    for row in results.values():
        days.setdefault(row.get("machine", ""), set()).add(row["at"].split()[0])
    return "\n".join(f"- {', '.join(sorted(on))}: {name}" for name, on in days.items())


def write_page(results: Results) -> None:
    """Renders every generated part of the page."""
    derive(results)
    parts = {
        "machine": machines(results),
        "targets": targets_table(results),
        "talkers": talkers_table(results),
        "words": words_table(results),
        "gpu": gpu_tables(results),
        "rows": rows_table(results),
    }
    for name, text in parts.items():
        insert(name, text)
    draw(results)


def derive(results: Results) -> None:
    """Figures that compare two rows."""
    _compare(results, "glossary", "glossary-without", "recall", "recall_gained")
    for language in ("fr", "en"):
        _compare(results, "glossary", "glossary-without", f"wer_live_{language}", f"wer_lost_{language}")
    for fault, _ in FAULTS:
        _compare(results, f"failover-{fault}", "failover-nothing", "wer", "wer_lost")
    for name, base in (("batched", "offline-batched-word-times"), ("batched_without_word_times", "offline-batched")):
        if "offline-greffier" in results and base in results:
            mine, theirs = (results[row]["figures"] for row in ("offline-greffier", base))
            mine[f"time_over_{name}"] = mine["wall_s"] / theirs["wall_s"]
            mine[f"wer_over_{name}"] = mine["wer_fr"] / theirs["wer_fr"]


def _compare(results: Results, row: str, base: str, figure: str, name: str) -> None:
    if row in results and base in results and figure in results[row]["figures"]:
        results[row]["figures"][name] = results[row]["figures"][figure] - results[base]["figures"][figure]


def insert(name: str, text: str) -> None:
    """Puts text between ``<!-- name -->`` and ``<!-- /name -->``; a page or markers that lack are made."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else "# Benchmarks\n"
    if begin not in page:
        page = f"{page.rstrip()}\n\n{begin}\n{end}\n"
    before, _, rest = page.partition(begin)
    after = rest.partition(end)[2]
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(f"{before}{begin}\n{text.rstrip()}\n{end}{after}", encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def targets_table(results: Results) -> str:
    said = {True: "met", False: "**not met**", None: "not measured"}
    met = [target.met(results) for target in TARGETS]
    count = f"{met.count(True)} met, {met.count(False)} not met, {met.count(None)} not measured.\n\n"
    rows = [
        (target.says, target.wanted, shown(target.value(results), target.unit), said[state])
        for target, state in zip(TARGETS, met, strict=True)
    ]
    return count + table(("target", "wanted", "measured", ""), rows)


def talkers_table(results: Results) -> str:
    columns = (
        ("first display, median", "display_p50", "s"),
        ("95th", "display_p95", "s"),
        ("committed, median", "commit_p50", "s"),
        ("95th", "commit_p95", "s"),
        ("final after speech, median", "final_p50", "s"),
        ("95th", "final_p95", "s"),
        ("update interval, median", "update_interval_p50", "s"),
        ("erasure", "erasure", ""),
        ("CPU s per s of speech", "cpu_per_speech_s", ""),
        ("cores", "cores_used", ""),
        ("memory", "peak_memory_mb", "MB"),
    )
    return _figures_table(results, TALKER_ROWS, columns)


def words_table(results: Results) -> str:
    columns = tuple(
        (f"{language} {says}", f"{figure}_{language}", unit)
        for language in ("fr", "en")
        for says, figure, unit in (
            ("words", "wer_words", ""),
            ("captions", "wer_live", "%"),
            ("record", "wer_record", "%"),
            ("yardstick", "wer_yardstick", "%"),
        )
    )
    return _figures_table(results, (*TALKER_ROWS, "quiet", "meetings", "glossary-without", "glossary"), columns)


def gpu_tables(results: Results) -> str:
    """Windows a second by batch size, then the talkers, for each model."""
    models = [name for name in ("gpu-base", "gpu-turbo-shape") if name in results]
    if not models:
        return "not measured"
    sizes = [
        (f"{size}", *(shown(results[name]["figures"].get(f"{what}_batch_{size}")) for name, what in _per_batch(models)))
        for size in BATCHES
    ]
    head = ("batch", *(f"{name} {'windows/s' if what == 'rate' else 'ms'}" for name, what in _per_batch(models)))
    columns = (
        ("talkers", "talkers", ""),
        ("processes", "processes", ""),
        ("first display, median", "display_p50", "s"),
        ("95th", "display_p95", "s"),
        ("committed, median", "commit_p50", "s"),
        ("95th", "commit_p95", "s"),
        ("final after speech, 95th", "final_p95", "s"),
        ("update interval, median", "update_interval_p50", "s"),
        ("held", "held", ""),
        ("callers", "callers", ""),
        ("cores", "cores", ""),
        ("GPU memory", "gpu_memory_mb", "MB"),
    )
    runs = [name for model in models for name in results if name.startswith(f"{model}-")]
    return f"{table(head, sizes)}\n\n{_figures_table(results, runs, columns)}"


def _per_batch(models: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, what) for name in models for what in ("rate", "ms")]


def _figures_table(results: Results, names: Sequence[str], columns: Sequence[tuple[str, str, str]]) -> str:
    rows = [
        (name, *(shown(results[name]["figures"].get(figure), unit) for _, figure, unit in columns))
        for name in names
        if name in results
    ]
    return table(("run", *(says for says, _, _ in columns)), rows)


def rows_table(results: Results) -> str:
    """Every figure of every row, and the command that made it."""
    rows = [
        (name, row["at"], "; ".join(f"{key} {shown(value)}" for key, value in row["figures"].items()), row["command"])
        for name, row in results.items()
        if not name.startswith("sweep ")
    ]
    return table(("row", "measured", "figures", "command"), [(*row[:3], f"`{row[3]}`") for row in rows])


def draw(results: Mapping[str, Mapping]) -> None:
    """Latencies over talkers, with the targets as lighter lines."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    series = (
        ("first display, median", "display_p50", 0),
        ("committed, median", "commit_p50", 1),
        ("committed, 95th percentile", "commit_p95", 2),
        ("final after speech, 95th percentile", "final_p95", 3),
    )
    figure, axes = plt.subplots(figsize=(7, 4), dpi=90)
    for (says, name, place), colour in zip(series, ("#000091", "#18753c", "#b34000", "#6a6a6a"), strict=True):
        measured = [
            (talkers, results[f"talkers-{talkers}"]["figures"][name])
            for talkers in LATENCY
            if f"talkers-{talkers}" in results
        ]
        if measured:
            axes.plot(*zip(*measured, strict=True), marker="o", color=colour, label=says)
        wanted = [limits[place] for limits in LATENCY.values()]
        axes.plot(list(LATENCY), wanted, linestyle=":", color=colour, alpha=0.6)
    axes.set_xticks(list(LATENCY))
    axes.set_xlabel("people talking at once, without pause (dotted: target)")
    axes.set_ylabel("seconds")
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(PLOT)
    plt.close(figure)
