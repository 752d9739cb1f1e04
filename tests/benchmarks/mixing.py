"""Builds what is replayed: talkers who never pause, conversations, quiet speech, rooms without speech.

Every file is 16 kHz mono WAV in the cache folder, named by what it was made from, so that it is built once.
"""

import hashlib
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.corpus import (
    SAMPLE_RATE,
    Clip,
    Composite,
    Placed,
    Samples,
    Span,
    Turn,
    cache_folder,
    decode,
    load_clips,
)

PAUSE = 1.0
NOISE_DBFS = -60.0
COMPOSITE_DBFS = -26.0
BUILDER = "1"


@dataclass(frozen=True, slots=True)
class TrackFile:
    """A file to replay, with the clips that sound in it."""

    path: Path
    duration: float
    placed: tuple[Placed, ...] = ()

    @property
    def name(self) -> str:
        return self.path.name

    def first_times(self) -> list[Placed]:
        """The clips that count: heard here to their end, for the first time in the run."""
        return [place for place in self.placed if not place.again and place.end <= self.duration + 0.01]


# --- level ------------------------------------------------------------------------------------------------


def level_dbfs(samples: np.ndarray) -> float:
    """RMS of the louder half of 20 ms frames, so that pauses do not count."""
    frames = samples[: len(samples) // 320 * 320].astype(np.float64).reshape(-1, 320)
    power = np.sort((frames**2).mean(axis=1)) if len(frames) else np.zeros(1)
    return float(10 * np.log10(max(power[len(power) // 2 :].mean(), 1e-9) / 32768**2))


def at_level(samples: Samples, dbfs: float) -> Samples:
    gain = 10 ** ((dbfs - level_dbfs(samples)) / 20)
    return np.clip(np.round(samples * gain), -32768, 32767).astype(np.int16)


def room_noise(seconds: float, seed: int, dbfs: float = NOISE_DBFS) -> Samples:
    """Sound of a real kitchen, from a place of its own for each seed, repeated where it is too short."""
    kitchen = decode(load_clips()["ns_kitchen2min"])
    wanted = round(seconds * SAMPLE_RATE)
    begin = np.random.default_rng(seed).integers(max(len(kitchen) - wanted, 1))
    noise = np.take(kitchen, np.arange(begin, begin + wanted), mode="wrap")
    gain = 10 ** (dbfs / 20) * 32768 / max(np.sqrt((noise.astype(np.float64) ** 2).mean()), 1e-9)
    return np.clip(np.round(noise * gain), -32768, 32767).astype(np.int16)


# --- talkers ----------------------------------------------------------------------------------------------


def deal(clips: Iterable[Clip], tracks: int) -> list[list[Clip]]:
    """Shares clips among tracks of about the same length, longest first."""
    hands: list[list[Clip]] = [[] for _ in range(tracks)]
    for clip in sorted(clips, key=lambda clip: (-clip.duration, clip.id)):
        min(hands, key=lambda hand: sum(one.duration + PAUSE for one in hand)).append(clip)
    return hands


def deal_talkers(tracks: dict[str, int], first: dict[str, Sequence[Clip]], rest: Iterable[Clip]) -> list[list[Clip]]:
    """The clips of each talker; a talker speaks one language, and one talker per language begins with ``first``."""
    listed = list(rest)
    talkers = []
    for language, count in tracks.items():
        begin = list(first.get(language, ()))
        others = [clip for clip in listed if clip.language == language and clip not in begin]
        if count == 1:
            talkers.append(begin + sorted(others, key=lambda clip: clip.id))
            continue
        hands = deal([*begin, *others], count) if not begin else [begin, *deal(others, count - 1)]
        talkers.extend(hands)
    return talkers


def talk(clips: Sequence[Clip], seconds: float | None, name: str, *, more: Sequence[Clip] = ()) -> TrackFile:
    """A talker who says the clips, ``PAUSE`` apart; then ``more`` and the clips, over and over, for ``seconds``."""
    placed = list(_place(clips, 0.0, again=False))
    wanted = seconds if seconds is not None else (placed[-1].closes if placed else PAUSE)
    rounds = [*more, *clips]
    while placed[-1].closes < wanted:
        placed += _place(rounds, placed[-1].closes - PAUSE / 2, again=True)
    placed = [place for place in placed if place.offset < wanted]
    return TrackFile(_write_talker(placed, wanted, name), wanted, tuple(placed))


def _place(clips: Sequence[Clip], start: float, *, again: bool) -> Iterable[Placed]:
    offset = start + PAUSE
    for clip in clips:
        end = offset + clip.duration
        yield Placed(clip, offset, offset - PAUSE / 2, end + PAUSE / 2, again)
        offset = end + PAUSE


def _write_talker(placed: Sequence[Placed], seconds: float, name: str) -> Path:
    made_from = [f"{place.clip.sha256[:16]}@{place.offset:.3f}" for place in placed]
    path = _path(name, [*made_from, f"{seconds:.3f}"])
    if not path.is_file():
        track = room_noise(seconds, seed=len(name))
        for place in placed:
            _lay(track, decode(place.clip), place.offset)
        write_wav(path, track)
    return path


def _lay(track: Samples, samples: Samples, offset: float) -> None:
    """Puts samples in place of what is there."""
    begin = round(offset * SAMPLE_RATE)
    part = samples[: max(len(track) - begin, 0)]
    track[begin : begin + len(part)] = part


def quiet(track: TrackFile, dbfs: float) -> TrackFile:
    """The same track at another level."""
    path = _path(f"{track.path.stem.rsplit('.', 1)[0]}{dbfs:.0f}dBFS", [track.path.name])
    if not path.is_file():
        write_wav(path, at_level(read_wav(track.path), dbfs))
    return TrackFile(path, track.duration, track.placed)


def noise_tracks(count: int, seconds: float) -> list[TrackFile]:
    """Open microphones in rooms where nobody speaks."""
    tracks = []
    for seed in range(count):
        path = _path(f"room{seed:03d}", ["whole", f"{seconds:.3f}", f"{NOISE_DBFS}"])
        if not path.is_file():
            write_wav(path, room_noise(seconds, seed))
        tracks.append(TrackFile(path, seconds))
    return tracks


def clip_track(clip: Clip) -> TrackFile:
    """A clip as it is, in the file it came in."""
    return TrackFile(clip.path, clip.duration, (Placed(clip, 0.0, -1.0, clip.duration + 1.0),))


# --- conversations ----------------------------------------------------------------------------------------


def mix(composite: Composite) -> TrackFile:
    """A composite as one shared microphone: cut, level-matched, added."""
    path = _path(composite.id, [f"{turn.clip}{turn.cut}{turn.start}" for turn in composite.turns])
    if not path.is_file():
        track = room_noise(composite.duration + 1.0, seed=1).astype(np.int32)
        for turn in composite.turns:
            samples = at_level(cut(turn), COMPOSITE_DBFS)
            begin = round(turn.start * SAMPLE_RATE)
            samples = samples[: len(track) - begin]
            track[begin : begin + len(samples)] += samples
        write_wav(path, np.clip(track, -32768, 32767).astype(np.int16))
    return TrackFile(path, composite.duration + 1.0)


def cut(turn: Turn) -> Samples:
    start, end = turn.cut
    return decode(load_clips()[turn.clip])[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


# --- files ------------------------------------------------------------------------------------------------


def write_wav(path: Path, samples: Samples) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with wave.open(str(part), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    part.replace(path)


def read_wav(path: Path) -> Samples:
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


def _path(name: str, made_from: Sequence[str]) -> Path:
    key = hashlib.sha256(" ".join([BUILDER, *made_from]).encode()).hexdigest()[:10]
    return cache_folder() / "tracks" / f"{name}.{key}.wav"


def shift(spans: Iterable[Span], offset: float) -> list[Span]:
    return [(start + offset, end + offset) for start, end in spans]
