"""One track: which window is asked for, and what is shown once its words are known.

More than 400 lines, because it mirrors one source file, a short test for each of its rules.
"""

from dataclasses import replace

import pytest

from pipeline.domain import Caption, Hypothesis, TrackId, Window, WindowKind, Word
from pipeline.live.captioner import TrackCaptioner
from pipeline.live.language import LanguageTracker
from pipeline.live.policies import AlignAtt, CommitPolicy
from pipeline.live.settings import LiveSettings

SETTINGS = LiveSettings(
    step=0.5,
    first=0.5,
    window=8.0,
    keep=4.0,
    margin=0.5,
    doubt=0.5,
    sure=0.5,
    join=1.5,
    soft_utterance=10.0,
    hard_utterance=15.0,
    detect_every=2.0,
)
ENGLISH, FRENCH = (("fr", 0.0), ("en", 1.0)), (("fr", 1.0), ("en", 0.0))


def captioner(*languages: str) -> TrackCaptioner:
    def policy() -> CommitPolicy:
        return AlignAtt(SETTINGS.margin, SETTINGS.doubt, SETTINGS.sure)

    return TrackCaptioner(TrackId("a"), SETTINGS, policy, LanguageTracker(languages or ("en",)))


def speaking(until: float, start: float = 0.0, *languages: str) -> TrackCaptioner:
    track = captioner(*languages)
    track.speech_started(start)
    track.audio_until(until)
    return track


def resumed() -> TrackCaptioner:
    """Four words, a pause of a second, and speech under way again at 3 s."""
    track = speaking(2.5)
    track.speech_ended(2.0)
    answer(track, "one two three four", 0.0)
    track.speech_started(3.0)
    return track


def cut(track: TrackCaptioner, not_before: float = 0.0) -> Window:
    window = track.window_to_recognize(not_before)
    assert window is not None
    return window


def heard(text: str, start: float, length: float = 0.5, scores: tuple[tuple[str, float], ...] = ()) -> Hypothesis:
    """Words one after another from ``start`` on, in the language that scores best."""
    words = tuple(Word(f" {each}", start + k * length, start + (k + 1) * length) for k, each in enumerate(text.split()))
    return Hypothesis(words, max(scores, key=lambda pair: pair[1])[0] if scores else "en", scores)


def answer(track: TrackCaptioner, text: str, start: float, length: float = 0.5) -> list[Caption]:
    """The captions after the wanted window was recognised."""
    track.hypothesis(cut(track), heard(text, start, length))
    return track.captions_to_send()


def tail(caption: Caption) -> str:
    return "".join(word.text for word in caption.tail)


# --- windows ----------------------------------------------------------------------------------------------------


def test_silence_wants_nothing() -> None:
    track = captioner()
    assert track.wanted() is None
    assert track.window_to_recognize() is None
    assert not track.busy
    assert track.urgency is WindowKind.LIVE
    assert (track.lag, track.needed_from) == (0.0, 0.0)


def test_a_window_is_wanted_once_there_is_a_step_of_new_audio() -> None:
    track = speaking(1.4, start=1.0)
    assert track.wanted() is None
    track.audio_until(1.5)
    assert track.wanted() is WindowKind.LIVE
    window = cut(track)
    assert (window.start, window.end, window.kind) == (0.7, 1.5, WindowKind.LIVE)
    assert (window.language, window.prefix) == ("en", ())


def test_the_first_window_of_an_utterance_waits_for_more_audio() -> None:
    track = captioner()
    track.settings = replace(SETTINGS, first=1.0)
    track.speech_started(1.0)
    track.audio_until(1.9)
    assert track.wanted() is None
    track.audio_until(2.0)
    assert track.wanted() is WindowKind.LIVE


def test_sound_without_words_is_heard_again_ever_more_seldom_until_there_is_one() -> None:
    track, asked = speaking(0.5), []
    for tenths in range(5, 60):
        track.audio_until(tenths / 10)
        if track.wanted() is WindowKind.LIVE:
            asked.append(tenths / 10)
            answer(track, "", 0.0)
    assert asked == [0.5, 1.0, 2.0, 3.5, 5.0]
    track.audio_until(6.5)
    answer(track, "one two", 5.0)
    assert track.wanted() is None
    track.audio_until(7.0)
    assert track.wanted() is WindowKind.LIVE


