"""Many tracks: each with its own captions, records and gaps; names join the glossary; tracks come back."""

import pytest

from pipeline.domain import Gap, Hypothesis, Participant, ParticipantId, Track, TrackId, Window, WindowKind, Word
from pipeline.live.meeting import MeetingCaptioner
from pipeline.live.settings import LiveSettings

ANNE, BILAL = TrackId("anne"), TrackId("bilal")
SETTINGS = LiveSettings(
    step=0.5, first=0.5, window=8.0, keep=4.0, margin=0.5, doubt=0.5, sure=0.5, join=1.5, record_join=1.5
)


def track(name: TrackId, *languages: str) -> Track:
    return Track(name, Participant(ParticipantId(f"id-{name}"), name.title()), languages)


def meeting(*tracks: TrackId) -> MeetingCaptioner:
    core = MeetingCaptioner(SETTINGS, ("en",))
    for name in tracks:
        core.track_opened(track(name))
    return core


def said(core: MeetingCaptioner, name: TrackId, start: float, end: float) -> None:
    core.speech_started(name, start)
    core.audio_until(name, end + 0.5)
    core.speech_ended(name, end)


def cut(core: MeetingCaptioner, name: TrackId, record: bool = False, not_before: float = 0.0) -> Window:
    window = core.window_to_recognize(name, record, not_before)
    assert window is not None
    return window


def heard(window: Window, text: str, *, cut: bool = False) -> Hypothesis:
    words = tuple(
        Word(f" {each}", window.start + k * 0.2, window.start + (k + 1) * 0.2) for k, each in enumerate(text.split())
    )
    return Hypothesis(words, "en", cut=cut)


def answer(core: MeetingCaptioner, name: TrackId, text: str, record: bool = False, cut_away: bool = False) -> None:
    window = cut(core, name, record)
    core.hypothesis(window, heard(window, text, cut=cut_away))


def test_every_track_is_asked_for_and_answered_on_its_own() -> None:
    core = meeting(ANNE, BILAL)
    said(core, ANNE, 1.0, 2.0)
    core.speech_started(BILAL, 1.0)
    core.audio_until(BILAL, 2.0)
    assert core.wanted() == [(ANNE, WindowKind.FINAL), (BILAL, WindowKind.LIVE)]
    assert (core.kind_of(ANNE), core.kind_of(BILAL)) == (WindowKind.FINAL, WindowKind.LIVE)
    answer(core, BILAL, "hello")
    answer(core, ANNE, "good morning")
    assert [(caption.track, caption.final) for caption in core.captions_to_send()] == [(ANNE, True), (BILAL, False)]
    assert core.captions_to_send() == []


def test_the_record_is_asked_for_once_a_pause_is_long_enough() -> None:
    core = meeting(ANNE)
    said(core, ANNE, 1.0, 2.0)
    answer(core, ANNE, "good morning")
    core.quiet_until(2.0)
    assert core.wanted() == []
    core.quiet_until(5.0)
    assert core.wanted() == [(ANNE, WindowKind.RECORD)]
    assert core.needed_from(ANNE) == pytest.approx(0.4)
    assert not core.idle
    answer(core, ANNE, "good morning indeed", record=True)
    (record,) = core.records_to_keep()
    assert "".join(word.text for word in record.words) == " good morning indeed"
    assert core.records_to_keep() == []
    assert core.idle


def test_where_nobody_keeps_a_transcript_nothing_is_asked_for_its_record() -> None:
    core = meeting(ANNE)
    core.makes_record = False
    said(core, ANNE, 1.0, 2.0)
    answer(core, ANNE, "good morning")
    assert [caption.final for caption in core.captions_to_send()] == [True]
    core.quiet_until(5.0)
    assert core.wanted() == []
    assert core.idle


def test_time_does_not_make_ready_what_somebody_still_says() -> None:
    core = meeting(ANNE)
    said(core, ANNE, 1.0, 2.0)
    answer(core, ANNE, "good morning")
    core.speech_started(ANNE, 2.5)
    core.quiet_until(9.0)
    assert core.wanted() == []


@pytest.mark.parametrize(("text", "cut_away"), [("", False), ("half of", True)])
def test_an_empty_or_guarded_record_text_never_replaces_a_caption(text: str, cut_away: bool) -> None:
    core = meeting(ANNE)
    said(core, ANNE, 1.0, 2.0)
    answer(core, ANNE, "good morning")
    core.close()
    answer(core, ANNE, text, record=True, cut_away=cut_away)
    assert core.records_to_keep() == []
    assert core.idle


