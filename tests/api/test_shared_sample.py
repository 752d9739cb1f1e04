"""The sample meeting at one microphone, with the real models: the right voices while it goes on, and after it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import permutations
from pathlib import Path

import pytest

from api.audiences import Terminal
from api.diarizing import open_diarizer
from api.sample import mixed, read_script
from api.settings import read_settings
from media_gateway.recording import Recording
from models.downloads import silent
from pipeline.domain import Caption, ParticipantId, Track, UtteranceId, VoiceRun, Word
from pipeline.record.settled import Heard, by_sound
from tests.api.conftest import Greffier

ROOM = "Salle Descartes"


class Watched(Terminal):
    """What it was told, too."""

    captions: dict[UtteranceId, Caption]
    voices: dict[UtteranceId, Sequence[VoiceRun]]

    def show(self, caption: Caption, at: float) -> None:
        super().show(caption, at)
        if caption.final:
            self.captions[caption.utterance] = caption

    def tell(self, track: Track, runs: Sequence[VoiceRun], at: float) -> None:
        super().tell(track, runs, at)
        self.voices[runs[0].utterance] = runs


def speakers(at: float) -> list[str]:
    """Whose clips sound then."""
    return [name for name, start, end in spans() if start <= at < end]


@cache
def spans() -> list[tuple[str, float, float]]:
    voices = read_script().voices
    return [(voice.name, voice.start, voice.start + (Recording.open(voice.path).duration or 0.0)) for voice in voices]


def said(captions: dict[UtteranceId, Caption], runs: Iterable[VoiceRun]) -> list[tuple[Word, int]]:
    return [
        (word, run.voice) for run in runs for word in captions[run.utterance].words[run.first : run.first + run.count]
    ]


def right(words: Iterable[tuple[Word, int]]) -> float:
    """The part of the words of one person alone that have the voice which stands for that person."""
    found: Counter[tuple[str, int]] = Counter()
    for word, voice in words:
        alone = speakers((word.start + word.end) / 2)
        if len(alone) == 1:
            found[alone[0], voice] += 1
    people = sorted({person for person, _ in found})
    numbers = sorted({voice for _, voice in found}) + [0] * len(people)
    matchings = permutations(numbers, len(people))
    best = max(sum(found[pair] for pair in zip(people, each, strict=True)) for each in matchings)
    return best / found.total()


def test_the_sample_at_one_microphone_comes_out_with_the_right_voices_live_and_after(
    greffier: Greffier, monkeypatch: pytest.MonkeyPatch, voices_onnx: Path
) -> None:
    Watched.captions, Watched.voices = captions, voices = {}, {}
    monkeypatch.setattr("api.caption.Terminal", Watched)
    shown = greffier("demo", "--shared-room", "--speed", "1.5")
    assert (shown.code, shown.error) == (0, "")
    runs = [run for each in voices.values() for run in each]
    live = said(captions, runs)
    assert len(live) >= 0.8 * sum(len(caption.words) for caption in captions.values())
    assert right(live) >= 0.9
    lines, transcript = shown.out.split("\n[", 1)
    for voice in {run.voice for run in runs}:
        assert f"{ROOM} (voix {voice}): " in lines, "printed as it was said"
        assert f"] {ROOM} (voix {voice}): " in transcript

    found = open_diarizer(read_settings(), silent).diarize(mixed(read_script()))
    assert found.voices == (1, 2, 3, 4)
    settled, _ = by_sound(Heard(ParticipantId("room.wav"), [*captions.values()], runs, []), found)
    assert right(said(captions, settled)) >= 0.95


def test_voices_are_told_apart_at_the_pace_of_speech_alone(greffier: Greffier) -> None:
    refused = greffier("demo", "--shared-room", "--speed", "0")
    assert (refused.code, "at a speed of at most 4" in refused.error) == (64, True)
