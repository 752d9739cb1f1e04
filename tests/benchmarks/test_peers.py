"""Answers of another captioner as an event log."""

from tests.benchmarks.integrity import find_violations
from tests.benchmarks.latency import TrueWord, measure_track, with_times
from tests.benchmarks.peers import as_events

TRUTH = [TrueWord("ask", 0.0, 0.5), TrueWord("not", 0.5, 1.0), TrueWord("what", 1.0, 1.5)]


def answer(at, lines, buffer=""):
    return {"at": at, "lines": [{"speaker": 1, "text": text} for text in lines], "buffer_transcription": buffer}


def test_lines_are_committed_and_the_buffer_is_the_tail():
    events = as_events(
        [answer(1.0, [], "ask"), answer(2.0, ["Ask not"], "what"), answer(3.0, ["Ask not", "what."])], TRUTH, "en"
    )
    assert [(event.committed, event.tail, event.final) for event in events] == [
        ("", " ask", False),
        (" Ask not", " what", False),
        (" Ask not what.", "", True),
    ]
    found = measure_track(events, TRUTH)
    assert found.committed == [1.5, 1.0, 1.5]
    assert found.displayed == [0.5, 1.0, 0.5]
    assert find_violations(events).total == 0


def test_answers_that_say_nothing_new_are_no_events():
    assert len(as_events([answer(1.0, ["Ask"]), answer(1.1, ["Ask"]), answer(1.2, ["Ask not"])], TRUTH, "en")) == 2


def test_lines_that_change_are_changes_of_committed_text():
    events = as_events([answer(1.0, ["Ask now"]), answer(2.0, ["Ask not what"])], TRUTH, "en")
    assert find_violations(events).changed == 1


def test_a_misheard_word_takes_the_time_of_the_word_in_its_place():
    assert [word.end for word in with_times([" ask", " nut", " what"], TRUTH)] == [0.5, 1.0, 1.5]
