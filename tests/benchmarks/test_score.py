"""Error rates and recalls of texts whose right figures are known by hand."""

import pytest

from tests.benchmarks.corpus import Placed
from tests.benchmarks.logs import clip, timed
from tests.benchmarks.score import Errors, Recall, add_up, count_errors, recall_of, score_clip, score_placed


def test_each_kind_of_error_is_counted():
    reference = "un deux trois quatre cinq".split()
    assert count_errors(reference, "un deux trois quatre cinq".split()) == Errors(5)
    assert count_errors(reference, "un deux six quatre cinq".split()) == Errors(5, substituted=1)
    assert count_errors(reference, "un trois quatre cinq".split()) == Errors(5, deleted=1)
    assert count_errors(reference, "un deux deux trois quatre cinq".split()) == Errors(5, inserted=1)


def test_nothing_heard_is_all_deleted_and_nothing_said_all_inserted():
    assert count_errors(["un", "deux"], []) == Errors(2, deleted=2)
    assert count_errors([], ["un", "deux"]) == Errors(0, inserted=2)
    assert count_errors([], ["un"]).rate == 1.0
    assert count_errors([], []).rate == 0.0


def test_the_rate_is_of_the_reference_words_and_adds_up_over_clips():
    total = Errors(8, substituted=1) + Errors(2, deleted=1, inserted=1)
    assert total.rate == pytest.approx(0.3)


def test_only_errors_inside_the_scored_text_count():
    poem = clip("titre lu par elle. la sottise et le mal. fin du poème", scored="la sottise et le mal.")
    assert score_clip(poem, "autre chose dite la sottise et le mal fin des poèmes") == Errors(5)
    assert score_clip(poem, "titre lu par elle la bêtise le mal fin du poème") == Errors(5, substituted=1, deleted=1)
    assert score_clip(poem, "titre lu par elle oh la sottise et et le mal oh fin du poème") == Errors(5, inserted=1)


def test_words_inserted_at_the_edges_of_a_wholly_scored_clip_count():
    assert score_clip(clip("la sottise"), "oh la sottise oh") == Errors(2, inserted=2)


def test_case_accents_of_capitals_and_numbers_are_no_errors():
    assert score_clip(clip("A peine 21 pas"), "à peine vingt-et-un pas.").rate == 0.0


def test_each_clip_of_a_track_is_given_the_words_heard_in_its_place():
    first, second = clip("un deux", name="a"), clip("the end", language="en", name="b")
    placed = [Placed(first, 1.0, 0.5, 5.5), Placed(second, 6.0, 5.5, 10.5)]
    heard = timed(("un", 1, 2), ("deux", 4.5, 5.6), ("the", 5.4, 6.4), ("hand", 8, 9), ("ever", 11, 12))
    assert score_placed(placed, heard) == {"fr": Errors(2), "en": Errors(2, substituted=1)}


def test_languages_are_added_up_apart():
    scores = [{"fr": Errors(2, deleted=1)}, {"fr": Errors(3), "en": Errors(1)}]
    assert add_up(scores) == {"fr": Errors(5, deleted=1), "en": Errors(1)}


def test_recall_counts_each_saying_of_a_term_and_each_false_hearing():
    reference = "la résilience et le plan Vigipirate, oui, la résilience"
    terms = ("résilience", "plan Vigipirate", "Cerema")
    assert recall_of(terms, reference, "la résilience et le plan vigie pirate du Cerema", "fr") == Recall(3, 1, 1)
    assert recall_of(terms, reference, reference, "fr").rate == 1.0
