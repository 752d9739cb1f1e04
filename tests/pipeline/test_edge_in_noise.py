"""Rooms with noise: the detector listens now and then, misses no speech, and many open microphones cost little."""

import time

import numpy as np
import pytest

from models.silero import SileroModel, bundled_model
from pipeline.domain import AudioFrame, Samples, TrackId
from pipeline.edge import EdgeSettings, TrackEdge
from pipeline.live.attention import AttentionSettings
from tests.pipeline.edges import NAME, level_edge, passed, sounds, spans
from tests.recordings import at_level, frames_of, heard, noise


@pytest.fixture(scope="module")
def silero() -> SileroModel:
    return SileroModel(bundled_model())


class Counting:
    """The real detector, and how many frames it was asked about."""

    def __init__(self, model: SileroModel) -> None:
        self.detector = model.detector()
        self.frame_samples = self.detector.frame_samples
        self.frames = 0

    def probabilities(self, samples: Samples) -> list[float]:
        self.frames += len(samples) // self.frame_samples
        return self.detector.probabilities(samples)

    def glance(self, samples: Samples) -> float:
        self.frames += len(samples) // self.frame_samples - 1
        return self.detector.glance(samples)


def kitchen(seconds: float, dbfs: float) -> Samples:
    """A real one, whose noise comes and goes; of an RMS level as a whole."""
    sound = heard("ns_kitchen2min.wav")[: round(seconds * 16_000)].astype(np.float64)
    return np.rint(sound * 32768 * 10 ** (dbfs / 20) / np.sqrt((sound**2).mean())).astype(np.int16)


def test_in_a_noisy_room_the_detector_listens_now_and_then(silero: SileroModel) -> None:
    detector = Counting(silero)
    sound = kitchen(60, -60.0)
    events = passed(frames_of(sound), TrackEdge(NAME, detector))
    assert detector.frames < 0.5 * len(sound) / 512
    assert sum(end - start for start, end in spans(events)) < 2.0


@pytest.mark.parametrize("room", [-60.0, -50.0])
def test_speech_after_a_long_time_of_noise_is_sent_from_its_first_word(silero: SileroModel, room: float) -> None:
    speech = at_level(heard("en_jfk.flac"), -38.0)
    noisy = kitchen(20 + len(speech) / 16_000, room)
    noisy[20 * 16_000 : 20 * 16_000 + len(speech)] += speech
    alone = passed(frames_of(noisy), TrackEdge(NAME, silero.detector(), EdgeSettings(gated=False)))
    first = next(start for start, _ in spans(alone) if start > 19.0)
    frames = [
        frame for frame in sounds(passed(frames_of(noisy), TrackEdge(NAME, silero.detector()))) if frame.end > first
    ]
    assert frames[0].start <= first


def test_a_glance_at_sound_with_a_hole_in_it_is_no_glance() -> None:
    """Speech that was not believed leaves its hole among what is unsent; and frames may be cut short by holes."""
    edge = level_edge(EdgeSettings(attention=AttentionSettings(boredom=0.1, every=0.032, louder_db=90.0)))
    room = noise(3.0, -50.0)
    frames = frames_of(room, frame=700)
    for frame in frames[:40]:
        edge.feed(frame)
    late = [AudioFrame(NAME, frame.start + 0.5, frame.samples) for frame in frames[40:]]
    assert [event for frame in late for event in edge.feed(frame)] == []


def test_200_open_microphones_with_room_noise_cost_less_than_a_core_even_when_traced(silero: SileroModel) -> None:
    """A guard of the order of magnitude; ``make bench`` measures the figure, without coverage."""
    room = frames_of(noise(20, -60))
    edges = [TrackEdge(TrackId(str(index)), silero.detector()) for index in range(50)]
    began = time.process_time()
    for frame in room:
        for edge in edges:
            edge.feed(frame)
    assert (time.process_time() - began) * 4 / 20 < 1.0
