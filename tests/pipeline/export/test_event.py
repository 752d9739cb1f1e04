import json

import numpy as np

from pipeline.domain import Caption, Participant, ParticipantId, TrackId, UtteranceId, VoiceRun, Word
from pipeline.export.event import caption_event, voices_event
from pipeline.speakers import KnownVoice

WORDS = (Word(" Bonjour", 1.00049, 1.5, 0.98765), Word(" à", 1.5, 1.7))


def test_an_event_holds_exactly_the_caption_with_times_to_the_millisecond():
    caption = Caption(
        TrackId("anne.wav"), UtteranceId("u1"), 3, False, "fr", WORDS, (Word(" tous", 2, 3), Word(".", 3, 3)), 0.12345
    )
    event = caption_event(caption, 4.56789)
    assert event == {
        "sent_at": 4.568,
        "track": "anne.wav",
        "utterance": "u1",
        "revision": 3,
        "final": False,
        "language": "fr",
        "committed": " Bonjour à",
        "tail": " tous.",
        "words": [
            {"text": " Bonjour", "start": 1.0, "end": 1.5, "confidence": 0.988},
            {"text": " à", "start": 1.5, "end": 1.7, "confidence": 1.0},
        ],
        "lag": 0.123,
    }
    assert list(event) == "sent_at track utterance revision final language committed tail words lag".split()


def test_committed_is_the_texts_of_its_words_joined():
    event = caption_event(Caption(TrackId("t"), UtteranceId("u"), 0, True, "fr", WORDS), 2)
    assert event["committed"] == "".join(word["text"] for word in event["words"])
    assert event["tail"] == ""


def test_floats_of_a_recogniser_are_written_as_json():
    word = Word(" a", np.float32(1.25), np.float64(2), np.float32(0.5))
    event = caption_event(Caption(TrackId("t"), UtteranceId("u"), 0, True, "fr", (word,), (), np.float32(1)), 2)
    assert json.loads(json.dumps(event))["words"] == [{"text": " a", "start": 1.25, "end": 2.0, "confidence": 0.5}]


def test_voices_of_a_shared_microphone_are_named_as_people_do_and_as_they_turned_out():
    room, utterance = Participant(ParticipantId("room"), "Salle Descartes"), UtteranceId("room.1#4")
    runs = [VoiceRun(utterance, 0, 5, 2), VoiceRun(utterance, 6, 1, 1), VoiceRun(utterance, 7, 2, 3)]
    named = [KnownVoice(room.id, 1, "Éric"), KnownVoice(room.id, 3, merged_into=1)]
    event = voices_event(room, utterance, runs, {(each.participant, each.voice): each for each in named})
    assert event == {
        "utterance": "room.1#4",
        "participant": "room",
        "speaker": "Salle Descartes",
        "runs": [
            {"first": 0, "count": 5, "voice": 2, "speaker": "Salle Descartes (voix 2)"},
            {"first": 6, "count": 1, "voice": 1, "speaker": "Éric"},
            {"first": 7, "count": 2, "voice": 1, "speaker": "Éric"},
        ],
    }
