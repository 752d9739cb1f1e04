import pytest

from pipeline.export.clock import exact, milliseconds, short


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "00:00:00.000"), (1.2346, "00:00:01.235"), (3725.5, "01:02:05.500"), (360_000, "100:00:00.000")],
)
def test_exact_time_has_hours_and_milliseconds(seconds, written):
    assert exact(seconds) == written


def test_exact_time_takes_the_decimal_comma_of_subrip():
    assert exact(1.5, ",") == "00:00:01,500"


@pytest.mark.parametrize(("seconds", "written"), [(0.9, "00:00"), (62, "01:02"), (3599.9, "59:59"), (3661, "1:01:01")])
def test_short_time_is_cut_to_the_second_and_shows_hours_only_from_one_on(seconds, written):
    assert short(seconds) == written


def test_nothing_is_before_the_meeting():
    assert milliseconds(-1) == 0
