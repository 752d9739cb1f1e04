import pytest

from pipeline.export.breaks import (
    BEFORE_COMPLEMENT,
    BEFORE_PHRASE,
    CLAUSE_END,
    INSIDE_PHRASE,
    INSIDE_VERB,
    PLAIN,
    SENTENCE_END,
    break_cost,
)


@pytest.mark.parametrize(
    ("before", "after", "language", "cost"),
    [
        ("fini.", "Ensuite", "fr", SENTENCE_END),
        ("Vraiment\u00a0?", "Oui", "fr", SENTENCE_END),
        ("fini\u00a0»", "Ensuite", "fr", PLAIN),
        ("fini.\u00a0»", "Ensuite", "fr", SENTENCE_END),
        ("好。", "今", "zh", SENTENCE_END),
        ("ville,", "nous", "fr", CLAUSE_END),
        ("la", "ville", "fr", INSIDE_PHRASE),
        ("La", "ville", "fr-FR", INSIDE_PHRASE),
        ("«\u00a0la", "ville", "fr", INSIDE_PHRASE),
        ("dans", "Paris", "fr", INSIDE_PHRASE),
        ("parce", "que", "fr", INSIDE_PHRASE),
        ("nous", "allons", "fr", INSIDE_PHRASE),
        ("M.", "Dupont", "fr", INSIDE_PHRASE),
        ("avons", "fini", "fr", INSIDE_VERB),
        ("12", "euros", "fr", INSIDE_VERB),
        ("réunion", "de", "fr", BEFORE_COMPLEMENT),
        ("réunion", "d’équipe", "fr", BEFORE_COMPLEMENT),
        ("fini", "et", "fr", BEFORE_PHRASE),
        ("dit", "qu'il", "fr", BEFORE_PHRASE),
        ("ville", "moderne", "fr", PLAIN),
        ("the", "city", "en", INSIDE_PHRASE),
        ("the", "city", "en_GB", INSIDE_PHRASE),
        ("we", "agreed", "en", INSIDE_PHRASE),
        ("because", "everybody", "en", INSIDE_PHRASE),
        ("don’t", "know", "en", INSIDE_VERB),
        ("end", "of", "en", BEFORE_COMPLEMENT),
        ("agreed", "because", "en", BEFORE_PHRASE),
        ("the", "city", "fr", PLAIN),
        ("la", "ciudad", "es", PLAIN),
        ("«", "»", "fr", PLAIN),
    ],
)
def test_a_break_costs_little_at_punctuation_and_much_inside_a_phrase(before, after, language, cost):
    assert break_cost(before, after, language) == cost
