"""What is recognised once more as a whole: neighbours joined, up to what one window holds."""

import pytest

from pipeline.domain import Caption, TrackId, UtteranceId, Window, WindowKind, Word
from pipeline.live.record_windows import RecordWindows

TRACK = TrackId("anne")


def windows(join: float = 1.5, longest: float = 20.0) -> RecordWindows:
    return RecordWindows(TRACK, join, longest)


def finish(record: RecordWindows, number: int, start: float, end: float, language: str = "fr") -> None:
    words = (Word(f" word{number}", start, end),)
    record.finished(start, Caption(TRACK, UtteranceId(f"u{number}"), 1, True, language, words))


def take(record: RecordWindows, not_before: float = 0.0) -> Window:
    window = record.window_to_recognize((), not_before)
    assert window is not None
    return window


def test_neighbours_are_joined_and_asked_for_once_it_is_quiet() -> None:
    record = windows()
    finish(record, 1, 1.0, 3.0)
    finish(record, 2, 4.0, 5.0)
    record.quiet(6.0)
    assert not record.wanted
    record.quiet(6.5)
    assert record.wanted
    window = record.window_to_recognize(("Greffier",), 0.0)
    assert window == Window(
        TRACK, UtteranceId("u1"), WindowKind.RECORD, 0.7, 5.3, ("fr",), "fr", glossary=("Greffier",)
    )
    text = record.recognized(window, (Word(" word1", 1.0, 3.0), Word(" word2", 4.0, 5.0)))
    assert text is not None
    assert text.utterances == (UtteranceId("u1"), UtteranceId("u2"))
    assert record.idle


def test_a_long_pause_or_another_language_or_a_full_window_begins_the_next() -> None:
    record = windows()
    finish(record, 1, 0.0, 2.0)
    finish(record, 2, 4.0, 6.0)
    finish(record, 3, 6.5, 7.0, "en")
    finish(record, 4, 7.1, 26.0, "en")
    finish(record, 5, 26.5, 27.5, "en")
    record.quiet(99.0)
    spans = []
    while record.wanted:
        window = take(record)
        spans.append((window.start, window.end))
        record.recognized(window, (Word(" one", window.start, window.end), Word(" more", window.end, window.end)))
    assert [start for start, _ in spans] == [0.0, 3.7, pytest.approx(6.2), 26.2]
    assert spans[0][1] == 2.3


def test_windows_that_touch_do_not_hear_each_others_words() -> None:
    record = windows(longest=5.0)
    finish(record, 1, 1.0, 5.0)
    finish(record, 2, 5.0, 8.0)
    record.quiet(99.0)
    first = take(record)
    record.recognized(first, ())
    second = take(record)
    assert (first.start, first.end) == (0.7, 5.0)
    assert (second.start, second.end) == (5.0, 8.3)


def test_what_said_nothing_or_is_longer_than_a_window_is_not_asked_for() -> None:
    record = windows()
    record.finished(0.0, Caption(TRACK, UtteranceId("u0"), 1, True, "fr", ()))
    finish(record, 1, 0.0, 21.0)
    record.quiet(99.0)
    assert record.idle
    assert record.needed_from is None
    assert record.window_to_recognize((), 0.0) is None


def test_only_one_window_is_on_its_way() -> None:
    record = windows()
    finish(record, 1, 0.0, 1.0)
    finish(record, 2, 9.0, 10.0)
    record.quiet(99.0)
    window = take(record)
    assert not record.wanted
    assert record.window_to_recognize((), 0.0) is None
    record.recognized(window, ())
    assert take(record).utterance == "u2"


def test_a_window_that_fails_is_asked_for_once_more() -> None:
    record = windows()
    finish(record, 1, 0.0, 1.0)
    finish(record, 2, 9.0, 10.0)
    record.quiet(99.0)
    record.failed(take(record))
    again = take(record)
    assert again.utterance == "u1"
    record.failed(again)
    record.failed(take(record))
    assert take(record).utterance == "u2"


def test_answers_to_other_windows_change_nothing() -> None:
    record = windows()
    finish(record, 1, 0.0, 1.0)
    record.quiet(99.0)
    window = take(record)
    other = Window(TRACK, UtteranceId("u9"), WindowKind.RECORD, 0.0, 1.0, ("fr",), "fr")
    record.failed(other)
    words = (Word(" word1", 0.0, 1.0),)
    assert record.recognized(other, words) is None
    assert record.recognized(window, words) is not None
    assert record.recognized(window, words) is None


