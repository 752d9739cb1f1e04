import re
from collections import Counter, defaultdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain import Caption, TrackId, UtteranceId, Word
from pipeline.export.characters import allowed
from pipeline.export.cue import Cue
from pipeline.export.event import Reading, caption_event
from pipeline.export.live_cues import HEADER, GrowingDocument, LiveCue, LiveCues, labels_first, moved_to
from tests.pipeline.export.test_webvtt import assert_valid
from tests.pipeline.record.samples import TEXT, words

SENTENCES = (
    "Nous commençons par le budget de la ville. Ensuite nous parlerons des travaux prévus au printemps prochain."
)


def caption(spoken, count=None, final=False, utterance="u1", track="t"):
    committed = tuple(spoken[:count])
    revision = 1000 if final else len(committed)
    return Caption(
        TrackId(track), UtteranceId(utterance), revision, final, "fr", committed, tuple(spoken[count or 0 :])
    )


def fed(spoken, portions):
    """The cues of words committed in portions, and then by the final."""
    live = LiveCues()
    return [cue for count in portions for cue in live.caption(caption(spoken, count), "Anne")] + [
        *live.caption(caption(spoken, len(spoken), final=True), "Anne")
    ]


def squeezed(text):
    return "".join(allowed(text).split())


def told(cues):
    return [" / ".join(live.cue.lines) for live in cues]


def test_a_phrase_is_a_cue_once_its_sentence_is_over_and_the_final_brings_the_rest():
    spoken, live = words(SENTENCES, 1, 7), LiveCues()
    assert live.caption(caption(spoken, 8), "Anne") == ()
    (first,) = live.caption(caption(spoken, 9), "Anne")
    assert (first.cue.id, first.voice, first.cue.lines) == (
        "u1.1",
        "Anne",
        ("Nous commençons par le budget de la ville.",),
    )
    assert (first.cue.start, first.settled) == (1.0, 4.176)
    assert live.caption(caption(spoken, 9), "Anne") == ()
    assert told(live.caption(caption(spoken, final=True, count=len(spoken)), "Anne")) == [
        "Ensuite nous parlerons des travaux prévus / au printemps prochain."
    ]


def test_a_caption_after_the_final_adds_nothing():
    spoken, live = words("Oui.", 1, 2), LiveCues()
    assert len(live.caption(caption(spoken, 1, final=True), "Anne")) == 1
    assert live.caption(caption(spoken, 1, final=True), "Anne") == ()
    assert live.caption(caption(spoken, 1), "Anne") == ()


def test_a_caption_that_comes_late_takes_nothing_back():
    spoken, live = words(SENTENCES, 1, 7), LiveCues()
    live.caption(caption(spoken, 9), "Anne")
    assert live.caption(caption(spoken, 3), "Anne") == ()
    assert told(live.caption(caption(spoken, len(spoken), final=True), "Anne"))[0].startswith("Ensuite")


def test_the_tail_is_never_in_a_cue():
    assert LiveCues().caption(caption(words(SENTENCES, 1, 7), 0), "Anne") == ()


def test_a_phrase_may_end_at_a_comma_after_half_a_line_but_not_before():
    spoken = words("Bon, nous commençons par le budget, je crois que", 0, 4)
    assert told(fed(spoken, [7, len(spoken)]))[0] == "Bon, nous commençons par le budget,"


def test_a_short_answer_waits_for_what_follows_it():
    spoken = words("Oui. Oui. Nous y allons", 0, 1.5)
    assert told(fed(spoken, range(6))) == ["Oui. Oui. Nous y allons"]


def test_a_silence_ends_a_phrase():
    spoken = (*words("nous disons", 0, 1), *words("enfin", 3, 3.4))
    live = LiveCues()
    assert told(live.caption(caption(spoken, 3), "Anne")) == ["nous disons"]


def test_words_without_text_settle_nothing():
    assert told(fed((Word(" \x00", 0, 1), Word(" \x00", 9, 10), Word(" Oui.", 20, 21)), [2, 3])) == ["Oui."]
    assert fed((Word("", 0, 1),), [1]) == []