def test_one_window_at_a_time_is_on_its_way() -> None:
    track = speaking(2.0)
    window = cut(track)
    track.audio_until(9.0)
    assert track.wanted() is None
    assert track.window_to_recognize() is None
    track.hypothesis(window, heard("", 0.0))
    assert track.wanted() is WindowKind.LIVE


def test_a_window_hears_the_newest_audio_and_continues_after_what_is_committed() -> None:
    track = speaking(2.0)
    answer(track, "one two three four", 0.0)
    track.audio_until(3.0)
    window = cut(track)
    assert (window.start, window.end) == (0.0, 3.0)
    assert "".join(word.text for word in window.prefix) == " one two three"


def test_the_last_window_is_wanted_at_once_and_hears_a_little_more_than_the_speech() -> None:
    track = speaking(1.2)
    assert track.urgency is WindowKind.LIVE
    track.speech_ended(0.7)
    assert track.wanted() is track.urgency is WindowKind.FINAL
    assert cut(track).end == pytest.approx(0.95)


def test_a_long_window_is_shortened_at_a_committed_word() -> None:
    track = speaking(8.0)
    answer(track, " ".join("abcdefghijklmno"), 0.0)
    track.audio_until(9.0)
    window = cut(track)
    assert window.start == pytest.approx(4.95)
    assert window.prefix[0].start == 5.0
    assert track.needed_from == 0.0, "the record hears the utterance as a whole"
    track.hypothesis(window, heard("p q", 7.5))
    track.speech_ended(9.0)
    answer(track, "", 0.0)
    assert track.needed_from == pytest.approx(4.65)


def test_a_long_window_without_words_keeps_what_was_not_heard() -> None:
    track = speaking(9.0)
    answer(track, "", 0.0)
    track.audio_until(10.5)
    window = cut(track)
    assert window.start <= 9.0


def test_a_lagging_track_catches_up_in_several_windows() -> None:
    track = speaking(100.0)
    track.speech_ended(90.0)
    ends = []
    while track.wanted() is not None:
        window = cut(track)
        assert window.end - window.start <= 28.0 + 1e-9
        ends.append(window.end)
        track.hypothesis(window, heard("yes" if len(ends) == 1 else "", 0.0))
    assert ends == sorted(set(ends))
    assert ends[-1] == 90.25


def test_the_glossary_goes_with_every_window() -> None:
    track = speaking(1.0)
    track.glossary = ("Greffier",)
    assert cut(track).glossary == ("Greffier",)


def test_speech_that_resumes_soon_is_heard_with_what_was_said_before() -> None:
    track = resumed()
    track.audio_until(4.0)
    first = cut(track)
    assert (first.start, first.prefix) == (2.7, ()), "what is new is heard alone while it is short"
    assert track.needed_from == 0.0
    track.hypothesis(first, heard("five", 3.2))
    track.audio_until(5.0)
    window = cut(track)
    assert window.start == 0.0
    assert len(window.prefix) == 4


def test_a_short_utterance_that_has_ended_is_heard_with_what_was_said_before() -> None:
    track = resumed()
    track.speech_ended(4.0)
    assert cut(track).start == 0.0


@pytest.mark.parametrize("in_time", [True, False])
def test_a_window_that_heard_a_short_utterance_alone_makes_no_final(in_time: bool) -> None:
    """Cut off from what was said before, recognisers mishear: the final comes of a window with it."""
    track = resumed()
    track.audio_until(4.2)
    alone = cut(track)
    if in_time:
        track.hypothesis(alone, heard("nanou", 3.6))
        track.speech_ended(4.0)
    else:
        track.speech_ended(4.0)
        track.hypothesis(alone, heard("nanou", 3.6))
    assert [caption.final for caption in track.captions_to_send()] == [False]
    window = cut(track)
    assert (window.kind, window.start, len(window.prefix)) == (WindowKind.FINAL, 0.0, 4)
    track.hypothesis(window, heard("nine", 3.6))
    [final] = track.captions_to_send()
    assert (final.final, [word.text for word in final.words]) == (True, [" nine"])


