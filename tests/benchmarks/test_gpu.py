"""What is measured where a GPU is, as far as it can be seen without one."""

import json

import pytest

from tests.benchmarks import gpu, report, scenarios
from tests.benchmarks.events import Event, TimedWord
from tests.benchmarks.turbo_shape import with_cantonese


def event(sent_at: float, *ends: float) -> Event:
    words = tuple(TimedWord(" word", end - 0.2, end) for end in ends)
    return Event(sent_at, "t", "u", 1, False, "fr", " word" * len(ends), "", words)


def test_a_word_is_late_by_what_passes_from_its_end_to_its_first_committing() -> None:
    events = [event(2.0, 1.0), event(3.0, 1.0, 2.5), event(4.0, 1.0, 2.5)]
    assert gpu.commit_delays(events) == [1.0, 0.5]


def test_talkers_may_be_shared_among_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_GPU_TALKERS", "16,256x4")
    assert gpu.asked_talkers() == [(16, 1), (256, 4)]
    assert [gpu.run_name(*asked) for asked in gpu.asked_talkers()] == ["16", "256x4"]


def test_a_machine_without_a_gpu_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "devices", lambda: 0)
    assert scenarios.run_gpu() == []
    assert "no CUDA device" in capsys.readouterr().err


def test_the_tokenizer_of_large_v3_has_one_language_more() -> None:
    names = {10: "<|endoftext|>", 11: "<|su|>", 12: "<|translate|>", 13: "<|notimestamps|>"}
    special = {name: {"id": name, "ids": [number], "tokens": [name]} for number, name in names.items()}
    before = {
        "added_tokens": [{"id": number, "content": name, "special": True} for number, name in names.items()],
        "post_processor": {"special_tokens": special},
    }
    after = with_cantonese(json.loads(json.dumps(before)))
    assert {each["content"]: each["id"] for each in after["added_tokens"]} == {
        "<|endoftext|>": 10,
        "<|su|>": 11,
        "<|yue|>": 12,
        "<|translate|>": 13,
        "<|notimestamps|>": 14,
    }
    assert after["post_processor"]["special_tokens"]["<|notimestamps|>"]["ids"] == [14]


def test_a_page_without_figures_of_a_gpu_says_so() -> None:
    assert report.gpu_tables({}) == "not measured"
    row = {"figures": {"rate_batch_1": 10.0, "ms_batch_1": 100.0}, "at": "2026-11-26 07:00", "command": "x"}
    talking = {"figures": {"talkers": 16, "display_p50": 0.5}, "at": "2026-11-26 07:00", "command": "x"}
    said = report.gpu_tables({"gpu-base": row, "gpu-base-16": talking})
    assert "| 1 | 10 | 100 |" in said
    assert "| gpu-base-16 | 16 | not measured | 0.50 s |" in said
