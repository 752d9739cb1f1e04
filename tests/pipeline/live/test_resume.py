"""A meeting cut off anywhere goes on in another live core, and readers of both see one meeting: the laws hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain import (
    Caption,
    Hypothesis,
    Participant,
    ParticipantId,
    Track,
    TrackId,
    UtteranceId,
    Window,
    WindowKind,
    Word,
)
from pipeline.live.meeting import MeetingCaptioner
from tests.pipeline.live.test_laws import (
    LIVE,
    POLICIES,
    TRACKS,
    Meeting,
    closing,
    meetings,
    modest,
    opening,
    recognisers,
    shown,
)
from tests.timelines.hearing import Hearing
from tests.timelines.player import HANG, ONSET, Moment, Player, Recogniser

thorough = settings(modest, max_examples=300)


@dataclass(frozen=True, slots=True)
class Cut:
    """When the first core stops; the second is fed again from ``back`` seconds before what it needs.

    What was said before the cut then comes ``pace`` seconds at a time.
    """

    at: float
    back: float
    pace: float


cuts = st.builds(
    Cut,
    st.integers(1, 900).map(lambda tenths: tenths / 10),
    st.sampled_from([0.0, 0.4, 3.0, 1e9]),
    st.sampled_from([0.1, 2.0, 90.0]),
)


def played(meeting: Meeting, recogniser: Recogniser, policy: str, cut: Cut) -> Player:
    """The second player, with everything that both gave, watched by one witness."""
    first = Player(core(meeting, policy), Hearing(meeting.script()), recogniser)
    first.play_until(cut.at, meeting.moments())
    second = Player(core(meeting, policy), first.ears, recogniser, witness=first.witness)
    second.gaps, second.records = first.gaps, first.records
    resume(second.core, first)
    moments = fed_again(meeting, first, second, cut)
    hurry(second, [moment for moment in moments if moment.at <= cut.at], cut)
    second.play([moment for moment in moments if moment.at > cut.at])
    return second


def core(meeting: Meeting, policy: str) -> MeetingCaptioner:
    return MeetingCaptioner(LIVE, tuple(dict.fromkeys((*meeting.languages, "en"))), POLICIES[policy])


def resume(core: MeetingCaptioner, first: Player) -> None:
    """``core`` knows what readers were shown; they are shown a tail without its words."""
    recorded = {utterance for record in first.records for utterance in record.utterances}
    for track in TRACKS:
        seen = [caption for caption in newest(first.captions) if caption.track == track]
        finals = [caption for caption in seen if caption.final]
        left = [replace(caption, tail=()) for caption in seen if not caption.final]
        assert len(left) <= 1, "one utterance of a track at a time is open"
        unrecorded = [final for final in finals if final.utterance not in recorded]
        core.resume(named(track), finals, left[0] if left else None, unrecorded)


def newest(captions: Sequence[Caption]) -> list[Caption]:
    return list({caption.utterance: caption for caption in captions}.values())


def named(track: TrackId) -> Track:
    return Track(track, Participant(ParticipantId(track), track.title()))


def fed_again(meeting: Meeting, first: Player, second: Player, cut: Cut) -> list[Moment]:
    """What a stream still holds: the first frame that is needed, or one before it, and whatever came after that."""
    needed = {track: max(0.0, moment - cut.back) for track, moment in first.core.unsettled_from().items()}
    second.gone = dict.fromkeys(TRACKS, float("inf"))
    moments = []
    for track, start, end in meeting.utterances:
        frame = max(start, needed.get(track, 0.0))
        if frame < end + HANG:
            second.gone[track] = min(second.gone[track], frame)
            moments += [
                Moment(max(frame, start + ONSET), starting(track, frame)),
                Moment(end + HANG, ending(track, end)),
            ]
        if meeting.rejoins and end + 0.6 > cut.at:
            moments += [Moment(end + 0.6, closing(track)), Moment(end + 0.7, opening(track))]
    return sorted(moments, key=lambda moment: moment.at)


def starting(track: TrackId, at: float) -> Callable[[Player], None]:
    return lambda player: player.starts(track, at)


def ending(track: TrackId, at: float) -> Callable[[Player], None]:
    return lambda player: player.ends(track, at)


def hurry(player: Player, moments: Sequence[Moment], cut: Cut) -> None:
    waiting = list(moments)
    player.now = max(0.0, waiting[0].at - 0.1) if waiting else cut.at
    while player.now < cut.at:
        until = round(min(cut.at, player.now + cut.pace), 6)
        while waiting and waiting[0].at <= until:
            player.now = max(player.now, waiting[0].at)
            hear(player)
            waiting.pop(0).happens(player)
            player.drain()
        player.now = until
        hear(player)
        player.core.quiet_until(cut.at)
        player.recognise()


def hear(player: Player) -> None:
    for track in sorted(player.sending):
        player.core.audio_until(track, player.now)


@thorough
@given(meetings(), recognisers(), st.sampled_from(sorted(POLICIES)), cuts)
def test_every_word_is_in_one_final_wherever_a_meeting_is_cut(
    meeting: Meeting, recogniser: Recogniser, policy: str, cut: Cut
) -> None:
    player = played(meeting, recogniser, policy, cut)
    for track, said in meeting.script().items():
        assert [word.text for word in shown(player, track)] == [one.word.text for one in said]
    assert not player.gaps


@thorough
@given(meetings(), recognisers(), cuts)
def test_the_record_hears_every_utterance_once_wherever_a_meeting_is_cut(
    meeting: Meeting, recogniser: Recogniser, cut: Cut
) -> None:
    player = played(meeting, recogniser, "alignatt", cut)
    heard = [utterance for record in player.records for utterance in record.utterances]
    assert len(heard) == len(set(heard))
    fits = LIVE.record_window
    wanted = {one.utterance for one in player.finals if one.words and one.words[-1].end - one.words[0].start <= fits}
    assert set(heard) == wanted


@modest
@given(meetings(("fr", "en"), longest=15.0), recognisers(), cuts)
def test_no_word_is_lost_when_languages_switch_and_the_meeting_is_cut(
    meeting: Meeting, recogniser: Recogniser, cut: Cut
) -> None:
    player = played(meeting, recogniser, "alignatt", cut)
    for track, said in meeting.script().items():
        assert [word.text.rstrip("?") for word in shown(player, track)] == [one.word.text for one in said]


# --- what goes on, and what does not come again ---------------------------------------------------------------

ANNE = named(TRACKS[0])


def words(text: str, start: float) -> tuple[Word, ...]:
    """One word every half second."""
    return tuple(Word(f" {each}", start + k / 2, start + k / 2 + 0.4) for k, each in enumerate(text.split()))


def caption(number: int, text: str, start: float, *, final: bool = True, revision: int = 3) -> Caption:
    return Caption(ANNE.id, UtteranceId(f"anne#{number}"), revision, final, "en", words(text, start))


def going_on(
    *finals: Caption,
    opened: Caption | None = None,
    unrecorded: Sequence[Caption] = (),
    languages: tuple[str, ...] = ("en",),
) -> MeetingCaptioner:
    core = MeetingCaptioner(LIVE, languages, POLICIES["alignatt"])
    core.resume(ANNE, finals, opened, unrecorded)
    return core


def cut_window(core: MeetingCaptioner, not_before: float = 0.0, *, record: bool = False) -> Window:
    window = core.window_to_recognize(ANNE.id, record, not_before)
    assert window is not None
    return window


def answered(core: MeetingCaptioner, text: str, start: float) -> list[Caption]:
    window = cut_window(core)
    core.hypothesis(window, Hypothesis(words(text, start), "en"))
    return core.captions_to_send()


def test_the_open_utterance_goes_on_under_its_id_with_its_words_and_the_next_has_the_next_number() -> None:
    core = going_on(caption(4, "yes", 1.0), opened=caption(7, "we may", 10.0, final=False))
    core.audio_until(ANNE.id, 13.0)
    core.speech_ended(ANNE.id, 12.0)
    (final,) = answered(core, "begin", 11.0)
    assert (final.utterance, final.revision, final.committed) == ("anne#7", 4, " we may begin")
    core.speech_started(ANNE.id, 20.0)
    core.speech_ended(ANNE.id, 21.0)
    assert answered(core, "now", 20.0)[0].utterance == "anne#8"


def test_the_first_window_goes_on_after_what_was_said_last() -> None:
    core = going_on(
        caption(1, "long ago", 1.0), caption(2, "one two", 9.0), opened=caption(3, "three", 10.0, final=False)
    )
    core.audio_until(ANNE.id, 12.0)
    window = cut_window(core)
    assert "".join(word.text for word in window.prefix) == " one two three"


def test_speech_that_lies_before_the_last_committed_word_leaves_nothing_when_it_is_fed_again() -> None:
    core = going_on(caption(1, "one two three", 1.0))
    core.speech_started(ANNE.id, 1.0)
    core.audio_until(ANNE.id, 2.4)
    core.speech_ended(ANNE.id, 2.3)
    assert (core.wanted(), core.captions_to_send(), core.captioning) == ([], [], False)


def test_the_end_of_earlier_speech_that_is_fed_again_ends_no_open_utterance() -> None:
    core = going_on(caption(1, "yes", 1.0), opened=caption(2, "we may", 10.0, final=False))
    core.speech_started(ANNE.id, 1.0)
    core.speech_ended(ANNE.id, 1.5)
    core.speech_started(ANNE.id, 9.9)
    assert core.captioning
    assert core.wanted() == []


def test_an_utterance_that_was_shown_without_words_begins_where_its_speech_does() -> None:
    core = going_on(caption(1, "yes", 1.0), opened=caption(2, "", 0.0, final=False))
    core.speech_started(ANNE.id, 20.0)
    core.audio_until(ANNE.id, 22.0)
    core.speech_ended(ANNE.id, 21.5)
    window = cut_window(core, not_before=19.9)
    core.hypothesis(window, Hypothesis(words("no", 20.5), "en"))
    (final,) = core.captions_to_send()
    assert (final.utterance, final.committed, core.gaps_to_mark()) == ("anne#2", " no", [])


def test_a_track_that_was_closed_meanwhile_has_the_final_of_its_committed_words() -> None:
    core = going_on(opened=caption(2, "we may", 10.0, final=False))
    core.track_closed(ANNE.id, 30.0)
    assert core.window_to_recognize(ANNE.id, False, float("inf")) is None
    (final,) = core.captions_to_send()
    assert (final.final, final.committed, core.gaps_to_mark()) == (True, " we may", [])


def test_speech_of_which_the_sound_is_gone_is_a_marked_gap_from_the_last_committed_word_on() -> None:
    core = going_on(opened=caption(2, "we may", 10.0, final=False))
    core.audio_until(ANNE.id, 16.0)
    core.speech_ended(ANNE.id, 15.5)
    cut_window(core, not_before=14.0)
    assert [(gap.start, gap.end) for gap in core.gaps_to_mark()] == [(10.9, 14.0)]


def test_a_loss_that_reaches_back_into_what_was_heard_is_marked_from_the_last_committed_word_on() -> None:
    core = going_on(opened=caption(2, "we may", 10.0, final=False))
    core.audio_lost(ANNE.id, 9.0, 14.0, "lost on the way")
    core.audio_lost(ANNE.id, 9.0, 10.5, "lost on the way")
    assert [(gap.start, gap.end) for gap in core.gaps_to_mark()] == [(10.9, 14.0)]


def test_a_final_without_record_text_is_recognised_again_once_its_sound_is_here() -> None:
    core = going_on(caption(1, "one two", 1.0), unrecorded=[caption(1, "one two", 1.0)])
    core.quiet_until(60.0)
    assert core.wanted() == []
    assert core.unsettled_from() == {ANNE.id: 0.7}
    core.audio_until(ANNE.id, 2.5)
    core.quiet_until(60.0)
    assert core.wanted() == [(ANNE.id, WindowKind.RECORD)]
    assert cut_window(core, record=True).start == 0.7
    assert not core.idle


def test_a_final_whose_sound_is_gone_keeps_its_caption_text_when_its_track_ends() -> None:
    core = going_on(caption(1, "one two", 1.0), unrecorded=[caption(1, "one two", 1.0)])
    assert not core.idle
    core.track_closed(ANNE.id, 60.0)
    assert core.window_to_recognize(ANNE.id, True, float("inf")) is None
    assert core.idle
    assert core.unsettled_from() == {ANNE.id: float("inf")}


def test_a_final_whose_sound_does_not_come_again_keeps_its_caption_text_after_a_while() -> None:
    core = going_on(caption(1, "one two", 1.0), unrecorded=[caption(1, "one two", 1.0)])
    core.quiet_until(121.0)
    assert not core.idle
    core.quiet_until(122.0)
    assert core.window_to_recognize(ANNE.id, True, float("inf")) is None
    assert core.idle


def test_the_language_goes_on_where_it_is_still_among_those_declared() -> None:
    french = replace(caption(1, "oui", 1.0), language="fr")
    for languages, expected in ((("en", "fr"), "fr"), (("en", "de"), None)):
        core = going_on(french, languages=languages)
        core.speech_started(ANNE.id, 20.0)
        core.audio_until(ANNE.id, 22.0)
        assert cut_window(core).language == expected


# --- what the owner of a meeting asks ------------------------------------------------------------------------


def test_what_is_unsettled_is_what_another_session_would_have_to_hear() -> None:
    core = going_on()
    assert core.knows(ANNE.id)
    assert core.unsettled_from() == {ANNE.id: 0.0}
    core.speech_started(ANNE.id, 5.0)
    core.audio_until(ANNE.id, 8.0)
    core.speech_ended(ANNE.id, 7.5)
    assert answered(core, "a b c d", 5.2)[0].final
    assert core.unsettled_from() == {ANNE.id: 4.4}, "its record is still to be heard"
    core.quiet_until(20.0)
    core.hypothesis(cut_window(core, record=True), Hypothesis(words("a b c d", 5.2), "en"))
    assert core.unsettled_from() == {ANNE.id: 8.0}, "nobody speaks: all that was heard is done"


def test_speech_waits_for_words_since_its_last_one_or_since_it_began() -> None:
    core = going_on()
    assert core.wordless() == {}
    core.speech_started(ANNE.id, 5.0)
    core.audio_until(ANNE.id, 8.0)
    assert core.wordless() == {ANNE.id: 5.0}
    assert core.talking == 1
    answered(core, "a b c d", 5.2)
    assert core.wordless() == {ANNE.id: pytest.approx(7.1)}, "a tail is words, too"


def test_a_track_that_is_reset_is_heard_alone_in_any_of_its_languages() -> None:
    core = going_on(opened=caption(2, "we may", 10.0, final=False), languages=("en", "fr"))
    core.audio_until(ANNE.id, 13.0)
    core.reset(ANNE.id)
    window = cut_window(core)
    assert (window.prefix, window.language, window.detect_language) == ((), None, True)
    assert window.start == pytest.approx(10.6), "after the words that are committed, but for a quiet onset"
    (final,) = core.captions_to_send()
    assert (final.final, final.committed) == (True, " we may")


def test_a_reset_of_a_track_where_nobody_speaks_forgets_what_was_said() -> None:
    core = going_on(caption(1, "one two", 10.0))
    core.reset(ANNE.id)
    core.speech_started(ANNE.id, 11.5)
    core.audio_until(ANNE.id, 13.0)
    assert (cut_window(core).prefix, core.captions_to_send()) == ((), [])