@pytest.mark.parametrize("again", ["one two three four", ""])
def test_speech_that_has_no_words_beside_what_was_said_before_is_heard_alone(again: str) -> None:
    """Given text and new sound, recognisers say that text again now and then, and nothing of what is new."""
    track = resumed()
    track.speech_ended(5.0)
    with_it = cut(track)
    assert (with_it.start, len(with_it.prefix)) == (0.0, 4)
    track.hypothesis(with_it, heard(again, 0.0))
    assert track.captions_to_send() == []
    alone = cut(track)
    assert (alone.kind, alone.start, alone.prefix) == (WindowKind.FINAL, 2.7, ())
    track.hypothesis(alone, heard("fellow wrestlers", 3.0))
    [final] = track.captions_to_send()
    assert (final.final, final.committed) == (True, " fellow wrestlers")


def test_speech_that_has_no_words_alone_either_is_given_up() -> None:
    track = resumed()
    track.speech_ended(5.0)
    assert answer(track, "", 0.0) == []
    assert answer(track, "", 0.0) == []
    assert not track.busy


def test_speech_after_a_long_pause_is_heard_alone() -> None:
    track = speaking(2.5)
    track.speech_ended(2.0)
    answer(track, "one two three four", 0.0)
    track.speech_started(5.0)
    track.audio_until(6.0)
    assert cut(track).start == 4.7


@pytest.mark.parametrize(("interval", "joined"), [(0.5, False), (0.7, False), (1.0, True), (3.0, True)])
def test_windows_that_come_seldom_hear_what_was_said_before_a_longer_pause(interval: float, joined: bool) -> None:
    track = speaking(1.0)
    answer(track, "one two", 0.0)
    track.audio_until(1.0 + interval)
    answer(track, "one two three", 0.0)
    track.audio_until(4.5)
    track.speech_ended(4.2)
    answer(track, "three four", 1.0, 1.5)
    track.speech_started(6.2)
    track.audio_until(8.3)
    window = cut(track)
    assert bool(window.prefix) is joined
    assert (window.start < 4.2) is joined


# --- captions ---------------------------------------------------------------------------------------------------


def test_words_before_the_margin_are_committed_and_the_rest_is_tail() -> None:
    track = speaking(2.0)
    (caption,) = answer(track, "one two three four", 0.0)
    assert (caption.committed, tail(caption)) == (" one two three", " four")
    assert (caption.final, caption.revision, caption.language, caption.lag) == (False, 1, "en", 0.0)


def test_nothing_new_sends_nothing() -> None:
    track = speaking(2.0)
    assert tail(*answer(track, "one", 1.8, 0.2)) == " one"
    track.audio_until(2.5)
    assert answer(track, "one", 1.8, 0.25)[0].revision == 2
    track.audio_until(3.0)
    assert tail(*answer(track, "", 0.0)) == ""
    track.audio_until(3.5)
    assert answer(track, "", 0.0) == []


def test_a_final_has_no_tail_and_the_id_of_its_partials() -> None:
    track = speaking(2.0)
    (partial,) = answer(track, "one two three four", 0.0)
    track.speech_ended(2.0)
    (final,) = answer(track, "four", 1.5)
    assert final.utterance == partial.utterance
    assert final.revision > partial.revision
    assert (final.final, final.committed, final.tail) == (True, " one two three four", ())
    assert not track.busy
    ((utterance, same),) = track.finished_utterances()
    assert (utterance.start, same) == (0.0, final)
    assert track.finished_utterances() == []


def test_a_window_on_its_way_that_heard_the_end_of_speech_makes_the_final() -> None:
    track = speaking(2.0)
    window = cut(track)
    track.audio_until(2.4)
    track.speech_ended(1.8)
    assert track.wanted() is None
    track.hypothesis(window, heard("one two three", 0.0))
    (final,) = track.captions_to_send()
    assert (final.final, final.committed) == (True, " one two three")


def test_a_window_on_its_way_that_missed_the_end_of_speech_is_followed_by_the_last_one() -> None:
    track = speaking(2.0)
    window = cut(track)
    track.audio_until(3.5)
    track.speech_ended(3.0)
    track.hypothesis(window, heard("one two three four", 0.0))
    assert track.wanted() is WindowKind.FINAL
    assert [caption.final for caption in track.captions_to_send()] == [False]


