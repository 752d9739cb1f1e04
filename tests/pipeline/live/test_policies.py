"""When a word may be committed."""

from pipeline.domain import TrackId, UtteranceId, Window, WindowKind, Word
from pipeline.live.policies import AlignAtt, LocalAgreement


def window(end: float) -> Window:
    return Window(TrackId("a"), UtteranceId("a#1"), WindowKind.LIVE, 0.0, end, ("en",), "en")


def words(text: str, confidence: float = 1.0) -> tuple[Word, ...]:
    return tuple(Word(f" {each}", k * 0.5, (k + 1) * 0.5, confidence) for k, each in enumerate(text.split()))


def test_alignatt_commits_what_ends_before_the_margin() -> None:
    policy = AlignAtt(margin=0.4, doubt=0.9, sure=0.5)
    assert policy.committable(window(2.0), words("one two three four"), 1.0) == 3
    assert policy.committable(window(9.0), words("one two three four"), 1.0) == 4
    assert policy.committable(window(9.0), (), 1.0) == 0


def test_alignatt_waits_longer_for_a_doubtful_word_and_those_after_it() -> None:
    policy = AlignAtt(margin=0.4, doubt=1.2, sure=0.5)
    one, _, three, four = words("one two three four")
    doubtful = Word(" two", 0.5, 1.0, 0.3)
    assert policy.committable(window(2.0), (one, doubtful, three, four), 1.0) == 1
    assert policy.committable(window(2.2), (one, doubtful, three, four), 1.0) == 3


def test_local_agreement_commits_what_two_hypotheses_in_a_row_say() -> None:
    policy = LocalAgreement()
    assert policy.committable(window(2.0), words("one two free"), 1.0) == 0
    assert policy.committable(window(2.5), words("One two, three four"), 1.0) == 2


def test_local_agreement_compares_with_what_was_left_of_the_last_hypothesis() -> None:
    policy = LocalAgreement()
    policy.committable(window(2.0), words("one two three"), 1.0)
    assert policy.committable(window(2.5), words("one two free"), 1.0) == 2
    assert policy.committable(window(3.0), words("free four"), 1.0) == 1
    assert policy.committable(window(3.5), words("four five"), 1.0) == 1
    assert policy.committable(window(4.0), (), 1.0) == 0


def test_where_updates_come_late_words_wait_a_little_longer() -> None:
    policy = AlignAtt(margin=0.25, doubt=0.75, sure=0.5, step=0.4, stretch=0.5)
    assert policy.committable(window(2.0), words("one two three four"), 0.4) == 3
    assert policy.committable(window(2.0), words("one two three four"), 1.4) == 2
    assert policy.committable(window(2.0), words("one two three four"), 9.0) == 2
