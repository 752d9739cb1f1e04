"""A participant's language is followed by evidence that fades; a short word of another flips nothing."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.live.language import LanguageTracker

FRENCH, ENGLISH, UNSURE = (("fr", 0.98), ("en", 0.02)), (("fr", 0.02), ("en", 0.98)), (("fr", 0.5), ("en", 0.5))
PERHAPS_ENGLISH = (("fr", 0.12), ("en", 0.88))


def speaking_french(seconds: float = 10.0) -> LanguageTracker:
    tracker = LanguageTracker(("fr", "en"))
    for _ in range(round(seconds / 2)):
        tracker.hear(FRENCH, 2.0)
    return tracker


def test_one_declared_language_is_known_from_the_start() -> None:
    tracker = LanguageTracker(("de",))
    assert tracker.fixed
    assert tracker.current == "de"
    assert not tracker.hear((("de", 0.1),), 5.0)


def test_the_first_look_decides_and_is_no_change() -> None:
    tracker = LanguageTracker(("fr", "en"))
    assert not tracker.hear(ENGLISH, 1.0)
    assert tracker.current == "en"


def test_the_first_declared_language_is_preferred() -> None:
    tracker = LanguageTracker(("fr", "en"))
    tracker.hear(UNSURE, 1.0)
    assert tracker.current == "fr"


def test_no_scores_say_nothing() -> None:
    tracker = LanguageTracker(("fr", "en"))
    assert not tracker.hear((), 3.0)
    assert tracker.current is None


def test_a_switch_is_followed_within_eight_seconds() -> None:
    tracker = speaking_french(60.0)
    changes = [tracker.hear(ENGLISH, 2.0) for _ in range(4)]
    assert sum(changes) == 1
    assert tracker.current == "en"


def test_a_short_word_flips_nothing() -> None:
    tracker = speaking_french()
    assert not tracker.hear(ENGLISH, 0.5)
    assert tracker.current == "fr"


def test_a_look_that_speaks_for_another_language_is_a_doubt_until_it_is_settled() -> None:
    tracker = speaking_french()
    assert not tracker.hear(ENGLISH, 0.5)
    assert tracker.doubted
    assert not tracker.hear(FRENCH, 0.5)
    assert not tracker.doubted


def test_a_doubt_lasts_until_the_evidence_has_settled_it() -> None:
    tracker = speaking_french()
    for _ in range(3):
        assert not tracker.hear(PERHAPS_ENGLISH, 0.5)
    tracker.hear(UNSURE, 0.3)
    assert tracker.doubted
    tracker.hear(FRENCH, 0.5)
    tracker.hear(FRENCH, 0.5)
    assert not tracker.doubted


def test_nobody_is_doubted_for_ever() -> None:
    tracker = speaking_french()
    doubted = []
    for _ in range(30):
        assert not tracker.hear((("fr", 0.45), ("en", 0.55)), 0.5)
        doubted.append(tracker.doubted)
    assert doubted == [number < 10 for number in range(30)]


def test_names_of_another_language_are_no_switch_though_they_sound_like_it() -> None:
    tracker = speaking_french()
    assert not any(tracker.hear(PERHAPS_ENGLISH, 0.5) for _ in range(6))
    assert tracker.doubted
    assert tracker.hear(ENGLISH, 0.5)


def test_what_sounds_like_another_language_for_long_is_that_language() -> None:
    tracker = speaking_french()
    assert any(tracker.hear((("fr", 0.06), ("en", 0.94)), 1.0) for _ in range(8))
    assert tracker.current == "en"


def test_a_second_of_speech_that_is_a_whole_utterance_is_enough_to_be_sure() -> None:
    tracker = speaking_french()
    assert not tracker.hear(ENGLISH, 0.9, whole=True)
    assert tracker.hear(ENGLISH, 1.1, whole=True)
    assert (tracker.current, tracker.doubted) == ("en", False)


def test_a_long_look_counts_no_more_than_one_window_can_say() -> None:
    tracker = speaking_french()
    tracker.hear(UNSURE, 2.0)
    assert tracker.current == "fr"


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 30)), max_size=30))
def test_a_participant_always_speaks_a_declared_language(looks: list[tuple[float, float]]) -> None:
    tracker = LanguageTracker(("fr", "en", "de"))
    for score, seconds in looks:
        before = tracker.current
        changed = tracker.hear((("fr", score), ("en", 1 - score)), seconds)
        assert changed == (before is not None and tracker.current != before)
        assert tracker.current in tracker.languages
