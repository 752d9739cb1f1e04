from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain import UtteranceId, Word
from pipeline.record.shares import has_text, in_order, shares_of, spoken_form
from tests.pipeline.record.samples import words

U1, U2, U3 = UtteranceId("u1"), UtteranceId("u2"), UtteranceId("u3")


def said(shares):
    return {utterance: "".join(word.text for word in share).strip() for utterance, share in shares.items()}


def test_words_go_to_the_utterance_their_middle_lies_in():
    captions = {U1: words("bonjour a tous", 0, 2), U2: words("merci", 3, 4)}
    assert said(shares_of(words("Bonjour à tous.", 0, 2) + words("Merci.", 3, 4), captions)) == {
        U1: "Bonjour à tous.",
        U2: "Merci.",
    }


def test_words_before_the_first_and_after_the_last_utterance_go_to_the_nearest():
    captions = {U1: words("un", 10, 11), U2: words("deux", 12, 13)}
    heard = (Word(" euh", 2, 3), Word(" un", 10, 11), Word(" deux", 12, 13), Word(" voilà", 20, 21))
    assert said(shares_of(heard, captions)) == {U1: "euh un", U2: "deux voilà"}


def test_a_word_timed_backwards_stays_behind_the_words_before_it():
    captions = {U1: words("un", 0, 1), U2: words("deux trois", 2, 4)}
    heard = (Word(" un", 0, 1), Word(" deux", 2, 3), Word(" trois", 0.2, 0.4))
    assert said(shares_of(heard, captions)) == {U1: "un", U2: "deux trois"}


def test_the_rest_of_a_word_is_never_parted_from_it():
    captions = {U1: words("va", 0, 1), U2: words("bien", 2, 3)}
    heard = (Word(" va", 0, 1), Word("-t-il", 2, 2.2), Word(" bien", 2.2, 3))
    assert said(shares_of(heard, captions)) == {U1: "va-t-il", U2: "bien"}


def test_an_utterance_that_the_record_dropped_keeps_its_caption_beside_the_shares_of_others():
    captions = {U1: words("bonjour a tous", 0, 2), U2: words("euh", 3, 4), U3: words("on y va", 5, 6)}
    shares = shares_of(words("Bonjour tous", 0, 2) + words("On y va", 5, 6), captions)
    assert said(shares) == {U1: "Bonjour tous", U2: "", U3: "On y va"}


def test_a_record_with_more_words_than_the_other_captions_is_set_aside():
    captions = {U1: words("bonjour a tous", 0, 2), U2: words("oui", 3, 4)}
    assert shares_of(words("Bonjour à tous, ouais", 0, 2), captions) == {}


def test_a_record_that_holds_a_missed_word_elsewhere_is_set_aside():
    captions = {U1: words("bonjour a vous tous", 0, 2), U2: words("oui", 3, 4)}
    assert shares_of(words("Bonjour à Oui.", 0, 2), captions) == {}


def test_captions_without_words_leave_the_record_to_the_first_utterance():
    assert said(shares_of(words("Bonjour", 0, 1), {U1: (), U2: ()})) == {U1: "Bonjour"}


def test_a_record_without_text_has_no_shares():
    assert shares_of((Word("  ", 0, 1),), {U1: words("un", 0, 1)}) == {}


def test_times_set_in_order_never_run_backwards():
    placed = in_order((Word(" a", 1, 3), Word(" b", 0.5, 0.8), Word(" c", 4, 2)))
    assert [(word.start, word.end) for word in placed] == [(1, 3), (1, 3), (4, 4)]


def test_space_alone_is_no_text():
    assert not has_text((Word(" ", 0, 1), Word("", 1, 2)))
    assert has_text((Word(" a", 0, 1),))


def test_the_spoken_form_has_neither_case_nor_punctuation():
    assert spoken_form(" L'Été, ") == "lété"


@st.composite
def joined_utterances(draw):
    """Captions of different words, and a record of them that drops some words and mistimes all."""
    captions, heard, clock = {}, [], 0.0
    for number in range(draw(st.integers(1, 5))):
        count = draw(st.integers(0, 4))
        text = " ".join(f"w{number}x{k}" for k in range(count))
        captions[UtteranceId(f"u{number}")] = words(text, clock, clock + count)
        clock += count + 1.0
    for word in (word for share in captions.values() for word in share):
        if draw(st.integers(0, 3)):
            shift = draw(st.floats(-2, 2))
            heard.append(Word(word.text, word.start + shift, word.end + shift))
    return captions, tuple(heard)


@settings(max_examples=200, deadline=None)
@given(joined_utterances())
def test_no_word_stands_twice_and_no_utterance_is_emptied(case):
    captions, heard = case
    shares = shares_of(in_order(heard), captions)
    standing = {utterance: shares.get(utterance) or captions[utterance] for utterance in captions}
    texts = [word.text for share in standing.values() for word in share]
    assert len(texts) == len(set(texts))
    assert all(standing[utterance] for utterance in captions if captions[utterance])
    if any(shares.values()):
        assert {word.text for word in heard} <= set(texts)
    shared = [word.text for share in shares.values() for word in share]
    assert shared in ([], [word.text for word in heard])
