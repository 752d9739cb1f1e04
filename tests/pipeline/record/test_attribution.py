from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import VoiceSpan, Word
from pipeline.record.attribution import by_voice, voices_of
from tests.pipeline.record.samples import words

ONE, TWO = VoiceSpan(1, 0.0, 2.0), VoiceSpan(2, 2.0, 4.0)


def test_a_word_belongs_to_the_voice_that_it_overlaps_most():
    said = (Word(" oui", 1.8, 2.1), Word(" non", 1.9, 2.5))
    assert voices_of(said, (ONE, TWO)) == (1, 2)


def test_a_word_beside_all_voices_belongs_to_one_within_half_a_second_and_else_to_nobody():
    said = (Word(" près", 4.4, 4.6), Word(" loin", 4.6, 4.9))
    assert voices_of(said, (ONE, TWO)) == (2, None)
    assert voices_of(said, ()) == (None, None)


def test_punctuation_stays_with_the_word_before_it():
    said = (Word(" bien", 1.0, 1.9), Word(" !", 2.1, 2.2), Word(" Et", 2.2, 2.4))
    assert voices_of(said, (ONE, TWO)) == (1, 1, 2)


def test_a_short_word_between_two_of_another_voice_inside_a_sentence_is_theirs():
    spans = (VoiceSpan(1, 0.0, 1.0), VoiceSpan(2, 1.0, 1.2), VoiceSpan(1, 1.2, 3.0))
    said = (Word(" il", 0.5, 0.9), Word(" y", 1.0, 1.2), Word(" a", 1.3, 1.5))
    assert voices_of(said, spans) == (1, 1, 1)


def test_a_short_answer_between_two_sentences_stays_what_it_is():
    spans = (VoiceSpan(1, 0.0, 1.0), VoiceSpan(2, 1.0, 1.2), VoiceSpan(1, 1.2, 3.0))
    said = (Word(" Prêts ?", 0.5, 0.9), Word(" Oui.", 1.0, 1.2), Word(" Bien", 1.3, 1.5))
    assert voices_of(said, spans) == (1, 2, 1)


def test_words_come_as_runs_of_one_voice():
    said = words("un deux trois quatre", 0.0, 4.0)
    assert by_voice(said, (ONE, TWO)) == [(1, said[:2]), (2, said[2:])]
    assert by_voice((), (ONE,)) == []


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0.01, 2)), max_size=20),
    st.lists(st.tuples(st.integers(1, 4), st.floats(0, 50), st.floats(0.01, 9)), max_size=8),
)
def test_no_word_is_lost_doubled_or_given_to_a_voice_that_is_not_there(
    spoken: list[tuple[float, float]], spans: list[tuple[int, float, float]]
):
    said = tuple(Word(" mot", start, start + length) for start, length in sorted(spoken))
    heard = tuple(VoiceSpan(voice, start, start + length) for voice, start, length in spans)
    runs = by_voice(said, heard)
    assert tuple(word for _, run in runs for word in run) == said
    assert {voice for voice, _ in runs} <= {None, *(span.voice for span in heard)}
