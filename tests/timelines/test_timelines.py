"""Every timeline written by hand comes out as its table says, and breaks no law on the way."""

from pathlib import Path

import pytest

from tests.timelines.table import outcome, read, timelines


@pytest.mark.parametrize("path", timelines(), ids=lambda path: path.stem)
def test_the_timeline_comes_out_as_its_table_says(path: Path) -> None:
    timeline = read(path)
    assert list(outcome(timeline.play())) == timeline.expected, timeline.title


def test_a_timeline_says_what_it_cannot_mean(tmp_path: Path) -> None:
    (tmp_path / "odd.txt").write_text("Odd.\n\nwhatever 3\n")
    with pytest.raises(ValueError, match="whatever 3"):
        read(tmp_path / "odd.txt")
