"""Words that come by themselves, one rule at a time."""

from dataclasses import dataclass, field

import pytest

from pipeline.domain import Caption, Hypothesis, Participant, ParticipantId, Track, TrackId, Window, WindowKind, Word
from pipeline.live.meeting import MeetingCaptioner

ANNE = TrackId("anne")


@dataclass(slots=True)
class Room:
    core: MeetingCaptioner = field(default_factory=lambda: MeetingCaptioner(languages=("fr", "en")))
    shown: list[Caption] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.core.track_opened(Track(ANNE, Participant(ParticipantId("anne"), "Anne")))

    def starts(self, at: float, until: float, on: bool = True) -> None:
        self.core.streamed(ANNE, on)
        self.core.speech_started(ANNE, at)
        self.core.audio_until(ANNE, until)

    def ends(self, at: float, until: float) -> None:
        self.core.audio_until(ANNE, until)
        self.core.speech_ended(ANNE, at)

    def says(self, text: str, start: float, until: float, tail: str = "", length: float = 0.3) -> None:
        def of(part: str, begin: float) -> list[Word]:
            return [Word(f" {one}", begin + k * length, begin + (k + 1) * length) for k, one in enumerate(part.split())]

        words = of(text, start)
        self.core.words(ANNE, words, of(tail, words[-1].end if words else start), until)

    def window(self) -> Window:
        window = self.core.window_to_recognize(ANNE, False, 0.0)
        assert window is not None
        return window

    def newest(self) -> list[Caption]:
        self.shown += (captions := self.core.captions_to_send())
        return captions

    def finals(self) -> list[str]:
        self.newest()
        return [caption.committed.strip() for caption in self.shown if caption.final]


def test_words_are_committed_as_they_come_and_the_tail_is_shown() -> None:
    room = Room()
    room.starts(1.0, 3.0)
    room.says("bonjour à", 1.0, 2.0, tail="tou")
    (caption,) = room.newest()
    assert (caption.committed, caption.tail[0].text, caption.final) == (" bonjour à", " tou", False)
    room.says("tous", 1.6, 2.5)
    (caption,) = room.newest()
    assert (caption.committed, caption.tail, caption.revision) == (" bonjour à tous", (), 2)
    room.says("", 2.5, 2.6)
    assert room.newest() == []


def test_speech_has_its_final_once_all_of_it_was_heard() -> None:
    room = Room()
    room.starts(1.0, 3.0)
    room.says("bonjour", 1.0, 2.0)
    room.ends(2.4, 2.9)
    assert room.finals() == []
    room.says("", 0.0, 2.5)
    assert room.finals() == []
    room.says("", 0.0, 2.7)
    assert room.finals() == ["bonjour"]
    assert not room.core.streaming(ANNE)


def test_a_tail_is_waited_for_while_more_is_to_come_and_taken_when_all_was_heard() -> None:
    room = Room()
    room.starts(1.0, 3.0)
    room.says("bonjour", 1.0, 2.0, tail="tous")
    room.ends(2.0, 2.5)
    room.says("", 1.3, 2.3, tail="tous")
    assert room.finals() == []
    room.says("", 1.3, 3.0, tail="tous")
    assert room.finals() == ["bonjour tous"]


def test_words_that_come_before_the_one_before_is_final_wait_for_it() -> None:
    room = Room()
    room.starts(1.0, 3.0, on=False)
    room.ends(2.5, 3.0)
    window = room.window()
    room.starts(4.0, 6.0)
    room.says("deux", 4.0, 5.0)
    assert room.newest() == []
    room.core.hypothesis(window, Hypothesis((Word(" un", 1.0, 1.5),), "fr"))
    assert [(caption.committed, caption.final) for caption in room.newest()] == [(" un", True), (" deux", False)]


def test_words_wait_for_one_that_is_given_up_too() -> None:
    room = Room()
    room.starts(1.0, 3.0, on=False)
    room.ends(2.5, 3.0)
    room.starts(4.0, 6.0)
    room.says("deux", 4.0, 5.0)
    for _ in range(3):
        room.core.recognition_failed(room.window())
    assert [caption.committed for caption in room.newest()] == [" deux"]
    assert [gap.reason for gap in room.core.gaps_to_mark()] == ["not recognised"]


def test_words_wait_for_one_whose_sound_is_gone_too() -> None:
    room = Room()
    room.starts(1.0, 3.0, on=False)
    room.ends(2.5, 3.0)
    room.starts(4.0, 6.0)
    room.says("deux", 4.0, 5.0)
    assert room.core.window_to_recognize(ANNE, False, 3.5) is None
    assert [caption.committed for caption in room.newest()] == [" deux"]


def test_a_word_belongs_to_the_speech_that_it_is_nearest_to() -> None:
    room = Room()
    room.starts(1.0, 3.0)
    room.ends(2.0, 2.5)
    room.starts(3.0, 5.0)
    room.says("un deux", 1.5, 4.0, length=1.2)
    assert room.finals() == ["un"]
    assert [caption.committed for caption in room.shown if not caption.final] == [" deux"]


