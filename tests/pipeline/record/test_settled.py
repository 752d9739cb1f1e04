from dataclasses import replace

import numpy as np
import pytest

from pipeline.domain import Diarization, ParticipantId, Settled, UtteranceId, VoiceRun, VoiceSpan
from pipeline.record.settled import Heard, Settlement, by_centroids, by_sound
from pipeline.speakers import KnownVoice
from tests.pipeline.record.samples import final, record

ROOM = ParticipantId("room")
ONE, TWO, THREE = np.eye(3, dtype=np.float32)


def run(utterance, first, count, voice):
    return VoiceRun(UtteranceId(utterance), first, count, voice)


def known(voice, name=None, centroid=None, merged_into=None):
    return KnownVoice(ROOM, voice, name, merged_into, centroid)


def found(*spans, centroids=()):
    exclusive = tuple(VoiceSpan(*span) for span in spans)
    return Diarization(exclusive, exclusive, np.array(centroids, np.float32))


# --- by the kept sound ----------------------------------------------------------------------------------------

SAID = [final("a", "un deux trois quatre", 0, 4), final("b", "cinq six", 10, 12)]


def test_every_word_gets_the_voice_that_spoke_then_under_the_number_it_had_live():
    heard = Heard(ROOM, SAID, [run("a", 0, 4, 2), run("b", 0, 2, 1)], [known(1), known(2)])
    runs, voices = by_sound(heard, found((1, 0, 3), (2, 3, 4), (2, 10, 12), centroids=(ONE, TWO)))
    assert runs == [run("a", 0, 3, 2), run("a", 3, 1, 1), run("b", 0, 2, 1)]
    assert [(voice.voice, list(voice.centroid)) for voice in voices] == [(2, list(ONE)), (1, list(TWO))]


def test_a_voice_that_nobody_was_live_gets_a_number_that_nobody_has():
    heard = Heard(ROOM, SAID, [run("a", 0, 4, 1)], [known(1), known(2)])
    runs, _ = by_sound(heard, found((1, 0, 4), (2, 10, 12)))
    assert runs == [run("a", 0, 4, 1), run("b", 0, 2, 3)]


def test_words_that_no_voice_is_near_are_of_no_voice():
    runs, _ = by_sound(Heard(ROOM, SAID, [], []), found((1, 0, 1), (2, 3, 4)))
    assert runs == [run("a", 0, 2, 1), run("a", 2, 2, 2)]
    runs, _ = by_sound(Heard(ROOM, [final("a", "un deux trois", 0, 6)], [], []), found((1, 0, 1), (2, 5, 6)))
    assert runs == [run("a", 0, 1, 1), run("a", 2, 1, 2)]


def test_few_words_in_common_do_not_make_two_voices_one():
    captions = [final("a", " ".join(["oui"] * 10), 0, 10), final("b", "non", 20, 21)]
    heard = Heard(ROOM, captions, [run("a", 0, 1, 7), run("b", 0, 1, 4)], [known(7), known(4)])
    runs, _ = by_sound(heard, found((1, 0, 10), (2, 20, 21)))
    assert [each.voice for each in runs] == [1, 4]


def test_a_name_that_people_gave_goes_before_a_voice_that_said_more():
    captions = [final("a", " ".join(["oui"] * 10), 0, 10), final("b", "non", 20, 21)]
    heard = Heard(
        ROOM,
        captions,
        [run("a", 0, 6, 1), run("a", 6, 4, 2), run("b", 0, 1, 3)],
        [known(1), known(2, "Claire"), known(3)],
    )
    runs, _ = by_sound(heard, found((1, 0, 10), (2, 20, 21)))
    assert [each.voice for each in runs] == [2, 3]


def test_voices_that_people_merged_count_as_the_one_they_are():
    heard = Heard(ROOM, SAID, [run("a", 0, 4, 1), run("b", 0, 2, 2)], [known(1, merged_into=5), known(2), known(5)])
    runs, _ = by_sound(heard, found((1, 0, 4), (2, 10, 12)))
    assert [each.voice for each in runs] == [5, 2]


def test_one_voice_without_a_name_is_the_participant_itself_and_one_with_a_name_is_somebody():
    one = found((1, 0, 12))
    assert by_sound(Heard(ROOM, SAID, [run("a", 0, 4, 1)], [known(1)]), one) == ([], [])
    runs, _ = by_sound(Heard(ROOM, SAID, [run("a", 0, 4, 1)], [known(1, "Claire")]), one)
    assert runs == [run("a", 0, 4, 1), run("b", 0, 2, 1)]
    assert by_sound(Heard(ROOM, SAID, [], []), Diarization()) == ([], [])


def test_what_is_said_after_the_sound_ends_keeps_its_voices_and_nobody_else_gets_their_numbers():
    live = [run("a", 0, 4, 2), run("b", 0, 2, 3)]
    heard = Heard(ROOM, SAID[:1], live, [known(2)])
    runs, _ = by_sound(heard, found((1, 0, 3), (2, 3, 4)))
    assert runs == [run("a", 0, 3, 2), run("a", 3, 1, 1)]
    assert by_sound(heard, found((1, 0, 4)))[0] == [run("a", 0, 4, 2)]
    heard = Heard(ROOM, SAID[:1], [run("a", 0, 4, 2), run("b", 0, 2, 1)], [])
    assert by_sound(heard, found((1, 0, 3), (2, 3, 4)))[0] == [run("a", 0, 3, 2), run("a", 3, 1, 3)]