@pytest.mark.parametrize(("heard", "cut"), [(6, False), (10, True)])
def test_when_a_text_skips_a_third_or_was_cut_the_halves_of_its_window_are_asked_for(heard: int, cut: bool) -> None:
    record = windows()
    for number in range(10):
        finish(record, number, float(number), number + 0.9)
    record.quiet(99.0)
    words = tuple(Word(f" word{number}", float(number), number + 0.9) for number in range(heard))
    assert record.recognized(take(record), words, cut) is None
    first, later = take_text(record), take_text(record)
    assert first == ["u0", "u1", "u2", "u3", "u4"]
    assert later == ["u5", "u6", "u7", "u8", "u9"]
    assert record.idle


def test_an_utterance_alone_that_is_cut_keeps_its_caption_text() -> None:
    record = windows()
    finish(record, 1, 0.0, 1.0)
    record.quiet(99.0)
    assert record.recognized(take(record), (), cut=True) is None
    assert record.idle


def take_text(record: RecordWindows) -> list[str]:
    """The utterances of the next record text, when every word of its window is heard."""
    window = take(record)
    text = record.recognized(window, tuple(Word(" word", at, at + 0.1) for at in range(10)))
    assert text is not None
    return list(text.utterances)


def test_audio_is_needed_as_long_as_a_window_may_want_it() -> None:
    record = windows()
    finish(record, 1, 2.0, 3.0)
    assert record.needed_from == pytest.approx(1.7)
    record.quiet(99.0)
    assert record.needed_from == pytest.approx(1.7)
    record.recognized(take(record), ())
    assert record.needed_from is None


def test_a_window_whose_audio_is_gone_is_given_up_and_the_next_has_its_full_chance() -> None:
    record = windows()
    finish(record, 1, 0.0, 1.0)
    finish(record, 2, 9.0, 10.0)
    record.quiet(99.0)
    record.failed(take(record))
    window = take(record, not_before=5.0)
    assert window.utterance == "u2"
    record.failed(window)
    assert take(record, not_before=5.0).utterance == "u2"


def said(count: int, start: float, end: float) -> tuple[Word, ...]:
    """``count`` words, evenly from ``start`` to ``end``."""
    step = (end - start) / count
    return tuple(Word(f" w{k}", start + k * step, start + (k + 1) * step) for k in range(count))


def test_a_record_that_skips_one_utterance_is_heard_again_in_halves() -> None:
    record = windows()
    long, short = said(20, 0.0, 8.0), said(6, 9.0, 12.0)
    for name, words in (("u1", long), ("u2", short)):
        record.finished(words[0].start, Caption(TRACK, UtteranceId(name), 1, True, "fr", words))
    record.quiet(99.0)
    assert record.recognized(take(record), (*long, *short[:2])) is None, "two of six words of the second are too few"
    halves = [take(record)]
    assert record.recognized(halves[0], long) is not None
    halves.append(take(record))
    assert [half.utterance for half in halves] == ["u1", "u2"]
    text = record.recognized(halves[1], short[:5])
    assert text is not None and text.utterances == (UtteranceId("u2"),)
    assert record.idle


def test_a_record_that_stops_early_is_completed_by_what_was_captioned() -> None:
    record = windows()
    words = said(20, 0.0, 8.0)
    record.finished(0.0, Caption(TRACK, UtteranceId("u1"), 1, True, "fr", words))
    record.quiet(99.0)
    text = record.recognized(take(record), words[:15])
    assert text is not None
    assert text.words == words


def test_one_word_less_at_the_end_is_the_record_s_own_opinion() -> None:
    record = windows()
    words = said(20, 0.0, 8.0)
    record.finished(0.0, Caption(TRACK, UtteranceId("u1"), 1, True, "fr", words))
    record.quiet(99.0)
    text = record.recognized(take(record), words[:19])
    assert text is not None
    assert text.words == words[:19]


def test_a_long_utterance_alone_is_heard_once_more_with_other_sound_around_it() -> None:
    record = windows()
    words = said(20, 3.0, 11.0)
    record.finished(3.0, Caption(TRACK, UtteranceId("u1"), 1, True, "fr", words))
    record.quiet(99.0)
    first = take(record)
    assert record.recognized(first, words, cut=True) is None
    second = take(record)
    assert (first.start, second.start) == (2.7, 2.4)
    assert record.recognized(second, words, cut=True) is None
    assert record.idle, "then its caption text stands"