def test_a_long_sentence_without_marks_is_cut_by_the_rules_of_cues():
    spoken = words("le budget de la ville et les travaux du printemps " * 4, 0, 12)
    found = fed(spoken, range(len(spoken)))
    assert len(found) > 2
    assert [before.cue.end <= after.cue.start for before, after in pairwise(found)] == [True] * (len(found) - 1)


def test_ideographs_are_cut_inside_what_was_committed_as_one_word():
    spoken = (Word(" " + "今天天气很好" * 20, 0, 20), Word("。", 20, 20.2), Word(" 好", 20.5, 21))
    found = fed(spoken, [1, 2, 3])
    assert squeezed("".join(told(found)).replace("/", "")) == squeezed("".join(word.text for word in spoken))
    assert [live.cue.start for live in found] == sorted(live.cue.start for live in found)


def test_speakers_without_a_name_are_a_question_mark_and_ids_are_one_line():
    (found,) = LiveCues().caption(caption(words("Oui.", 0, 1), 1, final=True, utterance="a\n-->b"), " \n")
    assert (found.voice, found.cue.id) == ("?", "a --b.1")
    (found,) = LiveCues().caption(caption(words("Oui.", 0, 1), 1, final=True, utterance=">"), "Anne")
    assert found.cue.id == "cue.1"


def test_a_cue_is_a_block_with_its_markup_escaped():
    live = LiveCue(Cue("u.1", 1, 2.5, ("a<b> & c", "--> d")), "Anne & <Bob>", 2)
    assert live.text == (
        "u.1\n00:00:01.000 --> 00:00:02.500\n<v Anne &amp; &lt;Bob&gt;>a&lt;b&gt; &amp; c\n--&gt; d\n\n"
    )


def test_a_moved_cue_stands_as_long_as_before():
    live = LiveCue(Cue("u.1", 1, 2.5, ("a",)), "Anne", 2)
    assert moved_to(live, 1) is live
    assert moved_to(live, 4).cue == Cue("u.1", 4, 5.5, ("a",))


def test_events_of_the_feed_are_read_and_what_is_no_caption_adds_nothing():
    live, spoken = LiveCues(), words("Oui. Non.", 1, 3)
    event = {**caption_event(caption(spoken, 2, final=True), 3), "type": "caption", "speaker": "Anne"}
    assert told(live.event(event)) == ["Oui.", "Non."]
    assert live.event({"type": "notice", "code": "paused"}) == ()


def test_a_growing_document_keeps_its_cues_in_order_of_their_start():
    document = GrowingDocument()
    later = caption(words("Oui.", 5, 6), 1, final=True, track="a", utterance="a1")
    sooner = caption(words("Non.", 2, 3), 1, final=True, track="b", utterance="b1")
    events = [{**caption_event(each, 7), "type": "caption", "speaker": "Anne"} for each in (later, sooner)]
    written = HEADER + "".join(map(document.event, events))
    assert written == (
        "WEBVTT\n\na1.1\n00:00:05.000 --> 00:00:06.000\n<v Anne>Oui.\n\n"
        "b1.1\n00:00:05.000 --> 00:00:06.000\n<v Anne>Non.\n\n"
    )
    assert_valid(written.rstrip("\n") + "\n")


@st.composite
def spoken_words(draw):
    """Words as a recogniser commits them: any text, any pace, pauses, words without a leading space."""
    found, at = [], draw(st.floats(0, 5))
    for text in draw(TEXT).split(" "):
        at += draw(st.sampled_from([0.0, 0.05, 0.05, 0.4, 1.5]))
        length = draw(st.sampled_from([0.0, 0.1, 0.3, 0.8, 9.0]))
        found.append(Word(draw(st.sampled_from([" ", " ", " ", ""])) + text, at, at + length))
        at += length
    return tuple(found)


@settings(max_examples=150, deadline=None)
@given(spoken_words(), st.data())
def test_all_that_was_committed_is_told_once_by_the_same_cues_whatever_the_portions(spoken, data):
    portions = sorted(data.draw(st.lists(st.integers(0, len(spoken)), max_size=8)))
    found = fed(spoken, portions)
    assert squeezed("".join(line for live in found for line in live.cue.lines)) == squeezed(
        "".join(word.text for word in spoken)
    )
    assert found == fed(spoken, [])
    assert found == fed(spoken, range(len(spoken)))


# --- shared microphones ---------------------------------------------------------------------------------------


