from itertools import pairwise

from pipeline.domain import SegmentId
from pipeline.export.flow import LONGEST_S, SHORTEST_S, drafts_of
from pipeline.export.pieces import Piece


def spoken(text, start=0.0, pace=0.4):
    return [
        Piece(each, start + k * pace, start + (k + 1) * pace, True, SegmentId("u"), "fr")
        for k, each in enumerate(text.split())
    ]


def never(after, until):
    return False


def texts(pieces, label="", interrupted=never):
    return [" / ".join(draft.lines) for draft in drafts_of(pieces, label, interrupted)]


def test_no_pieces_are_no_cues():
    assert texts([]) == []


def test_a_cue_ends_where_a_sentence_ends():
    text = "Nous commençons par le budget de la ville. Ensuite nous parlerons des travaux prévus au printemps prochain."
    assert texts(spoken(text, pace=0.3)) == [
        "Nous commençons par le budget de la ville.",
        "Ensuite nous parlerons des travaux prévus / au printemps prochain.",
    ]


def test_a_cue_never_runs_on_over_a_silence():
    assert texts(spoken("oui") + spoken("non", start=1.5)) == ["oui", "non"]
    assert texts(spoken("oui") + spoken("non", start=1.3)) == ["oui non"]


def test_a_cue_never_holds_more_than_seven_seconds_of_speech():
    for draft in drafts_of(spoken("a b c d e f g h i j", pace=0.9), "", never):
        assert draft.end - draft.start <= LONGEST_S


def test_one_endless_word_is_a_cue_all_the_same():
    assert texts(spoken("euh", pace=30)) == ["euh"]


def test_a_breath_is_as_good_a_place_as_a_comma():
    first = "mot " * 9 + "fin"
    breathing = spoken(first, pace=0.2) + spoken("reprise " + "mot " * 9 + "bout", start=2.6, pace=0.2)
    assert texts(breathing)[0].replace(" / ", " ") == first


def test_a_cue_leaves_itself_the_shortest_time_if_it_can():
    drafts = drafts_of(spoken("Oui. Non. " + "mot " * 20, pace=0.3), "", never)
    assert len(drafts) > 1
    assert all(after.start - before.start >= SHORTEST_S for before, after in pairwise(drafts))


def test_the_first_cue_of_a_turn_is_named_and_those_after_an_interruption():
    pieces = spoken("un.") + spoken("deux.", start=5) + spoken("trois.", start=10)
    named = [draft.named for draft in drafts_of(pieces, "", lambda after, until: after < 7 <= until)]
    assert named == [True, False, True]


def test_an_interruption_is_seen_between_cues_of_one_flow():
    pieces = spoken("mot " * 40, pace=0.3)
    drafts = drafts_of(pieces, "", lambda after, until: after < 4 <= until)
    assert [draft.named for draft in drafts] == [
        k == 0 or drafts[k - 1].start < 4 <= draft.start for k, draft in enumerate(drafts)
    ]
    assert sum(draft.named for draft in drafts) == 2


def test_a_label_is_laid_out_with_the_words_it_begins():
    drafts = drafts_of(spoken("mot " * 40, pace=0.3), "Anne:", never)
    assert drafts[0].lines[0].startswith("Anne: mot")
    assert all(len(line) <= 42 for draft in drafts for line in draft.lines)
    assert [line for draft in drafts for line in draft.lines if "Anne:" in line] == [drafts[0].lines[0]]
    assert sum(len(draft.pieces) for draft in drafts) == 40


def test_a_long_label_takes_a_line_of_its_own_above_a_long_word():
    assert texts(spoken("x" * 42), "N" * 36 + ":") == ["N" * 36 + ": / " + "x" * 42]