def test_speech_that_was_heard_past_its_end_is_final_at_once() -> None:
    track = speaking(2.5)
    answer(track, "one two three four", 0.0)
    track.speech_ended(2.1)
    (final,) = track.captions_to_send()
    assert final.committed == " one two three four"
    assert track.wanted() is None


def test_an_utterance_without_words_leaves_no_trace() -> None:
    track = speaking(2.0)
    track.speech_ended(1.5)
    assert answer(track, "", 0.0) == []
    assert track.finished_utterances() == []


def test_a_caption_whose_words_all_vanished_still_gets_its_final() -> None:
    track = speaking(1.0)
    answer(track, "hm", 0.6)
    track.speech_ended(1.0)
    (final,) = answer(track, "", 0.0)
    assert (final.final, final.words) == (True, ())


def test_an_answer_after_the_next_utterance_began_finishes_its_own() -> None:
    track = speaking(2.5)
    track.speech_ended(2.0)
    late = cut(track)
    track.speech_started(3.0)
    track.audio_until(4.0)
    track.hypothesis(late, heard("one two", 0.0))
    (final,) = track.captions_to_send()
    assert (final.utterance, final.committed) == ("a#1", " one two")
    assert cut(track).utterance == "a#2"


def test_an_answer_that_comes_twice_or_that_nobody_waits_for_changes_nothing() -> None:
    track = speaking(2.5)
    track.speech_ended(2.0)
    window = cut(track)
    track.hypothesis(window, heard("one two", 0.0))
    track.captions_to_send()
    track.hypothesis(window, heard("three four", 1.0))
    track.recognition_failed(window)
    assert track.captions_to_send() == []


def test_an_answer_for_an_utterance_that_is_already_final_frees_the_track() -> None:
    track = speaking(2.5)
    answer(track, "one two", 0.0)
    track.audio_until(3.0)
    window = cut(track)
    track.speech_ended(2.0)
    assert track.busy
    assert track.captions_to_send()[0].final
    track.recognition_failed(window)
    assert not track.busy
    assert track.captions_to_send() == []


def test_words_after_the_end_of_speech_are_not_shown() -> None:
    track = speaking(3.0)
    answer(track, "one two", 0.0)
    track.audio_until(3.5)
    window = cut(track)
    track.speech_ended(2.5)
    captions = track.captions_to_send()
    assert [caption.committed for caption in captions] == [" one two"]
    track.hypothesis(window, heard("thanks for watching", 3.0, 0.1))
    assert track.captions_to_send() == []
    track = speaking(3.0)
    window = cut(track)
    track.speech_ended(2.0)
    track.hypothesis(window, heard("one two three four five six", 0.0))
    assert track.captions_to_send()[0].committed == " one two three four five"


def test_words_before_speech_are_not_shown() -> None:
    track = speaking(11.0, start=10.0)
    track.speech_ended(11.0)
    (final,) = answer(track, "noise before one two", 8.75)
    assert final.committed == " before one two"
    assert final.words[0].start == pytest.approx(9.7)


def test_speech_that_starts_or_ends_twice_starts_and_ends_once() -> None:
    track = speaking(1.0)
    track.speech_started(0.5)
    track.speech_ended(1.0)
    track.speech_ended(2.0)
    assert cut(track).end == 1.0


def test_speech_that_ends_before_it_began_is_over_at_once() -> None:
    track = speaking(2.0, start=1.0)
    track.speech_ended(0.5)
    assert answer(track, "", 1.0) == []
    assert not track.busy


def test_speech_whose_end_was_lost_is_finished_all_the_same() -> None:
    track = speaking(1.0)
    track.speech_ended(7.0)
    assert cut(track).end == 7.0


def test_lag_is_the_speech_that_no_window_has_covered() -> None:
    track = speaking(2.0)
    window = cut(track)
    track.audio_until(5.0)
    track.hypothesis(window, heard("one two", 0.0))
    assert track.captions_to_send()[0].lag == 3.0


# --- long utterances --------------------------------------------------------------------------------------------


