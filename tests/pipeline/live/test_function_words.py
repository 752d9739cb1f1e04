"""Which of French and English words are, by the small ones."""

import pytest

from pipeline.live.function_words import language_of, scores_of


@pytest.mark.parametrize("text", [" le", " C’est", " qu'on", " l'année,", " très", " Oui."])
def test_small_french_words_are_french(text: str) -> None:
    assert language_of(text) == "fr"


@pytest.mark.parametrize("text", [" the", " It's", " don’t", " we're", " Yes!"])
def test_small_english_words_are_english(text: str) -> None:
    assert language_of(text) == "en"


@pytest.mark.parametrize("text", [" on", " a", " but", " or", " Kyutai", " budget", " d'", " 42", ""])
def test_words_of_both_and_names_say_nothing(text: str) -> None:
    assert language_of(text) is None


def test_only_declared_languages_have_scores() -> None:
    assert dict(scores_of(" the", ("fr", "en"))) == pytest.approx({"fr": 0.03, "en": 0.97})
    assert scores_of(" the", ("fr", "de")) == ()
    assert scores_of(" budget", ("fr", "en")) == ()
