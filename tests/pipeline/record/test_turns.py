from pipeline.domain import Pause
from pipeline.record.turns import LONG_SILENCE_S, turns
from tests.pipeline.record.samples import ANNE, BILAL, gap, segment, transcript


def ids(*segments, gaps=()):
    return [[each.id for each in turn.segments] for turn in turns(transcript(*segments, gaps=gaps))]


def test_an_empty_transcript_has_no_turns():
    assert ids() == []


def test_consecutive_segments_of_one_participant_are_one_turn():
    spoken = [segment("a", "oui", 0, 1), segment("b", "non", 2, 3), segment("c", "si", 3, 4, BILAL)]
    assert ids(*spoken) == [["a", "b"], ["c"]]
    assert [turn.participant for turn in turns(transcript(*spoken))] == [ANNE, BILAL]


def test_a_long_silence_splits_a_turn_and_a_shorter_one_does_not():
    first, near = segment("a", "oui", 0, 1), segment("b", "non", 1 + LONG_SILENCE_S, 7)
    far = segment("c", "si", 7.1 + LONG_SILENCE_S, 14)
    assert ids(first, near, far) == [["a", "b"], ["c"]]


def test_silence_counts_from_the_last_end_of_overlapping_segments():
    assert ids(segment("a", "oui", 0, 20), segment("b", "non", 1, 2), segment("c", "si", 21, 22)) == [["a", "b", "c"]]


def test_a_gap_of_the_same_participant_splits_a_turn():
    spoken = [segment("a", "oui", 0, 1), segment("b", "non", 3, 4)]
    assert ids(*spoken, gaps=(gap(1.5, 2.5),)) == [["a"], ["b"]]
    assert ids(*spoken, gaps=(gap(1.5, 2.5, BILAL),)) == [["a", "b"]]
    assert ids(*spoken, gaps=(gap(3.5, 5),)) == [["a", "b"]]


def test_a_pause_splits_everybodys_turns():
    spoken = [segment("a", "oui", 0, 1), segment("b", "non", 3, 4)]
    for pause, expected in ((Pause(1.5, 2.5), [["a"], ["b"]]), (Pause(4), [["a", "b"]])):
        found = turns(transcript(*spoken, pauses=(pause,)))
        assert [[each.id for each in turn.segments] for turn in found] == expected


def test_a_segment_without_text_neither_shows_nor_splits():
    spoken = [segment("a", "oui", 0, 1), segment("b", "euh", 1, 2, BILAL, correction=""), segment("c", "si", 2, 3)]
    assert ids(*spoken) == [["a", "c"]]
