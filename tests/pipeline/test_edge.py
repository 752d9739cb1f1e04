"""Silent tracks send nothing; speech goes on the bus whole, with its beginning, and ends when it ends."""

import time
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from models.level import LevelDetector
from models.silero import SileroModel, bundled_model
from pipeline.domain import (
    AudioFrame,
    AudioLost,
    Participant,
    ParticipantId,
    Samples,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
)
from pipeline.edge import EdgeSettings, MeetingEdge, TrackEdge, speech_only
from pipeline.live.gate import power
from tests.pipeline.edges import NAME, level_edge, passed, sounds, spans
from tests.recordings import at_level, beep, frames_of, heard, joined, noise, recorded, silence

TRACK = Track(NAME, Participant(ParticipantId("p"), "P"))
BLOCK = 0.032


@pytest.fixture(scope="module")
def silero() -> SileroModel:
    return SileroModel(bundled_model())


def said_at(seconds: float, length: float = 1.0, total: float = 6.0) -> Samples:
    sound = silence(total)
    first = round(seconds * 16_000)
    sound[first : first + round(length * 16_000)] = beep(length)
    return sound


# --- what is sent ------------------------------------------------------------------------------------------


def test_a_silent_track_sends_nothing() -> None:
    assert passed(frames_of(silence(10))) == []


def test_a_room_with_noise_sends_nothing(silero: SileroModel) -> None:
    assert passed(frames_of(noise(10, -60)), TrackEdge(NAME, silero.detector())) == []


def test_speech_is_told_where_it_begins_and_ends() -> None:
    ((start, end),) = spans(passed(frames_of(said_at(2.0))))
    assert start == pytest.approx(2.0, abs=BLOCK)
    assert end == pytest.approx(3.0, abs=BLOCK)


def test_time_is_that_of_the_meeting() -> None:
    events = passed(frames_of(said_at(2.0), start=1000.0))
    ((start, _),) = spans(events)
    assert start == pytest.approx(1002.0, abs=BLOCK)
    assert sounds(events)[0].start == pytest.approx(1001.5, abs=BLOCK)


def test_the_sound_of_speech_is_sent_whole_from_before_its_start_until_it_is_known_to_have_ended() -> None:
    sound = said_at(2.0)
    sound[: round(1.9 * 16_000)] = noise(1.9, -70)
    frames = sounds(passed(frames_of(sound)))
    first, last = round(frames[0].start * 16_000), round(frames[-1].end * 16_000)
    np.testing.assert_array_equal(joined(frames), sound[first:last])
    assert frames[0].start <= 2.0 - 0.45
    assert 3.5 <= frames[-1].end <= 3.5 + 2 * BLOCK
    assert all(left.end == pytest.approx(right.start) for left, right in pairwise(frames))


def test_events_come_in_order_start_sound_end() -> None:
    kinds = [type(event) for event in passed(frames_of(said_at(2.0)))]
    assert kinds[0] is SpeechStarted
    assert kinds[-1] is SpeechEnded
    assert set(kinds[1:-1]) == {AudioFrame}


def test_an_end_is_told_half_a_second_after_it() -> None:
    edge = level_edge()
    for frame in frames_of(said_at(2.0)):
        if any(isinstance(event, SpeechEnded) for event in edge.feed(frame)):
            assert frame.end == pytest.approx(3.5, abs=0.06)
            return
    pytest.fail("no end was told")


def test_no_sound_is_sent_twice_when_speech_soon_resumes() -> None:
    sound = np.concatenate([said_at(1.0, total=2.6), said_at(0.0, total=2.0)])
    frames = sounds(passed(frames_of(sound)))
    assert len(spans(passed(frames_of(sound)))) == 2
    assert all(right.start >= left.end - 1e-6 for left, right in pairwise(frames))


def test_a_track_that_closes_mid_word_ends_its_speech() -> None:
    sound = said_at(2.0)[: round(2.61 * 16_000)]
    events = passed(frames_of(sound))
    assert spans(events) == [(pytest.approx(2.0, abs=BLOCK), pytest.approx(2.61, abs=BLOCK))]
    assert sounds(events)[-1].end == pytest.approx(2.61)


