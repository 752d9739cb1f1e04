"""Two people in one room, each with a microphone that hears the other from afar: whose words are shown as whose.

Real voices in turns that do not overlap, a made-up room: what the other microphone hears is quieter, later, full of
reverberation and in noise. So every word that is shown while the other one speaks is a copy.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.corpus import SAMPLE_RATE, Samples, Span, cache_folder, decode, load_clips
from tests.benchmarks.measures import Figures
from tests.benchmarks.mixing import TrackFile, write_wav
from tests.benchmarks.normalise import normalise
from tests.benchmarks.replay import replay
from tests.benchmarks.score import Errors, count_errors

PAUSE = 1.2
LATE = (0.03, 0.08)
"""Seconds after which what one says reaches the other's microphone: air, and two ways through the network."""
_SPOKEN_DBFS, _NOISE_DBFS = -24.0, -62.0
_REVERBERATION = 0.3
"""Seconds until a reverberation is 60 dB quieter; half of the power of what is heard from afar is of that."""
_SLACK = 0.3


Shown = tuple[str, float, float]
"""A word with its start and end."""


@dataclass(frozen=True, slots=True)
class Room:
    """Two microphones, and when the one who sits at each speaks."""

    tracks: tuple[TrackFile, TrackFile]
    spans: tuple[tuple[Span, ...], tuple[Span, ...]]

    def foreign(self, microphone: int, words: Iterable[Shown]) -> list[str]:
        """The words shown as said at one microphone while whoever sits at the other one spoke."""
        others = self.spans[1 - microphone]
        return [
            text for text, start, end in words if any(a - _SLACK < (start + end) / 2 < b + _SLACK for a, b in others)
        ]

    def own(self, microphone: int, words: Iterable[Shown]) -> list[str]:
        """The words shown while whoever sits at the microphone spoke."""
        mine = self.spans[microphone]
        return [text for text, start, end in words if any(a - _SLACK < (start + end) / 2 < b + _SLACK for a, b in mine)]


def two_microphones(folder: Path, turns: Sequence[tuple[int, Samples]], quieter_db: float) -> Room:
    """``turns`` in order, each with the microphone that it is said at; the other one hears it so much quieter."""
    length = sum(len(said) for _, said in turns) + round(PAUSE * SAMPLE_RATE) * (len(turns) + 1)
    near = np.zeros((2, length))
    spans: tuple[list[Span], list[Span]] = ([], [])
    at = round(PAUSE * SAMPLE_RATE)
    for microphone, said in turns:
        near[microphone, at : at + len(said)] = _at_level(said, _SPOKEN_DBFS)
        spans[microphone].append((at / SAMPLE_RATE, (at + len(said)) / SAMPLE_RATE))
        at += len(said) + round(PAUSE * SAMPLE_RATE)
    files = []
    for microphone, name in enumerate(("near-window", "near-door")):
        chance = np.random.default_rng(microphone)
        afar = _afar(near[1 - microphone], chance, LATE[microphone]) * 10 ** (-quieter_db / 20)
        noise = chance.standard_normal(length) * 32768 * 10 ** (_NOISE_DBFS / 20)
        path = folder / f"{name}.wav"
        write_wav(path, np.clip(np.rint(near[microphone] + afar + noise), -32768, 32767).astype(np.int16))
        files.append(TrackFile(path, length / SAMPLE_RATE))
    return Room((files[0], files[1]), (tuple(spans[0]), tuple(spans[1])))


def _afar(sound: np.ndarray, chance: np.random.Generator, late: float) -> np.ndarray:
    """``sound`` as it comes through a room, as loud as before."""
    count = round(_REVERBERATION * SAMPLE_RATE)
    answer = chance.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    answer /= np.sqrt((answer**2).sum())
    answer[0] += 1.0
    size = 1 << (len(sound) + count).bit_length()
    heard = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(answer, size), size)[: len(sound)]
    heard *= np.sqrt((sound**2).mean() / max(float((heard**2).mean()), 1e-9))
    return np.concatenate([np.zeros(round(late * SAMPLE_RATE)), heard])[: len(sound)]


def _at_level(sound: Samples, dbfs: float) -> np.ndarray:
    wide = sound.astype(np.float64)
    return wide * 32768 * 10 ** (dbfs / 20) / np.sqrt((wide**2).mean())


# --- measured -------------------------------------------------------------------------------------------------

_TURNS = {
    "fr": ((0, "fr_ibm_udhr1"), (1, "fr_pv_leopard"), (0, "fr_cv_17301936"), (1, "fr_fleurs_ski")),
    "en": ((0, "en_jfk"), (1, "en_pv_quilter"), (0, "en_ibm_tornado"), (1, "en_LJ050-0131")),
}
_QUIETER_DB = 12.0


def measure(language: str) -> tuple[str, Figures]:
    """The command, and how many words were shown, and stand in the transcript, as said by who did not say them."""
    clips = load_clips()
    turns = [(microphone, clips[name]) for microphone, name in _TURNS[language]]
    folder = cache_folder() / "tracks" / f"crosstalk-{language}"
    room = two_microphones(folder, [(microphone, decode(clip)) for microphone, clip in turns], _QUIETER_DB)
    run = replay(f"crosstalk-{language}", room.tracks, "--language", language)
    document = json.loads(run.transcript_path.read_text(encoding="utf-8"))
    own, shown, standing = Errors(), 0, 0
    for microphone, track in enumerate(room.tracks):
        finals = [event for event in run.by_track[track.name] if event.final]
        shown += len(
            room.foreign(microphone, [(each.text, each.start, each.end) for one in finals for each in one.words])
        )
        texts = [segment["texts"][0] for segment in document["segments"] if segment["track"] == track.name]
        words = [(word["text"], word["start"], word["end"]) for text in texts for word in text["words"]]
        standing += len(room.foreign(microphone, words))
        spoken = " ".join(clip.text for number, clip in turns if number == microphone)
        own += count_errors(normalise(spoken, language), normalise("".join(room.own(microphone, words)), language))
    figures = {"words": own.words, "wer_own": own.rate, "copies_live": shown, "copies_kept": standing}
    return run.command, figures
