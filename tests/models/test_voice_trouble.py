"""Sound in which voices are hard to tell apart, with the real models: a clear result, offline and live.

Elsewhere: silence (test_pyannote, test_voice_onnx), corrupt embeddings (pipeline/live/test_voices), an enrolment clip
of two people (pipeline/test_enrolling).
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soxr

from media_gateway.recording import read_recording
from models.pyannote import PyannoteDiarizer
from models.voice_export import export_voices
from models.voice_onnx import FRAMES, VoiceNetworks
from models.weights import locate
from pipeline.domain import SAMPLE_RATE, Diarization, ParticipantId, Samples, UtteranceId, VoiceRun, VoiceSpan
from pipeline.live.voices import OnlineVoices
from pipeline.record.enrolment import KNOWN_DISTANCE
from pipeline.record.settled import Heard, by_centroids
from pipeline.speakers import KnownVoice
from tests.recordings import at_level, heard, noise, silence, write_sound
from tests.two_voices import der, two_voices

SAMPLE = Path(__file__).parents[2] / "sample"
CROWD = ("en_jfk.flac", "en_libri_1088.wav", "en_ibm_tornado.flac", "en_neutts_dave.wav",
         "fr_ibm_udhr1.wav", "fr_fdm070.mp3", "fr_cv_17301936.mp3", "fr_fleurs_ski.wav")  # fmt: skip


@pytest.fixture(scope="module")
def folder(cache: Path) -> Path:
    return export_voices(cache)


@pytest.fixture(scope="module")
def diarizer(folder: Path, cache: Path) -> PyannoteDiarizer:
    parts = locate("pyannote-segmentation-3.0", cache), locate("campplus", cache)
    return PyannoteDiarizer.of_parts(*parts, frames=folder / FRAMES)


@pytest.fixture(scope="module")
def networks(folder: Path) -> VoiceNetworks:
    return VoiceNetworks(folder)


def cut(sound: Samples, start: float, end: float) -> Samples:
    return sound[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


def spoken(name: str, start: float, end: float) -> Samples:
    return cut(read_recording(SAMPLE / f"{name}.ogg"), start, end)


def together(*sounds: Samples) -> Samples:
    """All of them at once."""
    mixed = np.zeros(max(map(len, sounds)), np.int32)
    for sound in sounds:
        mixed[: len(sound)] += sound
    return np.clip(mixed, -32768, 32767).astype(np.int16)


def cough() -> Samples:
    """A burst of noise without a pitch, 0.4 s long."""
    burst = noise(0.4, -12.0, seed=3).astype(np.float64)
    return np.rint(burst * np.exp(-np.arange(len(burst)) / (0.08 * SAMPLE_RATE))).astype(np.int16)


def live(networks: VoiceNetworks, sound: Samples, voices: OnlineVoices | None = None) -> list[VoiceSpan]:
    """What ``voices`` say of ``sound``, all of it taken for speech, half a second at a time."""
    voices = voices or OnlineVoices()
    turns: list[VoiceSpan] = []
    voices.speech_started(0.0)
    for end in np.arange(0.5, len(sound) / SAMPLE_RATE + 0.5, 0.5):
        voices.audio_until(min(float(end), len(sound) / SAMPLE_RATE))
        if end >= len(sound) / SAMPLE_RATE:
            voices.speech_ended(len(sound) / SAMPLE_RATE)
        while window := voices.window_to_hear():
            voices.heard(networks.hear([(cut(sound, *window), window[0])])[0])
        turns += voices.turns()
    return turns


def seconds(spans: list[VoiceSpan] | tuple[VoiceSpan, ...], voice: int | None = None) -> float:
    return sum(span.end - span.start for span in spans if voice in (None, span.voice))


def voices_in(spans: list[VoiceSpan]) -> set[int]:
    return {span.voice for span in spans}


def check(found: Diarization, sound: Samples) -> None:
    """What is promised whatever was heard."""
    assert found.voices == tuple(range(1, len(found.voices) + 1))
    assert found.centroids.shape == (len(found.voices), 192)
    assert np.isfinite(found.centroids).all()
    assert all(0 <= span.start < span.end <= len(sound) / SAMPLE_RATE + 0.1 for span in found.spans)
    in_order = sorted(found.exclusive, key=lambda span: span.start)
    assert all(before.end <= after.start + 1e-6 for before, after in pairwise(in_order))


def test_one_cough_is_nobody(diarizer: PyannoteDiarizer, networks: VoiceNetworks):
    sound = together(noise(6.0, -60.0), np.concatenate([silence(3.0), cough()]))
    found = diarizer.diarize(sound)
    check(found, sound)
    assert seconds(found.spans) < 0.5
    assert live(networks, sound) == []
    assert not networks.several(sound)


def test_a_cough_of_another_while_somebody_speaks_makes_no_second_voice(
    diarizer: PyannoteDiarizer, networks: VoiceNetworks
):
    sound = together(heard("en_jfk.flac"), np.concatenate([silence(4.0), cough()]))
    assert diarizer.diarize(sound).voices == (1,)
    assert voices_in(live(networks, sound)) == {1}


def test_of_eight_people_at_once_some_are_told_apart_one_at_a_time(diarizer: PyannoteDiarizer, networks: VoiceNetworks):
    sound = together(*(at_level(cut(heard(name), 0.5, 8.5), -30.0) for name in CROWD))
    found = diarizer.diarize(sound)
    check(found, sound)
    assert 1 <= len(found.voices) <= 8
    turns = live(networks, sound)
    assert len(voices_in(turns)) <= 8
    assert all(before.end <= after.start + 1e-6 for before, after in pairwise(turns))
    assert networks.several(sound)


def test_a_telephone_of_8_khz_is_told_apart_as_well(
    diarizer: PyannoteDiarizer, networks: VoiceNetworks, tmp_path: Path
):
    narrow = soxr.resample(two_voices().astype(np.float32) / 32768, SAMPLE_RATE, 8000)
    sound = read_recording(write_sound(tmp_path / "call.wav", narrow[None], 8000, "mono", "pcm_alaw"))
    found = diarizer.diarize(sound)
    check(found, sound)
    assert found.voices == (1, 2)
    assert der(found.spans) <= 0.08
    assert voices_in(live(networks, cut(sound, 6.0, 20.0))) == {1, 2}


def test_one_voice_that_is_heard_again_is_one_and_at_once_with_itself_is_at_most_two(
    diarizer: PyannoteDiarizer, networks: VoiceNetworks
):
    claire = spoken("claire", 0.0, 6.0)
    again = np.concatenate([claire, silence(1.0), claire])
    assert diarizer.diarize(again).voices == (1,)
    assert len(voices_in(live(networks, again))) == 1
    twice = together(spoken("claire", 0.0, 8.0), np.concatenate([silence(2.0), claire]))
    found = diarizer.diarize(twice)
    check(found, twice)
    assert len(found.voices) <= 2
    assert len(voices_in(live(networks, twice))) <= 2


def test_who_goes_to_another_room_is_one_voice_once_the_meeting_is_settled_and_has_the_name_of_their_enrolment(
    networks: VoiceNetworks,
):
    """Another track of the participant, its microphone farther away: live it may be a new voice."""
    pause, voices = silence(0.6), OnlineVoices()
    turns = live(networks, np.concatenate([spoken("eric", 0.0, 6.0), pause, spoken("claire", 0.0, 5.0)]), voices)
    said = {"eric": main_voice(turns, 0.0, 6.0), "claire": main_voice(turns, 6.6, 11.6)}
    voices = OnlineVoices(known=voices.centroids())
    elsewhere = room(np.concatenate([spoken("john", 0.5, 5.5), pause, spoken("eric", 6.0, 12.0)]))
    turns = live(networks, elsewhere, voices)
    said |= {"john": main_voice(turns, 0.0, 5.0), "eric again": main_voice(turns, 5.6, 11.6)}
    assert len({said["eric"], said["claire"], said["john"]}) == 3

    centroids, salle = voices.centroids(), ParticipantId("salle")
    known = [KnownVoice(salle, voice, centroid=centroid) for voice, centroid in centroids.items()]
    runs = [VoiceRun(UtteranceId(who), 0, 10, voice) for who, voice in said.items()]
    settled = {run.utterance: run.voice for run in by_centroids(Heard(salle, [], runs, known))}
    assert settled["eric again"] == settled["eric"]
    assert len({settled["eric"], settled["claire"], settled["john"]}) == 3

    alone = OnlineVoices()
    live(networks, spoken("eric", 6.0, 12.0), alone)
    (enrolled,) = alone.centroids().values()
    far = {who: 1 - float(centroids[voice] @ enrolled) for who, voice in said.items()}
    assert max(far["eric"], far["eric again"]) < KNOWN_DISTANCE < min(far["claire"], far["john"])


def main_voice(turns: list[VoiceSpan], start: float, end: float) -> int:
    """Who has most of what was said then: live, a second or so of somebody new is still the one before."""
    inside = [turn for turn in turns if start <= (turn.start + turn.end) / 2 < end]
    best = max(voices_in(inside), key=lambda voice: seconds(inside, voice))
    assert seconds(inside, best) > 0.6 * seconds(inside)
    return best


def room(sound: Samples) -> Samples:
    """As a microphone hears it across a room: a fifth of the loudness, a third of it reverberation of 0.25 s."""
    count = round(0.25 * SAMPLE_RATE)
    answer = np.random.default_rng(5).standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    answer *= 0.7 / np.sqrt((answer**2).sum())
    answer[0] += 1.0
    return np.rint(0.2 * np.convolve(sound.astype(np.float64), answer)[: len(sound)]).astype(np.int16)