@pytest.mark.parametrize("frame", [160, 320, 513, 960, 16_000])
def test_the_length_of_frames_changes_nothing(frame: int) -> None:
    sound = said_at(2.0)
    assert spans(passed(frames_of(sound, frame=frame))) == spans(passed(frames_of(sound)))


def test_a_track_can_speak_again_after_a_close() -> None:
    edge = level_edge()
    frames = frames_of(np.concatenate([said_at(2.0), said_at(2.0)]))
    before = [event for frame in frames[:140] for event in edge.feed(frame)] + edge.close()
    after = [event for frame in frames[300:] for event in edge.feed(frame)] + edge.close()
    assert len(spans(before)) == 1
    ((start, _),) = spans(after)
    assert start == pytest.approx(8.0, abs=BLOCK)
    assert not [event for event in after if isinstance(event, AudioLost)]


# --- the network -------------------------------------------------------------------------------------------


def test_frames_doubled_and_swapped_are_absorbed() -> None:
    frames = frames_of(said_at(2.0))
    muddled = [frame for a, b in zip(frames[::2], frames[1::2], strict=True) for frame in (b, a, b)]
    muddled.sort(key=lambda frame: frame.start > 0)  # the first frame says where the track begins
    tidy = passed(frames)
    np.testing.assert_array_equal(joined(sounds(passed(muddled))), joined(sounds(tidy)))
    assert spans(passed(muddled)) == spans(tidy)


def test_a_long_loss_within_speech_is_marked_and_never_filled() -> None:
    frames = frames_of(said_at(2.0, length=3.0))
    events = passed([frame for frame in frames if not 3.0 <= frame.start < 3.2])
    assert [event for event in events if isinstance(event, AudioLost)] == [AudioLost(NAME, 3.0, pytest.approx(3.2))]
    assert len(spans(events)) == 1
    assert not [frame for frame in sounds(events) if frame.start < 3.19 and frame.end > 3.01]


def test_a_loss_longer_than_a_pause_ends_speech_and_time_stays_right() -> None:
    frames = frames_of(said_at(2.0, length=3.0))
    events = passed([frame for frame in frames if not 3.0 <= frame.start < 4.0])
    first, second = spans(events)
    assert first[1] == pytest.approx(3.0, abs=BLOCK)
    assert second == (pytest.approx(4.0, abs=BLOCK), pytest.approx(5.0, abs=BLOCK))
    assert AudioLost(NAME, 3.0, 4.0) in events


def test_a_loss_that_the_tap_knows_of_is_marked() -> None:
    edge = level_edge()
    events = [event for frame in frames_of(said_at(2.0))[:125] for event in edge.feed(frame)]
    events += edge.lost(2.5, 2.7)
    events += [event for frame in frames_of(said_at(2.0))[135:] for event in edge.feed(frame)]
    assert [event for event in events if isinstance(event, AudioLost)] == [AudioLost(NAME, 2.5, 2.7)]


def test_a_microphone_that_pauses_in_silence_has_lost_nothing() -> None:
    frames = frames_of(said_at(4.0))
    events = passed([frame for frame in frames if not 1.0 <= frame.start < 3.9])
    assert not [event for event in events if isinstance(event, AudioLost)]
    assert spans(events)[0][0] == pytest.approx(4.0, abs=BLOCK)
    assert sounds(events)[0].start >= 3.9 - 1e-6


def test_losses_before_speech_is_believed_are_marked_where_they_were() -> None:
    frames = frames_of(said_at(2.0))
    events = passed([frame for frame in frames if not 2.1 <= frame.start < 2.2])
    positions = [type(event) for event in events[:4]]
    assert positions == [SpeechStarted, AudioFrame, AudioLost, AudioFrame]
    assert events[2] == AudioLost(NAME, pytest.approx(2.1), pytest.approx(2.2))


def test_one_frame_in_ten_lost_loses_no_speech() -> None:
    frames = frames_of(said_at(2.0, length=3.0))
    events = passed([frame for index, frame in enumerate(frames) if index % 10 != 3])
    assert spans(events) == spans(passed(frames))
    assert not [event for event in events if isinstance(event, AudioLost)]


# --- many tracks -------------------------------------------------------------------------------------------


