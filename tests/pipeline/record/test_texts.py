from dataclasses import replace

from hypothesis import given, settings

from pipeline.domain import Origin, Word
from pipeline.record.texts import text_of, words_of
from tests.pipeline.record.samples import TEXT, segment, words


def test_a_correction_stands_before_the_record_and_the_caption():
    both = segment("u", "bonjour a tous", 0, 3, record=words("Bonjour à tous.", 0, 3), correction=" Bonsoir à tous. ")
    assert text_of(both) == ("Bonsoir à tous.", Origin.CORRECTION)


def test_the_record_stands_before_the_caption():
    assert text_of(segment("u", "bonjour", 0, 1, record=words("Bonjour.", 0, 1))) == ("Bonjour.", Origin.RECORD)


def test_an_empty_record_never_replaces_a_caption():
    blank = segment("u", "bonjour", 0, 1, record=(Word(" ", 0, 1),))
    assert text_of(blank) == ("bonjour", Origin.CAPTION)
    assert [word.text for word in words_of(blank)] == [" bonjour"]


def test_a_caption_that_is_much_more_certain_stands_before_the_record():
    heard = Word(" 90210", 0, 1, 0.73)
    for certain, stands in ((0.52, "90210"), (0.54, "Nanou")):
        both = replace(segment("u", "", 0, 1), caption=(heard,), record=(Word(" Nanou", 0, 1, certain),))
        assert text_of(both)[0] == stands


def test_a_recogniser_that_does_not_say_how_certain_it_is_is_not_more_certain():
    both = replace(segment("u", "", 0, 1), caption=(Word(" 90210", 0, 1),), record=(Word(" Nanou", 0, 1, 0.3),))
    assert text_of(both)[0] == "Nanou"


def test_a_correction_to_nothing_stands():
    emptied = segment("u", "bonjour", 0, 1, correction="  ")
    assert text_of(emptied) == ("", Origin.CORRECTION)
    assert words_of(emptied) == ()


def test_words_are_those_of_the_text_that_stands():
    heard = words("Bonjour.", 0, 1)
    assert words_of(segment("u", "bonjour", 0, 1, record=heard)) == heard


def test_words_that_a_correction_kept_stay_where_they_were_heard():
    corrected = segment("u", "bonjour a vous tous", 0, 4, correction="Bonjour à tous, amis")
    placed = {word.text: (word.start, word.end) for word in words_of(corrected)}
    assert placed[" Bonjour"] == (0, 1)
    assert placed[" à"] == (1, 3)
    assert placed[" tous,"] == (3, 4)
    assert placed[" amis"] == (4, 4)


def test_a_correction_that_kept_no_word_is_spread_over_the_segment_by_length():
    corrected = segment("u", "bonjour", 10, 20, correction="oui voilàaa")
    assert words_of(corrected) == (Word(" oui", 10, 13), Word(" voilàaa", 13, 20))


@settings(max_examples=60, deadline=None)
@given(TEXT, TEXT)
def test_corrected_words_are_the_corrected_text_inside_the_segment_and_in_order(heard, written):
    corrected = segment("u", heard, 5, 9, correction=written)
    placed = words_of(corrected)
    assert "".join("".join(word.text for word in placed).split()) == "".join(written.split())
    times = [time for word in placed for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(5 <= time <= 9 + 1e-9 for time in times)