def test_a_record_that_nobody_waits_for_is_not_kept() -> None:
    core = meeting(ANNE)
    said(core, ANNE, 1.0, 2.0)
    answer(core, ANNE, "good morning")
    core.close()
    window = cut(core, ANNE, record=True)
    core.hypothesis(window, heard(window, "good morning"))
    core.hypothesis(window, heard(window, "good morning"))
    assert len(core.records_to_keep()) == 1


def test_a_record_that_fails_twice_leaves_the_caption_text() -> None:
    core = meeting(ANNE)
    said(core, ANNE, 1.0, 2.0)
    answer(core, ANNE, "good morning")
    core.track_closed(ANNE, 3.0)
    for _ in range(2):
        core.recognition_failed(cut(core, ANNE, record=True))
    assert core.wanted() == []
    assert core.idle


def test_what_is_never_recognised_is_a_gap_of_its_participant() -> None:
    core = meeting(ANNE)
    said(core, ANNE, 1.0, 2.0)
    for _ in range(3):
        core.recognition_failed(cut(core, ANNE))
    core.audio_lost(ANNE, 3.0, 4.0, "lost on the way")
    participant = track(ANNE).participant
    assert core.gaps_to_mark() == [
        Gap(ANNE, participant, 1.0, 2.0, "not recognised"),
        Gap(ANNE, participant, 3.0, 4.0, "lost on the way"),
    ]
    assert core.gaps_to_mark() == []


def test_audio_no_longer_kept_is_a_gap_at_once() -> None:
    core = meeting(ANNE)
    said(core, ANNE, 1.0, 2.0)
    assert core.window_to_recognize(ANNE, False, 50.0) is None
    assert [(gap.start, gap.end) for gap in core.gaps_to_mark()] == [(1.0, 2.0)]
    assert core.idle


def test_a_track_that_closes_mid_speech_ends_where_its_audio_does() -> None:
    core = meeting(ANNE)
    core.speech_started(ANNE, 1.0)
    core.audio_until(ANNE, 2.0)
    core.track_closed(ANNE, 3600.0)
    window = cut(core, ANNE)
    assert (window.kind, window.end) == (WindowKind.FINAL, 2.0)


def test_a_track_that_comes_back_goes_on_with_its_own_captions() -> None:
    core = meeting(ANNE)
    said(core, ANNE, 1.0, 2.0)
    core.track_closed(ANNE, 3.0)
    late = cut(core, ANNE)
    core.track_opened(track(ANNE))
    said(core, ANNE, 61.0, 62.0)
    core.hypothesis(late, heard(late, "before"))
    answer(core, ANNE, "and after")
    captions = core.captions_to_send()
    assert [(caption.utterance, caption.committed) for caption in captions] == [
        ("anne#1", " before"),
        ("anne#2", " and after"),
    ]
    assert captions[1].words[0].start >= 60.7


def test_a_meeting_that_is_over_ends_every_speech_and_waits_for_no_pause() -> None:
    core = meeting(ANNE, BILAL)
    core.speech_started(ANNE, 1.0)
    core.audio_until(ANNE, 2.0)
    core.track_closed(BILAL, 1.0)
    core.speech_started(BILAL, 2.0)
    core.close()
    answer(core, BILAL, "")
    answer(core, ANNE, "bye")
    assert core.wanted() == [(ANNE, WindowKind.RECORD)]
    answer(core, ANNE, "bye", record=True)
    assert core.idle


def test_names_join_the_glossary_when_there_is_one_and_it_may_change_at_any_time() -> None:
    core = meeting(ANNE)
    said(core, ANNE, 1.0, 2.0)
    window = cut(core, ANNE)
    assert window.glossary == ()
    core.recognition_failed(window)
    core.set_glossary(("Greffier", "Anne"))
    core.track_opened(track(BILAL))
    window = cut(core, ANNE)
    assert window.glossary == ("Greffier", "Anne", "Bilal")


def test_a_participant_may_speak_other_languages_than_the_meeting() -> None:
    core = MeetingCaptioner(SETTINGS, ("fr", "en"))
    core.track_opened(track(ANNE, "de"))
    core.track_opened(track(BILAL))
    said(core, ANNE, 1.0, 2.0)
    said(core, BILAL, 1.0, 2.0)
    assert cut(core, ANNE).language == "de"
    assert cut(core, BILAL).languages == ("fr", "en")