def test_a_track_that_stalls_mid_word_ends_its_speech_while_others_go_on() -> None:
    edge = MeetingEdge(LevelDetector)
    other = Track(TrackId("other"), TRACK.participant)
    events = edge.feed(TrackOpened(TRACK, 0.0)) + edge.feed(TrackOpened(other, 0.0))
    talk, room = frames_of(said_at(2.0, 3.0)), frames_of(silence(6.0), "other")
    for spoken, quiet in zip(talk, room, strict=True):
        if not 3.0 <= spoken.start < 4.5:
            events += edge.feed(spoken)
        events += edge.feed(quiet)
    assert spans(events)[0] == (pytest.approx(2.0, abs=BLOCK), pytest.approx(3.0, abs=BLOCK))
    assert spans(events)[1][0] == pytest.approx(4.5, abs=BLOCK)
    assert AudioLost(NAME, 3.0, 4.5) in events


def test_a_stall_after_which_the_sound_goes_on_where_it_stopped_is_no_loss() -> None:
    """A microphone that was muted mid word: its tap gives a little silence, then what is said later."""
    edge = MeetingEdge(LevelDetector)
    other = Track(TrackId("other"), TRACK.participant)
    events = edge.feed(TrackOpened(TRACK, 0.0)) + edge.feed(TrackOpened(other, 0.0))
    talk, room = frames_of(said_at(2.0, 3.0)), frames_of(silence(6.0), "other")
    for spoken, quiet in zip(talk, room, strict=True):
        events += edge.feed(quiet)
        if spoken.start == pytest.approx(4.5):
            events += [passed for frame in frames_of(silence(1.0), start=3.0) for passed in edge.feed(frame)]
        if not 3.0 <= spoken.start < 4.5:
            events += edge.feed(spoken)
    assert [start for start, _ in spans(events)] == [pytest.approx(at, abs=BLOCK) for at in (2.0, 4.5)]
    assert [event for event in events if isinstance(event, AudioLost)] == []


