"""The sample meeting can be played and its voices may be given away."""

import json
from itertools import pairwise
from pathlib import Path

from media_gateway.recording import Recording

SAMPLE = Path(__file__).parents[1] / "sample"
TRACKS = json.loads((SAMPLE / "meeting.json").read_text(encoding="utf-8"))["tracks"]


def test_four_voices_speak_two_languages_for_about_forty_seconds() -> None:
    ends = [track["start"] + (Recording.open(SAMPLE / track["file"]).duration or 0) for track in TRACKS]
    assert len({track["participant"] for track in TRACKS}) == 4
    assert {track["language"] for track in TRACKS} == {"fr", "en"}
    assert 30 < max(ends) < 45


def test_two_of_them_speak_at_once_for_a_moment() -> None:
    overlaps = [
        earlier["start"] + (Recording.open(SAMPLE / earlier["file"]).duration or 0) - later["start"]
        for earlier, later in pairwise(TRACKS)
    ]
    assert any(0.5 < overlap < 2.0 for overlap in overlaps)


def test_every_voice_has_its_attribution_and_all_are_small() -> None:
    attribution = (SAMPLE / "ATTRIBUTION.md").read_text(encoding="utf-8")
    files = [path for path in SAMPLE.iterdir() if path.suffix not in {".md", ".json"}]
    assert {path.name for path in files} == {track["file"] for track in TRACKS}
    assert all(f"`{path.name}`" in attribution for path in files)
    assert sum(path.stat().st_size for path in files) < 1_500_000
