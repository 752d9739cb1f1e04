from pipeline.domain import Pause, Turn
from pipeline.export.passages import gap_text, passages, pause_text, turn_text
from tests.pipeline.record.samples import ANNE, gap, segment, transcript


def test_turns_gaps_and_pauses_are_read_in_order_of_their_start():
    spoken = transcript(segment("a", "oui", 0, 1), segment("b", "non", 9, 10), gaps=(gap(5, 6),), pauses=(Pause(7),))
    assert [type(each).__name__ for each in passages(spoken)] == ["Turn", "Gap", "Pause", "Turn"]


def test_a_pause_says_its_extent_and_has_no_end_while_it_lasts():
    assert pause_text(Pause(5, 65)) == "[pause] 00:05–01:05"
    assert pause_text(Pause(5)) == "[pause] 00:05–"


def test_a_turn_of_nothing_but_control_characters_is_not_read():
    assert passages(transcript(segment("a", "\x00", 0, 1))) == ()


def test_the_text_of_a_turn_is_its_segments_on_one_line():
    turn = Turn(
        ANNE, (segment("a", "oui", 0, 1), segment("b", "\x00", 1, 2), segment("c", "", 2, 3, correction="a\nb"))
    )
    assert turn_text(turn) == "oui a b"


def test_a_gap_says_its_extent_and_its_reason_if_it_has_one():
    assert gap_text(gap(5, 65)) == "[inaudible] 00:05–01:05 (overload)"
    assert gap_text(gap(5, 65, reason=" ")) == "[inaudible] 00:05–01:05"