def test_a_long_utterance_ends_at_the_end_of_a_sentence() -> None:
    track = speaking(12.0)
    first, second = answer(track, "a b c d e f g h i j k. l", 0.0, 1.0)
    assert (first.final, first.committed) == (True, " a b c d e f g h i j k.")
    assert (second.final, second.committed, tail(second)) == (False, "", " l")
    assert second.utterance != first.utterance


def test_an_endless_sentence_ends_at_a_word() -> None:
    track = speaking(17.0)
    (final,) = answer(track, " ".join("abcdefghijklmnop"), 0.0, 1.0)
    assert final.final
    assert len(final.words) == 16
    assert track.busy


def test_what_follows_a_long_utterance_that_is_already_over_keeps_its_end() -> None:
    track = speaking(60.0)
    track.speech_ended(50.0)
    track.speech_started(55.0)
    captions = answer(track, " ".join("abcdefghijklmnopqrstuvwx"), 0.0, 1.0)
    assert [caption.final for caption in captions] == [True]
    successor = cut(track)
    assert successor.utterance == "a#3"
    assert successor.end == 50.25
    track.hypothesis(successor, heard("y z", 24.0))
    assert [(caption.utterance, caption.committed) for caption in track.captions_to_send()] == [("a#3", " y z")]
    assert cut(track).utterance == "a#2"


# --- trouble ----------------------------------------------------------------------------------------------------


def test_a_window_that_failed_is_asked_for_again_as_long_as_speech_goes_on() -> None:
    track = speaking(2.0)
    for _ in range(5):
        track.recognition_failed(cut(track))
    assert track.wanted() is WindowKind.LIVE
    assert track.unheard() == []


def test_three_failures_in_a_row_after_speech_give_it_up_as_a_marked_gap() -> None:
    track = speaking(2.0)
    answer(track, "one two three four", 0.0)
    track.audio_until(4.0)
    track.speech_ended(3.5)
    for _ in range(3):
        track.recognition_failed(cut(track))
    (final,) = track.captions_to_send()
    assert final.committed == " one two three four"
    assert track.unheard() == [(2.0, 3.5)]
    assert not track.busy


def test_an_answer_in_between_makes_failures_forgiven() -> None:
    track = speaking(2.0)
    track.recognition_failed(cut(track))
    track.recognition_failed(cut(track))
    answer(track, "one", 0.0)
    track.audio_until(3.0)
    track.speech_ended(3.0)
    track.recognition_failed(cut(track))
    assert track.wanted() is WindowKind.FINAL


def test_speech_that_failed_but_was_heard_whole_leaves_no_gap() -> None:
    track = speaking(2.0)
    answer(track, "one two", 0.0)
    track.speech_ended(1.95)
    for _ in range(3):
        track.recognition_failed(cut(track))
    assert track.unheard() == []
    assert track.captions_to_send()[0].committed == " one two"


def test_audio_that_is_gone_is_reported_and_what_was_heard_of_it_stays() -> None:
    track = speaking(2.0)
    answer(track, "one two three four", 0.0)
    track.audio_until(20.0)
    window = cut(track, not_before=12.0)
    assert (window.start, window.end) == (12.0, 20.0)
    assert track.unheard() == [(2.0, 12.0)]
    assert track.captions_to_send()[0].committed == " one two three four"
    track.hypothesis(window, heard("five", 13.0))
    assert track.captions_to_send()[0].committed == " one two three four five"


def test_an_utterance_whose_audio_is_all_gone_ends_without_a_window() -> None:
    track = speaking(2.0)
    answer(track, "one two three four", 0.0)
    track.audio_until(5.0)
    track.speech_ended(4.0)
    track.speech_started(20.0)
    track.audio_until(30.0)
    assert cut(track, not_before=15.0).utterance == "a#2"
    assert track.unheard() == [(2.0, 4.0)]
    assert track.captions_to_send()[0].committed == " one two three four"


def test_all_speech_may_be_gone() -> None:
    track = speaking(5.0, start=1.0)
    track.speech_ended(4.0)
    assert track.window_to_recognize(10.0) is None
    assert track.unheard() == [(1.0, 4.0)]
    assert not track.busy


