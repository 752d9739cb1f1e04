"""Trouble comes as often as asked for, and the same way every time; the pipeline's edge absorbs it."""

from collections import Counter
from itertools import pairwise

import pytest

from media_gateway.lossy import Losses, LossyTap
from media_gateway.scripted import ScriptedTap
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
from pipeline.edge import speech_only
from tests.recordings import frames_of, heard, silence

TRACK = Track(TrackId("track"), Participant(ParticipantId("p"), "P"))


def script(sound: Samples) -> list[TrackEvent]:
    return [TrackOpened(TRACK, 0.0), *frames_of(sound), TrackClosed(TRACK.id, len(sound) / 16_000)]


async def through(losses: Losses, sound: Samples, seed: int = 0) -> list[TrackEvent]:
    return [event async for event in LossyTap(ScriptedTap(script(sound)), losses, seed).events()]


def starts(events: list[TrackEvent]) -> list[float]:
    return [event.start for event in events if isinstance(event, AudioFrame)]


async def test_without_losses_everything_passes() -> None:
    sound = silence(5)
    events = await through(Losses(), sound)
    assert len(events) == 252
    assert starts(events) == [frame.start for frame in frames_of(sound)]


@pytest.mark.parametrize("burst", [1.0, 4.0])
async def test_as_many_frames_are_lost_as_asked_for(burst: float) -> None:
    arrived = starts(await through(Losses(drop=0.1, burst=burst), silence(200)))
    assert len(arrived) == pytest.approx(9_000, rel=0.03)
    holes = sum(later - sooner > 0.03 for sooner, later in pairwise(arrived))
    assert 1_000 / holes == pytest.approx(burst, rel=0.2)


async def test_all_frames_can_be_lost() -> None:
    assert [type(event) for event in await through(Losses(drop=1.0), silence(1))] == [TrackOpened, TrackClosed]


async def test_some_frames_come_twice() -> None:
    counted = Counter(starts(await through(Losses(double=0.2), silence(100))))
    assert len(counted) == 5_000
    assert sum(count == 2 for count in counted.values()) == pytest.approx(1_000, rel=0.1)


async def test_delayed_frames_come_after_later_ones_and_none_is_missing() -> None:
    arrived = starts(await through(Losses(delay=0.1, delay_frames=3), silence(20)))
    assert arrived != sorted(arrived)
    assert sorted(arrived) == [frame.start for frame in frames_of(silence(20))]
    furthest = max(max(arrived[: index + 1]) - start for index, start in enumerate(arrived))
    assert furthest == pytest.approx(0.06, abs=0.021)


async def test_a_track_stops_mid_word_and_closes() -> None:
    events = await through(Losses(stop_at=2.0), silence(5))
    assert starts(events)[-1] == pytest.approx(1.98)
    assert events[-1] == TrackClosed(TRACK.id, pytest.approx(2.0))
    assert sum(isinstance(event, TrackClosed) for event in events) == 1


async def test_a_track_falls_silent_and_is_closed_by_its_source_only() -> None:
    events = await through(Losses(stop_at=2.0, closes=False), silence(5))
    assert starts(events)[-1] == pytest.approx(1.98)
    assert events[-1] == TrackClosed(TRACK.id, 5.0)


async def test_the_same_seed_makes_the_same_trouble_and_another_makes_another() -> None:
    losses = Losses(drop=0.1, delay=0.1, double=0.1)
    first, again, other = [starts(await through(losses, silence(10), seed)) for seed in (1, 1, 2)]
    assert first == again
    assert first != other


# --- what the edge makes of it ---------------------------------------------------------------------------------


def spans(events: list[TrackEvent]) -> list[tuple[float, float]]:
    begun = [event.at for event in events if isinstance(event, SpeechStarted)]
    ended = [event.at for event in events if isinstance(event, SpeechEnded)]
    return list(zip(begun, ended, strict=True))


async def heard_through(losses: Losses, sound: Samples) -> list[TrackEvent]:
    silero = SileroModel(bundled_model())
    tap = LossyTap(ScriptedTap(script(sound)), losses, seed=3)
    return [event async for event in speech_only(tap.events(), silero.detector)]


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param(Losses(drop=0.1), id="one frame in ten lost"),
        pytest.param(Losses(drop=0.1, burst=3.0), id="one frame in ten lost, three in a row"),
        pytest.param(Losses(delay=0.2, delay_frames=3), id="out of order"),
        pytest.param(Losses(double=0.3), id="doubled"),
        pytest.param(Losses(drop=0.05, delay=0.1, double=0.1), id="all at once"),
    ],
)
async def test_speech_is_heard_where_it_is_whatever_the_network_does(losses: Losses) -> None:
    sound = heard("fr_ibm_udhr1.wav")
    events = await heard_through(losses, sound)
    clean = spans(await heard_through(Losses(), sound))
    assert spans(events)[0][0] == pytest.approx(clean[0][0], abs=0.15)
    assert spans(events)[-1][1] == pytest.approx(clean[-1][1], abs=0.25)
    frames = [event for event in events if isinstance(event, AudioFrame)]
    assert all(later.start >= sooner.end - 1e-6 for sooner, later in pairwise(frames))
    lost = sum(event.end - event.start for event in events if isinstance(event, AudioLost))
    spoken = sum(end - start for start, end in clean)
    assert sum(len(frame.samples) for frame in frames) / 16_000 + lost >= spoken * 0.98
    assert lost < 0.15 * spoken


async def test_frames_out_of_order_or_doubled_lose_nothing_at_all() -> None:
    sound = heard("fr_pv_leopard.wav")
    muddled = await heard_through(Losses(delay=0.2, delay_frames=3, double=0.2), sound)
    assert spans(muddled) == spans(await heard_through(Losses(), sound))
    assert not [event for event in muddled if isinstance(event, AudioLost)]


async def test_a_track_that_stops_mid_word_ends_its_speech_there() -> None:
    events = await heard_through(Losses(stop_at=4.0), heard("fr_ibm_udhr1.wav"))
    assert isinstance(events[-2], SpeechEnded)
    assert events[-2].at == pytest.approx(4.0, abs=0.3)
    assert events[-1] == TrackClosed(TRACK.id, pytest.approx(4.0, abs=0.02))
