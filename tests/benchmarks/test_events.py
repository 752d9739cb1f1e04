"""Event logs and transcripts as the commands write them."""

import json

from tests.benchmarks.events import caption_words, count_gaps, read_events, read_texts, text_words

WORD = {"text": " oui", "start": 1.0, "end": 1.5, "confidence": 0.9}
OTHER = {"text": " non", "start": 1.0, "end": 1.5, "confidence": 0.9}


def row(**changed):
    begun = {"sent_at": 2.0, "track": "a.wav", "utterance": "u", "revision": 1, "final": False, "language": "fr"}
    return begun | {"committed": "", "tail": " oui", "words": [], "lag": 0.2} | changed


def test_a_log_is_read_line_by_line(tmp_path):
    path = tmp_path / "log.jsonl"
    rows = [row(), row(final=True, revision=2, committed=" oui", tail="", words=[WORD], unknown=1)]
    path.write_text("".join(f"{json.dumps(each)}\n" for each in rows))
    first, last = read_events(path)
    assert (first.shown, first.lag, last.final) == (" oui", 0.2, True)
    assert [word.text for word in caption_words([first, last])] == [" oui"]


def test_the_text_that_stands_for_each_segment_is_read(tmp_path):
    path = tmp_path / "transcript.json"
    record = {"origin": "record", "text": "oui", "words": [WORD]}
    caption = {"origin": "caption", "text": "non", "words": [OTHER]}
    segment = {"track": "a.wav", "start": 1.0, "end": 2.0, "language": "fr"}
    gap = {"start": 3.0, "end": 5.5}
    both, surer, alone = (
        segment | {"origin": "record", "texts": [record, caption]},
        segment | {"origin": "caption", "texts": [record, caption]},
        segment | {"origin": "caption", "texts": [caption]},
    )
    path.write_text(json.dumps({"segments": [both, surer, alone], "gaps": [gap]}))
    assert [word.text for word in text_words(read_texts(path))] == [" oui", " non", " non"]
    assert count_gaps(path) == (1, 2.5)
