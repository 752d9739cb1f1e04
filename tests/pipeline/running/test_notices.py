"""Notices come when trouble lasts, once, and once more when it is over."""

from pipeline.domain import TrackId
from pipeline.running.notices import Watch


def looks(watch: Watch, *seen: tuple[float, float, int]) -> list[str]:
    return [code for now, behind, failing in seen for code in watch.look(now, behind, failing)]


def test_a_delay_is_told_once_it_lasts_and_its_end_once_it_is_clearly_over() -> None:
    watch = Watch()
    assert looks(watch, (0.0, 4.9, 0), (0.5, 5.1, 0), (1.0, 6.0, 0)) == []
    assert looks(watch, (1.5, 6.5, 0)) == ["delayed"]
    assert looks(watch, (2.0, 9.0, 0), (2.5, 4.0, 0), (3.0, 3.0, 0), (3.5, 7.0, 0), (9.0, 7.0, 0)) == []
    assert looks(watch, (9.5, 2.9, 0)) == ["in_time"]
    assert looks(watch, (10.0, 0.0, 0)) == []


def test_a_short_delay_is_not_told() -> None:
    watch = Watch()
    assert looks(watch, (0.0, 8.0, 0), (0.5, 0.0, 0), (2.0, 8.0, 0), (2.5, 0.0, 0)) == []


def test_an_engine_is_down_once_several_windows_failed_for_a_while_and_up_once_one_works() -> None:
    watch = Watch()
    assert looks(watch, (0.0, 0.0, 2), (2.0, 0.0, 2)) == []
    assert looks(watch, (2.5, 0.0, 3)) == ["engine_down"]
    assert looks(watch, (3.0, 0.0, 9), (9.0, 0.0, 12)) == []
    assert looks(watch, (9.5, 0.0, 0)) == ["engine_up"]


def test_one_failed_batch_is_not_told() -> None:
    watch = Watch()
    assert looks(watch, (0.0, 0.0, 8), (0.5, 0.0, 8), (0.9, 0.0, 0), (5.0, 0.0, 8)) == []


def test_losses_of_one_track_are_told_now_and_then() -> None:
    watch = Watch()
    anne, bilal = TrackId("anne.1"), TrackId("bilal.1")
    assert [watch.tells_loss(anne, now) for now in (0.0, 1.0, 4.9, 5.0, 6.0)] == [True, False, False, True, False]
    assert watch.tells_loss(bilal, 1.0)