@pytest.mark.parametrize(
    ("before", "after"),
    [(np.ones(2, np.float32), ONE), (None, np.zeros(3)), (None, np.array([np.nan, 0, 0]))],
    ids=["of another model", "nothing", "damaged"],
)
def test_what_a_voice_sounds_like_is_kept_only_where_it_says_something(before, after):
    heard = Heard(ROOM, SAID, [run("a", 0, 4, 1)], [known(1, centroid=before)])
    _, voices = by_sound(heard, found((1, 0, 4), (2, 10, 12), centroids=(after, after)))
    assert voices == []


def test_there_are_never_more_voices_than_numbers():
    heard = Heard(ROOM, SAID, [], [known(number) for number in range(1, 101)])
    runs, _ = by_sound(heard, found((1, 0, 4), (2, 10, 12)))
    assert {each.voice for each in runs} <= {100}


# --- by what was kept of the voices -----------------------------------------------------------------------------


def test_voices_that_sound_alike_are_one_which_is_the_one_that_said_most():
    near = (ONE + 0.2 * TWO) / np.linalg.norm(ONE + 0.2 * TWO)
    heard = Heard(
        ROOM,
        SAID,
        [run("a", 0, 1, 1), run("a", 1, 3, 2), run("b", 0, 2, 3)],
        [known(1, centroid=near), known(2, centroid=3 * ONE), known(3, centroid=TWO)],
    )
    assert by_centroids(heard) == [run("a", 0, 1, 2), run("a", 1, 3, 2), run("b", 0, 2, 3)]


def test_a_voice_with_a_name_takes_those_without_and_two_with_names_stay_two():
    voices = [known(1, centroid=ONE), known(2, "Claire", ONE), known(3, "Paul", ONE)]
    heard = Heard(ROOM, SAID, [run("a", 0, 3, 1), run("a", 3, 1, 2), run("b", 0, 2, 3)], voices)
    merged = [each.voice for each in by_centroids(heard)]
    assert merged in ([2, 2, 3], [3, 2, 3])


def test_merging_goes_on_from_the_mean_and_follows_what_people_merged():
    voices = [known(1, centroid=ONE), known(2, centroid=ONE), known(3, centroid=ONE), known(4, merged_into=3)]
    heard = Heard(ROOM, SAID, [run("a", 0, 2, 4), run("b", 0, 1, 4), run("a", 2, 1, 1), run("a", 3, 1, 2)], voices)
    assert {each.voice for each in by_centroids(heard)} == {3}


@pytest.mark.parametrize("centroid", [None, np.zeros(3), np.array([np.inf, 0, 0]), np.ones(2)])
def test_a_voice_of_which_nothing_is_known_stays_what_it_is(centroid):
    voices = [known(1, centroid=ONE), known(2, centroid=centroid)]
    heard = Heard(ROOM, SAID, [run("a", 0, 4, 1), run("b", 0, 2, 2)], voices)
    assert by_centroids(heard) == list(heard.runs)


# --- what it must leave as it is --------------------------------------------------------------------------------


def sure(text, certainty):
    return replace(text, words=tuple(replace(word, confidence=certainty) for word in text.words))


def left(settlement, touched=(), records=()):
    return settlement.leaving({UtteranceId(each) for each in touched}, records)


def test_runs_of_what_people_touched_stay():
    names = frozenset({UtteranceId("a"), UtteranceId("b")})
    settlement = Settlement(Settled.SOUND, names, (run("a", 0, 4, 1), run("b", 0, 2, 2)))
    assert left(settlement) == settlement
    kept = left(settlement, ["a"])
    assert (kept.utterances, kept.runs) == ({"b"}, (run("b", 0, 2, 2),))


def test_a_record_text_that_would_take_the_text_of_another_utterance_away_is_not_kept():
    new = tuple(
        sure(each, 0.9) for each in (record("a b", "1 2", 0, 2), record("c", "3", 3, 4), record("d", "4", 5, 6))
    )
    settlement = Settlement(Settled.SOUND, records=new)
    assert left(settlement, [], [record("a", "x", 0, 1), record("b", "y", 1, 2)]).records == new
    assert left(settlement, ["b"]).records == new[1:]
    assert left(settlement, [], [record("b c", "x", 1, 4)]).records == new
    assert left(settlement, [], [record("d e", "x", 5, 7)]).records == new[:2]
    assert left(settlement, ["a"], [record("b c", "x", 1, 4)]).records == new[2:]


def test_a_record_text_that_is_no_surer_than_the_one_before_is_not_kept():
    old = [record("a b", "x y", 0, 2), record("d", "z", 5, 6)]  # their words are 0.5 sure
    new = (sure(record("a", "1", 0, 1), 0.5), record("b", "2", 1, 2), sure(record("c", "3", 3, 4), 0.1))
    assert left(Settlement(Settled.SOUND, records=new), [], old).records == new[2:]
    better = (sure(record("d", "4", 5, 6), 0.6),)
    assert left(Settlement(Settled.SOUND, records=better), [], old).records == better
