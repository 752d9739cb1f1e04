"""The load of readers measures what it says: a few readers get every event, soon, from a server of their own."""

from tests.benchmarks.reader_load import measure


def test_a_few_readers_get_every_event_soon() -> None:
    load = measure(readers=20, seconds=2.0)
    assert 0.8 * load.expected <= load.events <= 1.2 * load.expected
    assert load.late_50 <= load.late_95 <= load.late_most
    assert load.late_50 < 0.5
    assert 0.0 < load.cores < 1.5
