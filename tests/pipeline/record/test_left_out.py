"""What was left out of a transcript is told of with whoever is thought to have said it."""

from dataclasses import replace

from pipeline.record.crosstalk import fold
from pipeline.record.left_out import left_out
from tests.pipeline.record.samples import ANNE, BILAL, OTHER_ANNE, segment, transcript
from tests.pipeline.record.test_crosstalk import LOUD, OWN, SPEECH, anne, bilal, loud


def told(folded):
    return [(each.segment.id, each.text, each.whole, each.by) for each in left_out(folded)]


def test_nothing_is_told_where_nothing_was_left_out():
    assert left_out(fold(transcript(anne("Bonjour à tous.")))) == []


def test_a_copy_is_told_with_whoever_said_it_and_with_what_stands_of_its_segment():
    heard = bilal(f"{SPEECH}. Oui, merci.", 0, 4.5)
    folded = fold(transcript(anne(SPEECH, 0, 3.0), heard, bilal(SPEECH, 10, 12, "d"), anne(SPEECH, 10, 12, "c")))
    assert told(folded) == [
        ("b", f"{SPEECH}.", f"{SPEECH}. Oui, merci.", ANNE),
        ("d", SPEECH, SPEECH, ANNE),
    ]


def test_the_pieces_of_one_segment_are_told_of_together():
    heard = bilal(f"{SPEECH} voilà alors {SPEECH}", 0, 7.0)
    own = bilal(OWN, 200, 204, "own-b", LOUD)
    folded = fold(transcript(anne(SPEECH, 0, 3.0), anne(SPEECH, 4.0, 7.0, "c"), heard, own))
    assert [each.id for each in folded.folded] == ["b", "b"]
    assert told(folded) == [("b", f"{SPEECH} … {SPEECH}", f"{SPEECH} voilà alors {SPEECH}", ANNE)]


def test_of_those_who_speak_about_then_it_is_whoever_said_the_same():
    talking = loud(segment("c", "oui mais alors ceci et cela puis autre chose encore", 0, 2, OTHER_ANNE), LOUD)
    assert left_out(fold(transcript(anne(SPEECH), bilal(SPEECH), talking)))[0].by == ANNE


def test_it_is_nobody_where_nobody_else_spoke_about_then():
    said = bilal(SPEECH)
    alone = replace(transcript(anne("oui", 100.0, 101.0), bilal("non", 0.0, 1.0, "c")), folded=(said,))
    assert told(alone) == [("b", SPEECH, SPEECH, None)]
    assert said.participant == BILAL
