"""The sample conversation is there, and says so where it is not."""

from pathlib import Path

import pytest

import api.sample
from pipeline.errors import NotFound


def test_the_sample_has_its_voices_and_its_length() -> None:
    script = api.sample.read_script()
    assert [voice.name for voice in script.voices] == ["Éric", "Abbie", "Claire", "John"]
    assert 30 < script.seconds < 45


def test_a_greffier_without_its_sample_says_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.sample, "_FOLDER", tmp_path)
    with pytest.raises(NotFound, match="sample/"):
        api.sample.read_script()
