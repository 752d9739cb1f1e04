from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import UtteranceId, VoiceRun, VoiceSpan, Word
from pipeline.live.voice_labels import VoiceLabels
from pipeline.record.attribution import voices_of

ONE = UtteranceId("room.1#1")
TWO = UtteranceId("room.1#2")
FIRST, SECOND = VoiceSpan(1, 0.0, 2.0), VoiceSpan(2, 2.0, 4.0)


def said(count: int, start: float = 0.0, each: float = 0.5) -> tuple[Word, ...]:
    return tuple(Word(f" {place}", start + place * each, start + (place + 1) * each) for place in range(count))


def run(first: int, count: int, voice: int, utterance: UtteranceId = ONE) -> VoiceRun:
    return VoiceRun(utterance, first, count, voice)


def test_words_before_the_frontier_are_labelled_and_others_wait():
    labels = VoiceLabels()
    labels.words(ONE, said(8), final=False)
    assert labels.labelled() == []
    labels.turns([FIRST], 2.0)
    assert labels.labelled() == [(run(0, 3, 1),)]
    labels.turns([SECOND], 4.0)
    assert labels.labelled() == [(run(0, 4, 1), run(4, 3, 2))]
    assert labels.labelled() == []


def test_words_that_come_after_it_was_decided_who_spoke_are_labelled_at_once():
    labels = VoiceLabels()
    labels.turns([FIRST, SECOND], 6.0)
    labels.words(ONE, said(3), final=False)
    assert labels.labelled() == [(run(0, 2, 1),)]
    labels.words(ONE, said(8), final=True)
    assert labels.labelled() == [(run(0, 4, 1), run(4, 4, 2))]


def test_the_last_word_of_a_final_waits_for_nothing_but_the_frontier():
    labels = VoiceLabels()
    labels.turns([FIRST], 2.0)
    labels.words(ONE, said(4), final=False)
    assert labels.labelled() == [(run(0, 3, 1),)]
    labels.words(ONE, said(4), final=True)
    assert labels.labelled() == [(run(0, 4, 1),)]


def test_a_word_beside_all_turns_waits_until_no_nearer_one_can_come():
    labels = VoiceLabels()
    labels.turns([VoiceSpan(1, 0.0, 1.0)], 1.7)
    labels.words(ONE, (Word(" un", 0.5, 1.0), Word(" deux", 1.3, 1.6)), final=True)
    assert labels.labelled() == []
    labels.turns([VoiceSpan(2, 1.7, 2.4)], 2.4)
    assert labels.labelled() == [(run(0, 1, 1), run(1, 1, 2))]


def test_a_word_that_nobody_is_near_stays_unlabelled():
    labels = VoiceLabels()
    labels.turns([FIRST, SECOND], 9.0)
    labels.words(ONE, (Word(" un", 1.0, 1.5), Word(" hein", 6.0, 6.5), Word(" deux", 6.5, 7.0)), final=True)
    assert labels.labelled() == [(run(0, 1, 1),)]
    labels.words(TWO, (Word(" quoi", 7.0, 7.5),), final=True)
    assert labels.labelled() == []


def test_a_turn_that_comes_in_pieces_is_one():
    labels = VoiceLabels()
    labels.turns([VoiceSpan(1, 0.0, 0.4), VoiceSpan(1, 0.4, 0.8)], 0.8)
    labels.turns([VoiceSpan(2, 0.8, 1.3)], 2.0)
    labels.words(ONE, (Word(" longtemps", 0.15, 1.3),), final=True)
    assert labels.labelled() == [(run(0, 1, 1),)]


def test_an_utterance_of_another_session_goes_on_after_what_was_told_of_it():
    labels = VoiceLabels()
    labels.resume(ONE, [run(0, 2, 3)])
    labels.words(ONE, said(4), final=False)
    labels.turns([VoiceSpan(1, 0.0, 2.0)], 2.6)
    assert labels.labelled() == [(run(0, 2, 3), run(2, 1, 1))]
    labels.words(ONE, said(2), final=True)
    labels.finish()
    assert labels.labelled() == []


