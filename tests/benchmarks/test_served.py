"""What was lost by a kill, and what stood on a page, are read right."""

import pytest

from tests.benchmarks.latency import TrueWord
from tests.benchmarks.served import _losses, _page_latencies, _Reader


def state(utterance, text, final=False):
    words = [{"text": f" {word}"} for word in text.split()]
    return {
        "utterance": utterance,
        "final": final,
        "committed": "".join(word["text"] for word in words),
        "words": words,
    }


def test_finals_and_words_that_were_shown_and_are_not_kept_are_counted():
    reader = _Reader(
        [
            (1.0, state("a", "one two", final=True)),
            (2.0, state("b", "three")),
            (3.0, state("b", "three four")),
            (8.0, state("c", "five six")),
            (9.5, state("c", "five six seven")),
            (9.9, state("d", "eight", final=True)),
        ]
    )
    kept = {"a": state("a", "one two", final=True), "b": state("b", "three fore"), "c": state("c", "five six")}
    assert _losses(reader, 10.0, kept) == {
        "finals": 2,
        "finals_lost": 1,  # d
        "words": 6,
        "words_lost": 1,  # four; seven and eight were younger than a second
        "open_at_kill": 2,
        "open_kept": 2,
    }
    assert _losses(reader, 10.0, {}) == {
        "finals": 2,
        "finals_lost": 2,
        "words": 6,
        "words_lost": 6,
        "open_at_kill": 2,
        "open_kept": 0,
    }


def test_what_a_page_showed_is_timed_from_the_microphone(monkeypatch):
    truth = [TrueWord("hello", 1.0, 1.4), TrueWord("world", 1.5, 2.0)]
    monkeypatch.setattr("tests.benchmarks.served.truth_of", lambda track: truth)
    noted = {
        "marker": 5_000.0,  # a second after the microphone was opened; the track begins 1.5 s later
        "shown": [
            {"at": 8_500.0, "utterance": "a", "final": False, "committed": "", "tail": "Hello"},
            {"at": 9_000.0, "utterance": "a", "final": False, "committed": "Hello", "tail": " world"},
            {"at": 9_500.0, "utterance": "a", "final": True, "committed": "Hello world.", "tail": ""},
        ],
    }
    found = _page_latencies(noted, track=None)
    assert found.displayed == pytest.approx([2.0 - 1.4, 2.5 - 2.0])
    assert found.committed == pytest.approx([2.5 - 1.4, 3.0 - 2.0])
    assert found.finals == pytest.approx([1.0])