def run(first, count, voice):
    return {"first": first, "count": count, "voice": voice, "speaker": f"Salle (voix {voice})"}


def voices(*runs):
    return {"type": "voices", "utterance": "u1", "participant": "room", "speaker": "Salle", "runs": list(runs)}


def shared(live, spoken, count=None, final=False):
    event = {**caption_event(caption(spoken, count, final), 0), "type": "caption", "speaker": "Salle"}
    return [each.voice for each in live.event(event)]


def test_a_cue_names_the_voice_that_said_it_where_that_is_known_by_then():
    spoken, live = words(SENTENCES, 1, 7), LiveCues()
    assert live.event(voices(run(0, 8, 2))) == ()
    assert shared(live, spoken, 9) == ["Salle (voix 2)"]
    live.event(voices(run(0, 8, 2), run(8, 5, 1)))
    assert shared(live, spoken, len(spoken), final=True) == ["Salle (voix 1)"]
    live.event(voices(run(0, 8, 2), run(8, 5, 3)))
    assert shared(live, spoken, len(spoken), final=True) == [], "what was sent stays"


def test_a_cue_of_two_voices_or_of_mostly_unknown_words_has_the_participants_name_alone():
    spoken = words(SENTENCES, 1, 7)
    two, unsure = LiveCues(), LiveCues()
    two.event(voices(run(0, 4, 1), run(4, 4, 2)))
    assert shared(two, spoken, 9) == ["Salle"]
    unsure.event(voices(run(5, 3, 1)))
    assert shared(unsure, spoken, 9) == ["Salle"]
    unsure.event(voices(run(5, 3, 1), run(10, 2, 1)))
    assert shared(unsure, spoken, len(spoken), final=True) == ["Salle"]


def test_voices_of_a_cue_are_those_of_its_own_words_when_several_come_at_once():
    spoken, live = words(SENTENCES, 1, 7), LiveCues()
    live.label(UtteranceId("u1"), [run(0, 8, 1), run(8, len(spoken) - 8, 2)])
    assert [each.voice for each in live.caption(caption(spoken, len(spoken), final=True), "Salle")] == [
        "Salle (voix 1)",
        "Salle (voix 2)",
    ]


def test_labels_go_before_the_captions_of_a_batch():
    batch = [Reading(number, {"type": kind}, "") for number, kind in enumerate(["caption", "voices", "caption"])]
    assert [reading.sequence for reading in labels_first(batch)] == [1, 0, 2]


@settings(max_examples=60, deadline=None)
@given(spoken_words())
def test_cues_keep_to_the_practice_and_never_overlap_within_their_utterance(spoken):
    found = [live.cue for live in fed(spoken, [])]
    assert all(1 <= len(cue.lines) <= 2 and all(0 < len(line) <= 42 for line in cue.lines) for cue in found)
    assert all(833 < round((cue.end - cue.start) * 1000) <= 7000 for cue in found)
    assert all(before.end <= after.start for before, after in pairwise(found))
    assert [cue.id for cue in found] == [f"u1.{number}" for number in range(1, len(found) + 1)]


@settings(max_examples=30, deadline=None)
@given(st.lists(spoken_words(), min_size=2, max_size=4), st.data())
def test_utterances_that_interleave_keep_their_own_cues_in_a_valid_document(utterances, data):
    document, shown = GrowingDocument(), defaultdict(int)
    order = data.draw(st.permutations([k for k, spoken in enumerate(utterances) for _ in range(3)]))
    written = HEADER
    for k in order:
        shown[k] += 1
        spoken, final = utterances[k], shown[k] == 3
        state = caption(spoken, len(spoken) * shown[k] // 3, final, utterance=f"u{k}")
        written += document.event({**caption_event(state, 0), "type": "caption", "speaker": "Anne"})
    if written != HEADER:
        assert_valid(written.rstrip("\n") + "\n")
    ids = Counter(re.findall(r"^u\d+\.\d+$", written, re.MULTILINE))
    assert ids == Counter(live.cue.id for k, spoken in enumerate(utterances) for live in fed_as(f"u{k}", spoken))


def fed_as(utterance, spoken):
    return LiveCues().caption(caption(spoken, len(spoken), final=True, utterance=utterance), "Anne")
