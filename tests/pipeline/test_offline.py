"""A recording becomes long windows of joined speech; what the recogniser broke off is heard again, nothing twice."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from pipeline.domain import (
    AudioFrame,
    Hypothesis,
    Samples,
    SpeechEnded,
    SpeechStarted,
    TrackEvent,
    TrackId,
    UtteranceId,
    Window,
    WindowKind,
    Word,
)
from pipeline.offline import Piece, recognize, sentences, windows_of
from pipeline.store.spool import AudioSpool
from tests.recordings import frames_of, silence

TRACK = TrackId("track")


def events(*speech: tuple[float, float]) -> Iterator[TrackEvent]:
    """Speech as the edge tells it: its start, its sound from a little before, its end a little late."""
    for start, end in speech:
        yield SpeechStarted(TRACK, start)
        yield from frames_of(silence(end - start + 0.5) + 1, "track", start - 0.1, frame=3200)
        yield SpeechEnded(TRACK, end)


def spans(*speech: tuple[float, float]) -> list[tuple[float, float]]:
    cut = list(windows_of(events(*speech), AudioSpool(), TRACK, ("en",)))
    for window, samples in cut:
        assert len(samples) == round((window.end - window.start) * 16_000)
        assert samples.any()
    return [(pytest.approx(window.start), pytest.approx(window.end)) for window, _ in cut]


def test_speech_is_heard_with_a_little_around_it() -> None:
    assert spans((1.0, 3.0)) == [(0.8, 3.2)]
    assert spans((0.1, 3.0)) == [(0.0, 3.2)]
    assert spans() == []


def test_short_pauses_join_and_long_ones_part() -> None:
    assert spans((1.0, 3.0), (5.0, 6.0), (12.0, 14.0)) == [(0.8, 6.2), (11.8, 14.2)]


def test_a_window_is_never_longer_than_a_recogniser_hears() -> None:
    assert spans((1.0, 20.0), (21.0, 35.0)) == [(0.8, 20.2), (20.8, 35.2)]
    long = list(windows_of(events((1.0, 100.0)), AudioSpool(), TRACK, ("en",)))
    assert max(window.end - window.start for window, _ in long) <= 28.6
    assert (long[0][0].start, long[-1][0].end) == (0.8, 100.2)
    for (one, _), (other, _) in pairwise(long):
        assert other.start <= one.end


def test_windows_say_what_is_known_of_the_language_and_the_terms() -> None:
    ((fixed, _),) = windows_of(events((1.0, 2.0)), AudioSpool(), TRACK, ("de",), ("Greffier",))
    assert (fixed.language, fixed.detect_language, fixed.glossary) == ("de", False, ("Greffier",))
    ((open_, _),) = windows_of(events((1.0, 2.0)), AudioSpool(), TRACK, ("fr", "en"))
    assert (open_.language, open_.detect_language, open_.languages) == (None, True, ("fr", "en"))


def test_what_is_no_speech_is_passed_over() -> None:
    stray: list[TrackEvent] = [SpeechEnded(TRACK, 1.0), AudioFrame(TRACK, 1.0, silence(0.1))]
    assert list(windows_of(stray, AudioSpool(), TRACK, ("en",))) == []


# --- recognition ----------------------------------------------------------------------------------------------


def window(start: float, end: float) -> tuple[Window, Samples]:
    numbered = np.arange(round(start * 100), round(end * 100)).astype(np.int16)
    return Window(TRACK, UtteranceId("u"), WindowKind.RECORD, start, end, ("en",), "en"), numbered


Script = Sequence[Word]


def hearing(
    script: Script, until: Callable[[Window], float]
) -> tuple[Callable[..., list[Hypothesis]], list[tuple[float, float]]]:
    """A recogniser that breaks off at a moment of each window, and a list of what it was asked."""
    asked: list[tuple[float, float]] = []

    def hear(windows: Sequence[tuple[Window, Samples]]) -> list[Hypothesis]:
        answers = []
        for one, samples in windows:
            asked.append((one.start, one.end))
            assert samples[0] == round(one.start * 100)
            assert len(samples) == round((one.end - one.start) * 100)
            whole = [word for word in script if one.start <= word.start < one.end]
            kept = tuple(word for word in whole if word.end <= until(one))
            answers.append(Hypothesis(kept, "en", cut=len(kept) < len(whole)))
        return answers

    return hear, asked


SCRIPT = tuple(Word(f" w{k}", float(k), k + 0.9) for k in range(60))


def text(pieces: Sequence[Piece]) -> list[str]:
    return [word.text for piece in pieces for word in piece.words]


def test_windows_come_back_in_their_order() -> None:
    hear, asked = hearing(SCRIPT, lambda one: one.end)
    pieces = recognize([window(0, 20), window(30, 50)], hear)
    assert text(pieces) == [word.text for word in SCRIPT[:20] + SCRIPT[30:50]]
    assert len(asked) == 2


def test_what_was_broken_off_is_heard_again_from_there() -> None:
    hear, asked = hearing(SCRIPT, lambda one: one.start + 10.0)
    assert text(recognize([window(0, 28)], hear)) == [word.text for word in SCRIPT[:28]]
    assert asked[0] == (0, 28)
    assert asked[1] == (9.9, 28)


def test_where_words_stop_before_the_speech_does_the_rest_is_heard_again() -> None:
    """Whisper leaves off after a timestamp, and says nothing of it."""
    hear, asked = hearing(SCRIPT, lambda one: one.end - 8.0 if one.end - one.start > 20 else one.end)
    silent_about_it = lambda windows: [replace(heard, cut=False) for heard in hear(windows)]  # noqa: E731 - one line
    assert text(recognize([window(0, 28)], silent_about_it)) == [word.text for word in SCRIPT[:28]]
    assert asked == [(0, 28), (19.9, 28)]


def test_what_gave_next_to_nothing_is_heard_in_halves_and_nothing_twice() -> None:
    hear, asked = hearing(SCRIPT, lambda one: one.start + 1.0 if one.end - one.start > 20 else one.end + 1.0)
    assert text(recognize([window(0, 28)], hear)) == [word.text for word in SCRIPT[:28]]
    assert asked[1][0] == 0.9
    assert asked[2][1] == 28


def test_what_is_never_heard_is_given_up_after_some_halves() -> None:
    hear, asked = hearing(SCRIPT, lambda one: one.start)
    assert text(recognize([window(0, 28)], hear)) == []
    assert len(asked) <= 7


def test_the_end_of_a_window_and_windows_without_sound_are_not_heard_again() -> None:
    hear, asked = hearing(SCRIPT, lambda one: one.end - 1.0)
    recognize([window(0, 20)], hear)
    assert len(asked) == 1
    empty = (window(0, 20)[0], np.zeros(0, np.int16))
    assert recognize([empty], lambda windows: [Hypothesis((), "en", cut=True)]) == [Piece((), "en")]


# --- sentences ------------------------------------------------------------------------------------------------


def test_sentences_end_at_their_mark_or_a_long_pause() -> None:
    words = (
        Word(" One.", 0.0, 0.5),
        Word(" Two", 0.5, 1.0),
        Word(" three", 1.2, 1.5),
        Word(" four?", 3.5, 4.0),
        Word(" five", 4.0, 4.5),
    )
    parts = ["".join(word.text for word in part) for part in sentences(Piece(words, "en"))]
    assert parts == [" One.", " Two three", " four?", " five"]
    assert list(sentences(Piece((), "en"))) == []