def test_a_tap_that_ends_without_closing_its_tracks_has_them_closed() -> None:
    edge = MeetingEdge(LevelDetector)
    edge.feed(TrackOpened(TRACK, 0.0))
    for frame in frames_of(said_at(2.0)[: 16_000 * 5 // 2]):
        edge.feed(frame)
    events = edge.close()
    assert isinstance(events[-2], SpeechEnded)
    assert events[-1] == TrackClosed(NAME, pytest.approx(2.5))
    assert edge.close() == []


def test_frames_and_losses_of_a_track_that_is_not_open_are_dropped() -> None:
    edge = MeetingEdge(LevelDetector)
    strangers: list[TrackEvent] = [*frames_of(beep(2.0)), AudioLost(NAME, 0.0, 1.0), TrackClosed(NAME, 2.0)]
    assert [passed for event in strangers for passed in edge.feed(event)] == []


def test_a_participant_who_rejoins_starts_afresh() -> None:
    edge = MeetingEdge(LevelDetector)
    script: list[TrackEvent] = [TrackOpened(TRACK, 0.0), *frames_of(said_at(1.0)), TrackClosed(NAME, 6.0)]
    script += [TrackOpened(TRACK, 60.0), *frames_of(said_at(1.0), start=60.0), TrackClosed(NAME, 66.0)]
    events = [passed for event in script for passed in edge.feed(event)]
    assert [start for start, _ in spans(events)] == [pytest.approx(1.0, abs=BLOCK), pytest.approx(61.0, abs=BLOCK)]
    assert not [event for event in events if isinstance(event, AudioLost)]


async def test_only_speech_and_the_life_of_tracks_leave_a_source() -> None:
    async def source():  # type: ignore[no-untyped-def]
        yield TrackOpened(TRACK, 0.0)
        for frame in frames_of(said_at(2.0)):
            yield frame
        yield TrackClosed(NAME, 6.0)

    events = [event async for event in speech_only(source(), LevelDetector)]
    assert events[0] == TrackOpened(TRACK, 0.0)
    assert events[-1] == TrackClosed(NAME, 6.0)
    assert len(spans(events)) == 1


# --- the gate, in front of the real detector -----------------------------------------------------------------


@pytest.mark.parametrize(
    "clip", ["fr_ibm_udhr1.wav", "fr_pv_leopard.wav", "fr_fdm132.mp3", "en_jfk.flac", "en_libri_6313.flac"]
)
def test_the_gate_holds_back_no_speech_at_minus_40_dbfs_over_room_noise(clip: str, silero: SileroModel) -> None:
    speech = at_level(heard(clip), -40.0)
    clean = np.concatenate([silence(3), speech, silence(2)])
    sound = clean + noise(len(clean) / 16_000, -60.0)[: len(clean)]
    events = passed(frames_of(sound), TrackEdge(NAME, silero.detector()))
    alone = spans(passed(frames_of(sound), TrackEdge(NAME, silero.detector(), EdgeSettings(gated=False))))
    assert alone
    assert [start for start, _ in spans(events)] == pytest.approx([start for start, _ in alone], abs=0.1)
    sent = np.zeros(len(sound), bool)
    for frame in sounds(events):
        sent[round(frame.start * 16_000) : round(frame.end * 16_000)] = True
    voiced = np.repeat(power_of(clean) > power(-52.0), 320)
    voiced[-33_600:] = False  # the detector alone goes on into the noise after the clip, whose last 0.1 s is no word
    for start, end in alone:
        span = slice(round(start * 16_000), round(end * 16_000))
        assert sent[span][voiced[span]].all()


def power_of(sound: Samples) -> NDArray[np.float64]:
    """The mean square of each 20 ms."""
    blocks: NDArray[np.float64] = sound[: len(sound) // 320 * 320].astype(np.float64).reshape(-1, 320)
    return np.asarray((blocks**2).mean(axis=1))


@pytest.mark.parametrize("clip", ["ns_guitar.wav", "ns_music_robot.wav", "ns_silence2s.wav", "ns_sheep.ogg"])
def test_music_and_animals_are_no_speech(clip: str, silero: SileroModel) -> None:
    assert passed(frames_of(heard(clip)), TrackEdge(NAME, silero.detector())) == []


def test_the_first_word_of_a_recording_without_lead_in_is_sent(silero: SileroModel) -> None:
    recorded("fr_linto_bonjour.wav")
    sound = np.concatenate([heard("fr_linto_bonjour.wav"), silence(1)])
    assert spans(passed(frames_of(sound), TrackEdge(NAME, silero.detector())))


def test_long_frames_are_judged_as_short_ones_where_there_is_no_gate(silero: SileroModel) -> None:
    sound = np.concatenate([silence(1), heard("fr_pv_leopard.wav"), silence(1)])
    ungated = EdgeSettings(gated=False)
    short, long = (
        passed(frames_of(sound, frame=length), TrackEdge(NAME, silero.detector(), ungated)) for length in (320, 16_000)
    )
    assert spans(long) == spans(short)
    np.testing.assert_array_equal(joined(sounds(long)), joined(sounds(short)))


def test_half_an_hour_of_silence_costs_seconds_and_sends_nothing(silero: SileroModel) -> None:
    edge = TrackEdge(NAME, silero.detector())
    minute = frames_of(silence(60), frame=640)
    began = time.process_time()
    for index in range(30):
        assert all(edge.feed(AudioFrame(NAME, index * 60 + frame.start, frame.samples)) == [] for frame in minute)
    assert time.process_time() - began < 10.0


def test_a_pause_ends_speech_on_every_track_and_the_sound_it_swallows_was_not_lost() -> None:
    edge = MeetingEdge(LevelDetector)
    other = Track(TrackId("other"), Participant(ParticipantId("q"), "Q"))
    for track in (TRACK, other):
        edge.feed(TrackOpened(track, 0.0))
    for frame in frames_of(beep(2.0)) + frames_of(silence(2.0), "other"):
        edge.feed(frame)
    assert [type(event) for event in edge.pause() if not isinstance(event, AudioFrame)] == [SpeechEnded]
    assert edge.pause() == []
    after = [event for frame in frames_of(said_at(1.0, total=3.0), start=10.0) for event in edge.feed(frame)]
    assert [type(event) for event in after if not isinstance(event, AudioFrame)] == [SpeechStarted, SpeechEnded]
    assert sounds(after)[0].start >= 10.0
