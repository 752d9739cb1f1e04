"""What trouble with a Kyutai server cost is counted right."""

from tests.benchmarks.events import Event, TimedWord
from tests.benchmarks.kyutai_faults import _judged


def event(sent_at: float, utterance: str, revision: int, text: str, start: float, *, final: bool = False) -> Event:
    """Words of ``text``, the first of them at ``start``, one each second."""
    words = tuple(TimedWord(f" {word}", start + k, start + k + 0.5) for k, word in enumerate(text.split()))
    committed = "".join(word.text for word in words)
    return Event(sent_at, "talker", utterance, revision, final, "fr", committed, "", words)


SAID = [f" w{number}" for number in range(8)]


def test_words_lost_said_twice_and_altered_are_counted_and_when_captions_went_on() -> None:
    found = _judged(
        [
            event(2.5, "a", 1, "w0 w1", 1.0),
            event(5.5, "a", 2, "w0 w1 w2 w2", 1.0),  # w2 again, at 4.0
            event(6.0, "a", 3, "w0 w1 w2 w2", 1.0, final=True),
            event(8.5, "b", 1, "w4 w5x w6 w7", 5.0, final=True),  # without w3 and w5
        ],
        3.2,
        SAID,
    )
    assert found.back == 5.5 - 3.2
    assert (found.words_lost, found.words_doubled, found.words_altered) == (2, 1, 1)
    assert (found.finals_lost, found.finals_doubled, found.laws_broken) == (0, 0, 0)


def test_an_utterance_without_a_final_and_one_with_two_are_counted_and_captions_that_never_went_on() -> None:
    found = _judged(
        [
            event(2.5, "a", 1, "w0 w1", 1.0, final=True),
            event(2.6, "a", 2, "w0 w1", 1.0, final=True),
            event(4.5, "b", 1, "w2", 3.0),
        ],
        3.2,
        SAID,
    )
    assert found.back == float("inf")
    assert (found.finals_lost, found.finals_doubled) == (1, 1)
