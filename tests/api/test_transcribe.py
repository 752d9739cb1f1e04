"""``greffier transcribe``: recordings to files in every format."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import webvtt

from api.cli import main
from api.transcribe import batches
from media_gateway.recording import Recording
from pipeline.domain import TrackId, UtteranceId, Window, WindowKind
from pipeline.errors import RecognitionFailed, UnreadableMedia
from tests.api.conftest import Greffier
from tests.benchmarks.normalise import normalise
from tests.benchmarks.score import count_errors
from tests.recordings import described, recorded, write_sound

JFK, LEOPARD, QUILTER = "en_jfk.flac", "fr_pv_leopard.wav", "en_pv_quilter.wav"


def errors(clip: str, text: str, language: str) -> float:
    return count_errors(normalise(str(described(clip)["ref_text"]), language), normalise(text, language)).rate


def plain(lines: str) -> str:
    """The text of a document, without times, numbers, names and marks."""
    kept = [line for line in lines.splitlines() if "-->" not in line and not line.strip().isdigit()]
    return re.sub(r"<[^>]*>|\*\*.*?\*\*|\[.*?\]|^#.*$|^en_jfk:", " ", "\n".join(kept), flags=re.MULTILINE)


# --- what comes out ----------------------------------------------------------------------------------------


def test_a_recording_becomes_a_file_of_each_format_that_says_what_was_said(greffier: Greffier, tmp_path: Path) -> None:
    said = greffier(
        "transcribe", recorded(JFK), "--language", "en", "--format", "vtt,srt,txt,json,md", "--out", tmp_path
    )
    assert said.code == 0
    files = [tmp_path / f"en_jfk.{name}" for name in ("vtt", "srt", "txt", "json", "md")]
    assert said.out.splitlines() == [str(path) for path in files]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    written = json.loads((tmp_path / "en_jfk.json").read_text(encoding="utf-8"))
    assert {segment["origin"] for segment in written["segments"]} == {"record"}
    assert errors(JFK, " ".join(segment["text"] for segment in written["segments"]), "en") <= 0.1
    for cues in (webvtt.read(str(tmp_path / "en_jfk.vtt")), webvtt.from_srt(str(tmp_path / "en_jfk.srt"))):
        text = " ".join(cue.text for cue in cues).replace("en_jfk:", "")
        assert errors(JFK, text, "en") <= 0.15
        assert all(cue.start_in_seconds <= cue.end_in_seconds <= 13 for cue in cues)
    for name in ("txt", "md"):
        text = (tmp_path / f"en_jfk.{name}").read_text(encoding="utf-8")
        assert "ask what you can do for your country" in " ".join(plain(text).casefold().split())


def test_the_language_is_found_and_the_file_goes_beside_the_recording(greffier: Greffier, tmp_path: Path) -> None:
    path = tmp_path / "réunion.wav"
    path.write_bytes(recorded(LEOPARD).read_bytes())
    assert greffier("transcribe", path).out == f"{tmp_path}/réunion.txt\n"
    assert errors(LEOPARD, plain((tmp_path / "réunion.txt").read_text()).replace("réunion:", ""), "fr") <= 0.45


def test_recordings_of_one_name_do_not_overwrite_each_other(greffier: Greffier, tmp_path: Path) -> None:
    other = tmp_path / "en_pv_quilter.ogg"
    other.write_bytes(recorded("ns_sheep.ogg").read_bytes())
    out = tmp_path / "new" / "folder"
    said = greffier("transcribe", recorded(QUILTER), other, "--language", "en", "--out", out)
    assert said.out.splitlines() == [f"{out}/en_pv_quilter.txt", f"{out}/en_pv_quilter-2.txt"]
    assert "gospel" in (out / "en_pv_quilter.txt").read_text()
    assert "gospel" not in (out / "en_pv_quilter-2.txt").read_text()


def test_silence_is_transcribed_to_nothing_in_every_format(greffier: Greffier, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "silence.wav", np.zeros((1, 120 * 8000), np.float32), 8000, "mono")
    assert greffier("transcribe", path, "--format", "vtt,srt,txt,json,md").code == 0
    assert json.loads((tmp_path / "silence.json").read_text())["segments"] == []
    assert list(webvtt.read(str(tmp_path / "silence.vtt"))) == []


def test_progress_is_told_on_standard_error(
    greffier: Greffier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.output._told", set())
    said = greffier("transcribe", recorded(QUILTER), "--language", "en", "--out", tmp_path)
    assert said.error == f"{QUILTER}\n"


# --- what goes wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["pdf", "txt,pdf", ",", ""])
def test_a_format_that_is_not_known_is_refused(greffier: Greffier, given: str) -> None:
    said = greffier("transcribe", recorded(QUILTER), "--format", given)
    assert said.code == 64
    assert "is not among vtt, srt, txt, json, md" in said.error


def test_a_folder_that_cannot_be_made_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert main(["transcribe", str(recorded(QUILTER)), "--out", str(file)]) == 64
    assert capsys.readouterr().err == f"greffier: {file} cannot be written: File exists\n"


def test_a_recording_that_breaks_at_once_stops_no_other(
    greffier: Greffier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(recorded(QUILTER).read_bytes())
    pieces = Recording.pieces

    def decoded(self: Recording, seconds: float) -> object:
        if self.path == broken:
            raise UnreadableMedia(f"{broken} holds no sound that can be decoded")
        return pieces(self, seconds)

    monkeypatch.setattr(Recording, "pieces", decoded)
    said = greffier("transcribe", broken, recorded(QUILTER), "--language", "en", "--out", tmp_path)
    assert said.code == 1
    assert f"greffier: {broken} holds no sound" in said.error
    assert (tmp_path / "en_pv_quilter.txt").exists()


def test_a_recogniser_that_fails_is_told_of_and_leaves_no_file(
    greffier: Greffier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RecognitionFailed("the recogniser failed on 1 windows: out of memory")

    monkeypatch.setattr("models.faster_whisper.WhisperEngine.hear", fails)
    said = greffier("transcribe", recorded(QUILTER), "--language", "en", "--out", tmp_path)
    assert (said.code, list(tmp_path.iterdir())) == (70, [])
    assert "out of memory" in said.error


@pytest.mark.parametrize(
    ("windows", "batch", "sizes"), [(13, 4, [3, 3, 3, 4]), (1, 4, [1]), (3, 1, [1, 1, 1]), (4, 8, [2, 2])]
)
def test_callers_are_given_as_many_batches_each_longest_first(windows: int, batch: int, sizes: list[int]) -> None:
    lengths = [float(5 * number % 13 + 1) for number in range(windows)]
    some = [
        (Window(TrackId("a"), UtteranceId("a"), WindowKind.RECORD, 0.0, length, ("en",)), np.zeros(0, np.int16))
        for length in lengths
    ]
    made = [[window.end for window, _ in part] for part in batches(some, batch, 2)]
    assert [len(part) for part in made] == sizes
    assert [length for part in made for length in part] == sorted(lengths, reverse=True)
