"""An utterance goes on and ends as it should while another track's words are withheld from it."""

from pipeline.domain import Participant, ParticipantId, Track, TrackId, Word
from pipeline.live.meeting import MeetingCaptioner
from tests.timelines.hearing import Hearing
from tests.timelines.player import Moment, Player, Recogniser, speech, spoken
from tests.timelines.table import SETTINGS

ANNE, BILAL = TrackId("anne"), TrackId("bilal")


def player(own: str, seconds: float) -> tuple[Player, list[Moment]]:
    """Anne speaks from 2 s on; Bilal's microphone hears her without a pause after Bilal's ``own`` words."""
    text = [f"mot{number}" for number in range(round(seconds * 2))]
    anne = spoken(text, 2.0, 2.0 + seconds)
    bilal = (*spoken(own.split(), 1.0, 1.8), *spoken(text, 2.05, 2.05 + seconds))
    core = MeetingCaptioner(SETTINGS, ("en",))
    made = Player(core, Hearing({ANNE: anne, BILAL: bilal}), Recogniser(), loud={ANNE: -20.0, BILAL: -35.0})
    opening = [Moment(0.0, lambda player, track=track: player.opens(track)) for track in (ANNE, BILAL)]
    begins = 1.0 if own else 2.05
    return made, [*opening, *speech(ANNE, 2.0, 2.0 + seconds), *speech(BILAL, begins, 2.05 + seconds)]


def test_own_words_are_final_soon_though_another_goes_on_in_the_microphone() -> None:
    made, moments = player("oui merci", 20.0)
    made.play_until(8.0, moments)
    assert [final.committed for final in made.finals if final.track == BILAL] == [" oui merci"]


def test_a_microphone_that_hears_another_alone_shows_nothing_and_needs_no_sound_of_long_ago() -> None:
    made, moments = player("", 60.0)
    made.play_until(50.0, moments)
    assert made.core.needed_from(BILAL) > 20.0
    assert [caption for caption in made.captions if caption.track == BILAL and caption.words] == []


def test_what_is_said_after_another_was_heard_for_long_is_an_utterance_of_its_own() -> None:
    made, moments = player("", 30.0)
    own = spoken(["bien", "sûr"], 33.5, 34.5)
    made.ears = Hearing({**made.ears.script, BILAL: (*made.ears.script[BILAL], *own)})  # type: ignore[attr-defined]
    made.play([*moments, *speech(BILAL, 33.5, 34.5)])
    assert [final.committed for final in made.finals if final.track == BILAL and final.words] == [" bien sûr"]
    assert [("".join(word.text for word in record.words)) for record in made.records if record.track == BILAL] == [
        " bien sûr"
    ]
    (final,) = [final for final in made.finals if final.track == BILAL and final.words]
    assert {level for _, level in final.levels} == {-35.0}


def test_words_that_come_by_themselves_are_withheld_too_one_by_one() -> None:
    core = MeetingCaptioner(SETTINGS, ("en",))
    said = {ANNE: "good morning everybody and welcome thank you", BILAL: "good morning everybody and welcome yes Anne"}
    for track, level in ((ANNE, -20.0), (BILAL, -35.0)):
        core.track_opened(Track(track, Participant(ParticipantId(track), track)))
        core.streamed(track, True)
        assert not core.compares_levels
        core.speech_started(track, 1.0)
        core.stream_begins(track)
        core.audio_level(track, 1.0, 3.0, level)
        core.audio_until(track, 5.0)
    assert core.compares_levels
    for track, level in ((ANNE, -50.0), (BILAL, -25.0)):
        core.audio_level(track, 3.0, 5.0, level)
    shown = []
    for number in range(7):
        for track in (ANNE, BILAL):
            start = 1.0 + number * 0.4
            core.words(track, [Word(f" {said[track].split()[number]}", start, start + 0.4)], (), start + 0.4)
            shown += core.captions_to_send()
    for track in (ANNE, BILAL):
        core.speech_ended(track, 3.8)
        core.words(track, (), (), 4.3)
    finals = {caption.track: caption.committed for caption in core.captions_to_send() if caption.final}
    assert finals == {ANNE: " good morning everybody and welcome thank you", BILAL: " yes Anne"}
    assert {
        caption.committed + "".join(word.text for word in caption.tail) for caption in shown if caption.track == BILAL
    } == {
        " yes",
        " yes Anne",
    }