def test_what_is_said_when_nobody_speaks_is_not_shown() -> None:
    room = Room()
    room.says("merci d'avoir regardé", 1.0, 3.0)
    room.starts(5.0, 7.0)
    room.says("bonjour", 5.0, 5.5)
    room.ends(6.0, 6.5)
    room.says("merci", 6.6, 7.0)
    assert room.finals() == ["bonjour"]
    assert room.core.idle or not room.core.captioning


def test_a_phrase_that_is_said_over_and_over_is_cut() -> None:
    room = Room()
    room.starts(0.0, 30.0)
    for k in range(40):
        room.says("merci", k * 0.3, 1.0 + k * 0.3)
    room.says("beaucoup", 12.0, 13.0)
    text = "".join(caption.committed for caption in room.newest()[-1:])
    assert text.split().count("merci") <= 6
    assert text.endswith("beaucoup")


def test_windows_go_on_from_what_is_committed_under_the_same_id() -> None:
    room = Room()
    room.starts(1.0, 4.0)
    room.says("bonjour à", 1.0, 3.0, tail="t")
    room.core.streamed(ANNE, False)
    window = room.window()
    assert (window.kind, window.utterance, window.end) == (WindowKind.LIVE, "anne#1", 4.0)
    assert [word.text for word in window.prefix] == [" bonjour", " à"]
    room.core.hypothesis(window, Hypothesis((Word(" tous", 1.7, 2.2), Word(" et", 2.3, 2.5)), "fr"))
    room.says("perdu", 2.0, 4.0)
    room.ends(4.0, 4.5)
    room.core.hypothesis(room.window(), Hypothesis((Word(" toutes", 2.6, 3.0),), "fr"))
    assert room.finals() == ["bonjour à tous et toutes"]
    assert {caption.utterance for caption in room.shown} == {"anne#1"}


def test_a_stream_that_begins_anew_hears_the_last_words_again_and_they_are_taken_once() -> None:
    room = Room()
    room.starts(1.0, 4.0)
    assert room.core.stream_begins(ANNE) == 0.5
    room.says("un deux trois", 1.0, 2.5)
    assert room.core.stream_begins(ANNE) == pytest.approx(1.25)
    room.says("deux", 1.35, 1.5)
    room.says("trois", 1.65, 1.8)
    assert [caption.committed for caption in room.newest()] == [" un deux trois"]
    room.says("quatre", 2.3, 2.6)
    assert [caption.committed for caption in room.newest()] == [" un deux trois quatre"]


def test_a_stream_that_begins_anew_and_says_nothing_more_ends_the_speech() -> None:
    room = Room()
    room.starts(1.0, 2.5)
    room.says("un deux", 1.0, 2.0)
    room.ends(1.7, 2.2)
    room.core.stream_begins(ANNE)
    room.says("un deux", 1.0, 1.5)
    room.says("", 0.0, 2.5)
    assert room.finals() == ["un deux"]


def test_no_stream_begins_where_nobody_speaks_or_windows_do_it() -> None:
    room = Room()
    assert room.core.stream_begins(ANNE) is None
    room.starts(1.0, 2.0, on=False)
    assert room.core.stream_begins(ANNE) is None


def test_words_say_in_which_language_they_are() -> None:
    room = Room()
    room.starts(1.0, 9.0)
    room.says("what is the plan", 1.0, 3.0)
    assert room.newest()[-1].language == "en"
    room.ends(3.0, 9.0)
    room.says("", 3.0, 9.0)
    room.starts(10.0, 20.0)
    room.says("je ne sais pas ce que vous en dites", 10.0, 15.0)
    assert room.newest()[-1].language == "fr"
    room.ends(16.0, 20.0)
    room.says("", 16.0, 20.0)
    assert [final.language for final in room.shown if final.final] == ["en"]


def test_whoever_watches_for_words_leaves_streams_alone() -> None:
    room = Room()
    room.starts(1.0, 20.0)
    assert room.core.wordless() == {}
    room.says("bonjour", 1.0, 2.0)
    room.core.reset(ANNE)
    assert room.core.stream_begins(ANNE) == pytest.approx(0.95)
    room.core.streamed(ANNE, False)
    assert room.core.wordless() == {ANNE: 20.0}  # windows have just begun
    room.core.reset(ANNE)
    assert room.finals() == ["bonjour"]


def test_sound_of_before_what_is_committed_is_let_go_of() -> None:
    room = Room()
    room.core.makes_record = False
    room.starts(1.0, 30.0)
    room.says(" ".join(f"mot{number}" for number in range(56)), 1.0, 29.0, length=0.5)
    assert room.core.needed_from(ANNE) > 6.0
    room.ends(29.0, 30.0)
    room.says("", 1.0, 30.0)
    assert room.core.needed_from(ANNE) > 28.0
