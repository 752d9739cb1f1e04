"""The written rules of tests/benchmarks/normalise.py, one by one."""

import pytest

from tests.benchmarks.normalise import loose, normalise


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("L’Œuvre de l'homme", "l'oeuvre de l'homme"),
        ("À peine, Être", "A peine... ETRE"),
        ("21 chevaux", "vingt et un chevaux"),
        ("21 chevaux", "vingt-et-un chevaux"),
        ("10 000 pas", "dix mille pas"),
        ("200 pas", "deux cents pas"),
        ("210 pas", "deux-cent-dix pas"),
        ("80 ans", "quatre-vingts ans"),
        ("28,5 %", "vingt-huit virgule cinq pour cent"),
        ("le 1er et la 2e", "le premier et la deuxième"),
        ("15h30", "quinze heures trente"),
        ("peut-être — oui !", "peut être oui"),
    ],
)
def test_french_texts_that_say_the_same_are_the_same(one, other):
    assert normalise(one, "fr") == normalise(other, "fr")


@pytest.mark.parametrize(
    ("one", "other"), [("pêche", "péché"), ("des", "dès"), ("l'homme", "homme"), ("deux", "douze")]
)
def test_french_texts_that_say_something_else_differ(one, other):
    assert normalise(one, "fr") != normalise(other, "fr")


def test_an_elision_is_a_word_of_its_own():
    assert normalise("Jusqu’à l’homme d'hier", "fr") == ["jusqu'", "a", "l'", "homme", "d'", "hier"]


def test_english_follows_the_normaliser_of_whisper():
    assert normalise("Mr. Smith’s colour, it's twenty-one!", "en") == [
        "mister",
        "smith",
        "is",
        "color",
        "it",
        "is",
        "2",
        "1",
    ]


def test_loose_words_are_the_same_in_any_language():
    assert loose(" Don’t, l'Œil — peut-être") == ("don'", "t", "l'", "oeil", "peut", "etre")