def test_the_languages_of_a_meeting_change_for_tracks_that_have_none_of_their_own() -> None:
    core = meeting(ANNE)
    core.track_opened(track(BILAL, "en", "de"))
    core.set_languages(("fr",))
    core.track_opened(track(TrackId("chloe")))
    for name in (ANNE, BILAL, TrackId("chloe")):
        said(core, name, 1.0, 2.0)
    assert [cut(core, name).languages for name in (ANNE, BILAL, TrackId("chloe"))] == [("fr",), ("en", "de"), ("fr",)]


def test_the_languages_of_one_participant_change_and_go_back_to_those_of_the_meeting() -> None:
    core = meeting(ANNE, BILAL)
    core.set_languages(("fr", "en"), ParticipantId("id-anne"))
    for name in (ANNE, BILAL):
        said(core, name, 1.0, 2.0)
    windows = [cut(core, name) for name in (ANNE, BILAL)]
    assert [window.languages for window in windows] == [("fr", "en"), ("en",)]
    core.hypothesis(windows[0], heard(windows[0], "good morning"))
    core.set_languages((), ParticipantId("id-anne"))
    said(core, ANNE, 5.0, 6.0)
    assert cut(core, ANNE).languages == ("en",)


def test_a_language_that_is_known_stays_where_it_is_still_among_those_spoken() -> None:
    core = meeting(ANNE)
    core.set_languages(("en", "fr"))
    said(core, ANNE, 1.0, 2.0)
    window = cut(core, ANNE)
    assert window.language == "en"
    core.hypothesis(window, heard(window, "good morning"))
    core.set_languages(("fr", "de"))
    said(core, ANNE, 5.0, 6.0)
    assert cut(core, ANNE).language is None


def test_speech_that_waits_is_behind_by_how_long_it_has_waited() -> None:
    core = meeting(ANNE, BILAL)
    assert (core.behind(100.0), core.captioning) == (0.0, False)
    core.speech_started(ANNE, 1.0)
    core.audio_until(ANNE, 3.0)
    assert core.captioning
    assert core.behind(3.5) == pytest.approx(2.5)
    core.speech_ended(ANNE, 2.5)
    assert core.behind(12.0) == pytest.approx(11.0)
    answer(core, ANNE, "good morning")
    assert (core.behind(20.0), core.captioning) == (0.0, False)


def test_no_audio_is_needed_of_a_track_that_has_ended_and_is_recognised() -> None:
    core = meeting(ANNE)
    said(core, ANNE, 1.0, 2.0)
    core.track_closed(ANNE, 3.0)
    assert core.needed_from(ANNE) < 1.0
    answer(core, ANNE, "good morning")
    assert core.needed_from(ANNE) < 1.0
    answer(core, ANNE, "good morning", record=True)
    assert core.needed_from(ANNE) == float("inf")


def test_a_track_costs_nothing_while_nothing_comes_of_it() -> None:
    core = meeting(ANNE, BILAL)
    said(core, ANNE, 1.0, 2.0)
    core.track_closed(ANNE, 3.0)
    answer(core, ANNE, "good morning")
    assert [caption.final for caption in core.captions_to_send()] == [True]
    assert list(core._active) == [ANNE], "its record is still wanted"
    answer(core, ANNE, "good morning", record=True)
    assert core.captions_to_send() == []
    assert list(core._active) == []
    assert core.needed_from(ANNE) == float("inf")
    core.track_opened(track(ANNE))
    said(core, ANNE, 5.0, 6.0)
    assert core.wanted() == [(ANNE, WindowKind.FINAL)]


def test_a_track_has_ended_once_it_is_closed_and_all_of_it_is_final() -> None:
    core = meeting(ANNE)
    said(core, ANNE, 1.0, 2.0)
    core.track_closed(ANNE, 3.0)
    assert [core.ended(name) for name in (ANNE, BILAL)] == [False, False]
    answer(core, ANNE, "good morning")
    assert [core.ended(name) for name in (ANNE, BILAL)] == [True, False]
    core.track_opened(track(ANNE))
    assert [core.ended(name) for name in (ANNE, BILAL)] == [False, False]