def test_words_that_leave_the_window_undecided_are_committed() -> None:
    track = captioner()
    track.said.new_policy = AlwaysUnsure
    track.speech_started(0.0)
    track.audio_until(20.0)
    (caption,) = answer(track, "well then", 2.0)
    assert (caption.committed, tail(caption)) == ("", " well then")
    track.audio_until(21.0)
    assert cut(track).start > 2.5
    (caption,) = track.captions_to_send()
    assert (caption.committed, tail(caption)) == (" well then", "")


class AlwaysUnsure:
    def committable(self, window: Window, words: tuple[Word, ...], fresh: float) -> int:
        return 0


# --- languages --------------------------------------------------------------------------------------------------


def look(track: TrackCaptioner, text: str, start: float, scores: tuple[tuple[str, float], ...]) -> list[Caption]:
    track.hypothesis(cut(track), heard(text, start, scores=scores))
    return track.captions_to_send()


def test_the_language_is_looked_at_first_and_now_and_then() -> None:
    track = speaking(1.4, 0.0, "fr", "en")
    assert track.window_to_recognize() is None, "on less than this the language is mistaken"
    track.audio_until(1.5)
    window = cut(track)
    assert (window.language, window.detect_language, window.languages) == (None, True, ("fr", "en"))
    track.recognition_failed(window)
    assert look(track, "hello", 0.0, ENGLISH)[0].language == "en"
    looks = []
    for until in (2.0, 3.0, 3.5, 4.0):
        track.audio_until(until)
        window = cut(track)
        looks.append(window.detect_language)
        track.hypothesis(window, heard("", 0.0, scores=ENGLISH if window.detect_language else ()))
    assert looks == [False, False, True, False]
    track.speech_ended(3.5)
    track.speech_started(4.0)
    track.audio_until(4.7)
    assert cut(track).detect_language, "a new utterance is looked at at once"


def test_while_the_language_is_doubted_nothing_is_committed() -> None:
    track = speaking(4.0, 0.0, "fr", "en")
    look(track, "bonjour à tous", 0.0, FRENCH)
    track.audio_until(6.1)
    (caption,) = look(track, "nothing of", 4.0, (("fr", 0.28), ("en", 0.72)))
    assert (caption.committed, tail(caption)) == (" bonjour à tous", " nothing of")


def test_a_switch_divides_the_utterance_and_hears_the_rest_again() -> None:
    track = speaking(4.0, 0.0, "fr", "en")
    look(track, "bonjour à tous", 0.0, FRENCH)
    track.audio_until(12.0)
    (final,) = look(track, "nothing of this", 6.0, ENGLISH)
    assert (final.final, final.committed, final.language) == (True, " bonjour à tous", "fr")
    window = cut(track)
    assert (window.language, window.prefix, window.detect_language) == ("en", (), False)
    assert window.start == 1.5
    track.hypothesis(window, heard("now in English", 6.0))
    (caption,) = track.captions_to_send()
    assert (caption.language, caption.committed) == ("en", " now in English")


def test_a_switch_before_anything_was_committed_hears_all_of_it_again() -> None:
    track = speaking(4.0, 0.0, "fr", "en")
    look(track, "bonjour à tous", 0.0, FRENCH)
    track.speech_ended(3.4)
    track.captions_to_send()
    track.speech_started(20.0)
    track.audio_until(26.0)
    assert look(track, "de l'anglais", 21.0, ENGLISH) == []
    track.speech_ended(25.5)
    assert track.wanted() is WindowKind.FINAL
    track.hypothesis(cut(track), heard("some English", 21.0))
    (final,) = track.captions_to_send()
    assert (final.language, final.committed) == ("en", " some English")


def test_a_switch_in_the_last_window_hears_it_once_more() -> None:
    track = speaking(4.0, 0.0, "fr", "en")
    look(track, "bonjour à tous", 0.0, FRENCH)
    track.audio_until(12.0)
    track.speech_ended(11.5)
    track.speech_started(11.9)
    track.audio_until(13.0)
    assert look(track, "nothing", 6.0, ENGLISH)[0].final
    again = cut(track)
    assert (again.utterance, again.kind, again.end) == ("a#3", WindowKind.FINAL, 11.75)
    track.hypothesis(again, heard("some English", 6.0))
    assert track.captions_to_send()[0].utterance == "a#3"
    assert cut(track).utterance == "a#2"