def test_what_is_left_when_no_more_turns_come_is_labelled_by_what_is_known():
    labels = VoiceLabels()
    labels.words(ONE, said(8), final=False)
    labels.turns([FIRST], 1.0)
    labels.finish()
    assert labels.labelled() == [(run(0, 6, 1),)]


def test_utterances_whose_voices_are_never_decided_are_given_up_oldest_first():
    labels = VoiceLabels()
    names = [UtteranceId(f"room.1#{number}") for number in range(60)]
    for name in names:
        labels.words(name, said(1), final=True)
    labels.turns([FIRST], 4.0)
    assert [runs[0].utterance for runs in labels.labelled()] == names[10:]


def test_turns_of_long_ago_are_forgotten():
    labels = VoiceLabels()
    labels.turns([VoiceSpan(number % 2 + 1, number, number + 1.0) for number in range(1500)], 1500.0)
    labels.words(ONE, said(2, start=100.0), final=True)
    assert labels.labelled() == []
    labels.words(TWO, said(2, start=1000.0), final=True)
    assert labels.labelled() == [(run(0, 2, 1, TWO),)]


# --- whatever comes in whatever order -------------------------------------------------------------------------

_durations = st.floats(0.05, 1.5)
_texts = st.sampled_from([" mot", " fin.", " ?", ",", " et"])


@st.composite
def _words(draw: st.DrawFn) -> tuple[Word, ...]:
    words, at = [], 0.0
    for text in draw(st.lists(_texts, min_size=1, max_size=12)):
        start = at + draw(st.floats(0.0, 1.2))
        at = start + draw(_durations)
        words.append(Word(text, start, at))
    return tuple(words)


@st.composite
def _turns(draw: st.DrawFn) -> tuple[VoiceSpan, ...]:
    turns, at, voice = [], 0.0, 0
    for _ in range(draw(st.integers(0, 8))):
        start = at + draw(st.floats(0.02, 1.2))
        voice = draw(st.integers(1, 3).filter(lambda other, before=voice: other != before))
        at = start + draw(_durations)
        turns.append(VoiceSpan(voice, start, at))
    return tuple(turns)


def _pieces(turns: Sequence[VoiceSpan], until: float, since: float) -> list[VoiceSpan]:
    """What of ``turns`` lies between two frontiers."""
    cut = [VoiceSpan(turn.voice, max(turn.start, since), min(turn.end, until)) for turn in turns]
    return [turn for turn in cut if turn.start < turn.end]


@given(words=_words(), turns=_turns(), steps=st.lists(st.tuples(st.booleans(), st.floats(0.0, 1.0)), max_size=30))
def test_labels_never_change_and_are_what_the_rule_says_of_all_turns(
    words: tuple[Word, ...], turns: tuple[VoiceSpan, ...], steps: list[tuple[bool, float]]
) -> None:
    labels, known, frontier = VoiceLabels(), 0, 0.0
    voices: dict[int, int] = {}

    def take() -> None:
        for runs in labels.labelled():
            told = {place: each.voice for each in runs for place in range(each.first, each.first + each.count)}
            assert told.items() >= voices.items()
            assert all(words[place].end <= frontier for place in told)
            assert sum(each.count for each in runs) == len(told)
            voices.update(told)

    for is_word, share in steps:
        if is_word:
            known = min(len(words), known + round(share * 4))
            labels.words(ONE, words[:known], final=False)
        else:
            until = frontier + share * 2
            labels.turns(_pieces(turns, until, frontier), until)
            frontier = until
        take()
    labels.words(ONE, words, final=True)
    take()
    labels.turns(_pieces(turns, 1e6, frontier), 1e6)
    frontier = 1e6
    take()
    rule = voices_of(words, turns)
    assert [voices.get(place) for place in range(len(words))] == list(rule)
