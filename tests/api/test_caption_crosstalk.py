"""Two microphones in one room, real voices and the real recogniser: what one hears of the other is nobody's twice."""

import json
from pathlib import Path

from tests.api.conftest import Greffier
from tests.benchmarks.crosstalk import Room, two_microphones
from tests.benchmarks.normalise import normalise
from tests.benchmarks.score import count_errors
from tests.recordings import described, heard

JFK, TORNADO, QUILTER = "en_jfk.flac", "en_ibm_tornado.flac", "en_pv_quilter.wav"


def words_of(texts: list[dict]) -> list[tuple[str, float, float]]:
    return [(word["text"], word["start"], word["end"]) for text in texts for word in text["words"]]


def told(room: Room, document: dict, microphone: int) -> list[tuple[str, float, float]]:
    """The words that stand in the transcript as said at one microphone."""
    track = room.tracks[microphone].name
    return words_of([segment["texts"][0] for segment in document["segments"] if segment["track"] == track])


def test_what_a_second_microphone_hears_from_afar_is_withheld_or_folded(greffier: Greffier, tmp_path: Path) -> None:
    turns = [(0, heard(JFK)), (1, heard(QUILTER)), (0, heard(TORNADO))]
    room = two_microphones(tmp_path, turns, quieter_db=14.0)
    events, transcript = tmp_path / "out.jsonl", tmp_path / "out.json"
    said = greffier(
        "caption", *(track.path for track in room.tracks), "--speed", "2", "--language", "en",
        "--events", events, "--transcript", transcript,
    )  # fmt: skip
    assert (said.code, said.error) == (0, "")
    document = json.loads(transcript.read_text())
    spoken = {
        0: f"{described(JFK)['ref_text']} {described(TORNADO)['ref_text']}",
        1: str(described(QUILTER)["ref_text"]),
    }
    for microphone, text in spoken.items():
        standing = told(room, document, microphone)
        assert len(room.foreign(microphone, standing)) <= 8, "but for the first words, of 20 and 37"
        own = "".join(room.own(microphone, standing))
        assert count_errors(normalise(text, "en"), normalise(own, "en")).rate <= 0.3
    finals = [event for event in map(json.loads, events.read_text().splitlines()) if event["final"]]
    shown = sum(
        len(room.foreign(number, words_of([final for final in finals if final["track"] == track.name])))
        for number, track in enumerate(room.tracks)
    )
    assert document["folded"] or shown < 40, "what is not folded was withheld"
