"""The page that is written, and its targets."""

import math

import pytest

from tests.benchmarks import report
from tests.benchmarks.replay import Sample, Usage
from tests.benchmarks.targets import TARGETS, Target, shown


def row(**figures):
    return {"figures": figures, "command": "greffier caption a | b", "at": "2026-01-01 10:00"}


def test_a_target_is_met_missed_or_not_measured():
    target = Target("memory", "talkers-8", "peak_memory_mb", most=1500, unit="MB")
    assert target.met({"talkers-8": row(peak_memory_mb=1500.0)}) is True
    assert target.met({"talkers-8": row(peak_memory_mb=1501.0)}) is False
    assert target.met({"talkers-8": row(peak_memory_mb=math.nan)}) is None
    assert target.met({}) is None


def test_every_target_says_something_of_its_own():
    assert len({(target.row, target.figure) for target in TARGETS}) == len(TARGETS)


def test_figures_are_shown_with_what_they_are_of():
    assert (shown(0.254, "%"), shown(3.0), shown(1.234, "s"), shown(None)) == ("25.4 %", "3", "1.23 s", "not measured")


def test_only_what_stands_between_markers_is_written(monkeypatch, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- rows -->\nold\n<!-- /rows -->\nafter\n")
    monkeypatch.setattr(report, "PAGE", page)
    report.insert("rows", report.rows_table({"talkers-1": row(wer=0.5), "sweep x": row()}))
    text = page.read_text()
    assert text.startswith("before\n<!-- rows -->\n| row |")
    assert text.endswith("|\n<!-- /rows -->\nafter\n")
    assert "old" not in text
    assert "sweep" not in text
    assert "a \\| b" in text


def test_growth_of_memory_is_a_slope_between_two_times():
    samples = tuple(Sample(float(at), 0.5 * at, 1_000_000 + max(0, at - 60) * 1_000) for at in range(121))
    usage = Usage(120.0, 60.0, 2_000_000, samples, 0, "")
    assert usage.memory_growth(61.0, 120.0) == pytest.approx(60_000)
    assert usage.memory_growth(0.0, 59.0) == pytest.approx(0.0)
    assert usage.cpu_between(10.0, 20.0) == pytest.approx(0.5)
