"""Speech starts and ends where it was heard, and clicks start nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.live.endpointing import Endpoint, Endpointer, EndpointKind, EndpointSettings

FRAME = 0.032


def endpoints(probabilities: list[float], settings: EndpointSettings | None = None) -> list[Endpoint]:
    endpointer = Endpointer(settings)
    found = [endpointer.heard(p, i * FRAME, (i + 1) * FRAME) for i, p in enumerate(probabilities)]
    return [endpoint for endpoint in [*found, endpointer.close()] if endpoint]


def seconds(duration: float, probability: float) -> list[float]:
    return [probability] * round(duration / FRAME)


def test_speech_starts_where_it_was_first_likely_and_ends_where_it_was_last_likely() -> None:
    started, ended = endpoints(seconds(0.64, 0.0) + seconds(1.28, 0.9) + seconds(1.28, 0.0))
    assert (started.kind, ended.kind) == (EndpointKind.STARTED, EndpointKind.ENDED)
    assert started.at == pytest.approx(0.64)
    assert ended.at == pytest.approx(1.92)


def test_a_start_is_told_once_enough_speech_was_heard() -> None:
    endpointer = Endpointer(EndpointSettings(min_speech=3 * FRAME))
    told = [endpointer.heard(0.9, i * FRAME, (i + 1) * FRAME) for i in range(5)]
    assert told == [None, None, Endpoint(EndpointKind.STARTED, 0.0), None, None]
    assert endpointer.speaking


def test_how_long_nobody_has_spoken_is_known_also_while_speech_goes_on() -> None:
    endpointer = Endpointer()
    assert endpointer.spoken_until == 0.0
    for place, probability in enumerate(seconds(0.64, 0.9) + seconds(0.16, 0.0)):
        endpointer.heard(probability, place * FRAME, (place + 1) * FRAME)
    assert endpointer.speaking
    assert endpointer.spoken_until == pytest.approx(0.64)


def test_a_click_starts_nothing() -> None:
    assert endpoints(seconds(0.32, 0.0) + seconds(0.128, 0.99) + seconds(1.28, 0.0)) == []


def test_clicks_apart_do_not_add_up_to_speech() -> None:
    assert endpoints((seconds(0.128, 0.99) + seconds(0.32, 0.0)) * 10) == []


def test_syllables_close_together_add_up_to_speech() -> None:
    assert endpoints((seconds(0.128, 0.99) + seconds(0.128, 0.0)) * 4)[0] == Endpoint(EndpointKind.STARTED, 0.0)


def test_hesitation_between_the_two_thresholds_begins_no_speech() -> None:
    assert endpoints(seconds(3.2, 0.5)) == []


def test_hesitation_between_the_two_thresholds_ends_no_speech() -> None:
    found = endpoints(seconds(0.64, 0.9) + seconds(3.2, 0.5))
    assert found[-1].at == pytest.approx(0.64 + 3.2)
    assert len(found) == 2


def test_a_short_pause_does_not_end_speech_and_a_long_one_does() -> None:
    short = endpoints(seconds(0.64, 0.9) + seconds(0.416, 0.0) + seconds(0.64, 0.9))
    long = endpoints(seconds(0.64, 0.9) + seconds(0.576, 0.0) + seconds(0.64, 0.9))
    assert [endpoint.kind for endpoint in short] == [EndpointKind.STARTED, EndpointKind.ENDED]
    assert [endpoint.kind for endpoint in long] == [EndpointKind.STARTED, EndpointKind.ENDED] * 2


def test_an_end_is_told_as_soon_as_the_silence_is_long_enough() -> None:
    endpointer = Endpointer(EndpointSettings(min_speech=0.0, min_silence=2 * FRAME))
    endpointer.heard(0.9, 0.0, FRAME)
    assert endpointer.heard(0.0, FRAME, 2 * FRAME) is None
    assert endpointer.heard(0.0, 2 * FRAME, 3 * FRAME) == Endpoint(EndpointKind.ENDED, FRAME)
    assert not endpointer.busy


def test_one_long_frame_of_lost_sound_ends_speech() -> None:
    endpointer = Endpointer(EndpointSettings(min_speech=0.0))
    endpointer.heard(0.9, 0.0, FRAME)
    assert endpointer.heard(0.0, FRAME, 5.0) == Endpoint(EndpointKind.ENDED, FRAME)


def test_speech_not_yet_believed_is_forgotten_when_the_track_closes() -> None:
    endpointer = Endpointer()
    endpointer.heard(0.9, 0.0, FRAME)
    assert endpointer.busy
    assert endpointer.start == 0.0
    assert endpointer.close() is None
    assert not endpointer.busy
    assert endpointer.start is None


@pytest.mark.parametrize(("on", "off"), [(0.3, 0.5), (1.1, 0.5), (0.5, 0.0)])
def test_thresholds_that_make_no_sense_are_refused(on: float, off: float) -> None:
    with pytest.raises(ValueError, match="thresholds"):
        EndpointSettings(on=on, off=off)


def test_negative_durations_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        EndpointSettings(patience=-0.1)


@given(st.lists(st.sampled_from([0.0, 0.4, 0.7, 1.0]), max_size=200))
def test_starts_and_ends_take_turns_and_time_never_goes_back(probabilities: list[float]) -> None:
    found = endpoints(probabilities)
    assert [endpoint.kind for endpoint in found] == [EndpointKind.STARTED, EndpointKind.ENDED] * (len(found) // 2)
    assert [endpoint.at for endpoint in found] == sorted(endpoint.at for endpoint in found)
    for started, ended in zip(found[::2], found[1::2], strict=True):
        assert ended.at - started.at >= EndpointSettings().min_speech - FRAME
