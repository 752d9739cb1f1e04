"""Which participant each voice of a recording is, by Visio's rule."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import VoiceSpan
from pipeline.record.matching import ParticipantSpeech, names_of
from tests.livekit.naming import names

ANNE = ParticipantSpeech("Anne", ((0.0, 10.0),))
SALLE = ParticipantSpeech("Salle Descartes", ((10.0, 40.0),))


def test_a_voice_is_the_participant_who_spoke_most_while_it_did() -> None:
    voices = (VoiceSpan(1, 0.0, 9.0), VoiceSpan(2, 9.0, 30.0), VoiceSpan(1, 30.0, 31.0))
    assert names_of(voices, (ANNE, SALLE)) == {1: "Anne", 2: "Salle Descartes"}


@pytest.mark.parametrize(("heard", "named"), [(4.0, {1: "Anne"}), (3.9, {})])
def test_half_of_what_a_voice_says_must_be_theirs(heard: float, named: dict[int, str]) -> None:
    assert names_of((VoiceSpan(1, 0.0, 8.0),), (ParticipantSpeech("Anne", ((0.0, heard),)),)) == named


def test_a_voice_while_which_nobody_spoke_and_a_recording_of_nobody_have_no_name() -> None:
    voices = (VoiceSpan(1, 50.0, 60.0), VoiceSpan(2, 5.0, 5.0))
    assert names_of(voices, (ANNE, SALLE)) == {}
    assert names_of(voices, ()) == {}
    assert names_of((), (ANNE,)) == {}


def test_several_voices_at_one_microphone_are_told_apart_as_visio_does_and_others_have_the_name_alone() -> None:
    voices = (VoiceSpan(1, 10.0, 20.0), VoiceSpan(2, 0.0, 9.0), VoiceSpan(12, 20.0, 30.0))
    assert names_of(voices, (ANNE, SALLE)) == {
        1: "Salle Descartes (SPEAKER_00)",
        2: "Anne",
        12: "Salle Descartes (SPEAKER_11)",
    }


def test_two_participants_of_one_name_are_told_apart_too() -> None:
    again = ParticipantSpeech("Anne", ((10.0, 20.0),))
    voices = (VoiceSpan(1, 0.0, 10.0), VoiceSpan(2, 10.0, 20.0))
    assert names_of(voices, (ANNE, again)) == {1: "Anne (SPEAKER_00)", 2: "Anne (SPEAKER_01)"}


def test_of_two_who_spoke_as_much_the_first_is_taken() -> None:
    assert names_of((VoiceSpan(1, 5.0, 15.0),), (ANNE, SALLE)) == {1: "Anne"}
    assert names_of((VoiceSpan(1, 5.0, 15.0),), (SALLE, ANNE)) == {1: "Salle Descartes"}


def test_speech_that_is_told_twice_counts_once() -> None:
    twice = ParticipantSpeech("Bilal", ((3.0, 6.0), (0.0, 4.0), (0.0, 4.0)))
    assert names_of((VoiceSpan(1, 0.0, 13.0), VoiceSpan(1, 2.0, 13.0)), (twice,)) == {}
    assert names_of((VoiceSpan(1, 0.0, 12.0), VoiceSpan(1, 2.0, 12.0)), (twice,)) == {1: "Bilal"}


@given(
    st.lists(st.integers(0, 99), unique=True, min_size=2, max_size=12).map(sorted),
    st.lists(st.integers(1, 3), min_size=11, max_size=11),
    st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(0, 99), unique=True, min_size=2, max_size=8)),
)
def test_names_are_those_that_the_rule_of_visios_summary_gives(
    times: list[int], voices: list[int], people: dict[str, list[int]]
) -> None:
    spans = [VoiceSpan(voice, start, end) for voice, (start, end) in zip(voices, pairwise(times), strict=False)]
    heard = {name: list(zip(*[iter(sorted(at))] * 2, strict=False)) for name, at in people.items()}
    events = [
        {"participant_id": name, "type": kind, "timestamp": f"1970-01-01T00:{at // 60:02}:{at % 60:02}+00:00"}
        for name, pairs in heard.items()
        for pair in pairs
        for kind, at in zip(("speech_start", "speech_end"), pair, strict=True)
    ]
    metadata = {"events": events, "participants": [{"participantId": name, "name": name} for name in heard]}
    turns = {str(span.voice): [(each.start, each.end) for each in spans if each.voice == span.voice] for span in spans}
    expected = names(metadata, turns, 0.0, 100.0)
    found = names_of(spans, [ParticipantSpeech(name, tuple(pairs)) for name, pairs in heard.items()])
    assert {voice: name[0] for voice, name in found.items()} == {
        int(voice): name for voice, name in expected.items() if name is not None
    }
    assert all(
        (" (SPEAKER_" in name) == ([other[0] for other in found.values()].count(name[0]) > 1) for name in found.values()
    )
