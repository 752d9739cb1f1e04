"""A track without words begins anew once, and a meeting whose track still has none is hopeless."""

from pipeline.distributed.watchdog import Watchdog
from pipeline.domain import TrackId

ANNE, BERT = TrackId("anne.1"), TrackId("bert.1")


def test_a_track_begins_anew_once_until_it_has_words_again() -> None:
    watchdog = Watchdog()
    assert watchdog.to_reset({ANNE: 9.0, BERT: 1.0}) == []
    assert watchdog.to_reset({ANNE: 10.0, BERT: 2.0}) == [ANNE]
    assert watchdog.to_reset({ANNE: 11.0, BERT: 12.0}) == [BERT]
    assert watchdog.to_reset({ANNE: 0.5}) == []
    assert watchdog.to_reset({ANNE: 10.5}) == [ANNE]


def test_twenty_seconds_are_hopeless() -> None:
    assert not Watchdog.hopeless({ANNE: 19.0})
    assert Watchdog.hopeless({ANNE: 1.0, BERT: 20.0})
