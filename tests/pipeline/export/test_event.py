import json

import numpy as np

from pipeline.domain import Caption, TrackId, UtteranceId, Word
from pipeline.export.event import caption_event

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
