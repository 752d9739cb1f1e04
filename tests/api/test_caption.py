"""``greffier caption`` as people run it: files in; events, a transcript or a live terminal out."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soxr

from api.caption import read_glossary
from models.faster_whisper import WhisperEngine
from models.guards import plain
from models.voice_export import export_voices
from pipeline.errors import InvalidInput
from tests.api.conftest import Greffier
from tests.benchmarks.normalise import normalise
from tests.benchmarks.score import count_errors
from tests.recordings import described, heard, recorded, silence, write_sound
from tests.two_voices import TWO_VOICES

JFK, LEOPARD, QUILTER, ABBIE = "en_jfk.flac", "fr_pv_leopard.wav", "en_pv_quilter.wav", "en_ami_ES2011a_40.wav"
KEYS = {"sent_at", "track", "utterance", "revision", "final", "language", "committed", "tail", "words", "lag"}
HERE = Path(__file__).parents[2]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "api.cli", *map(str, arguments)]


def events_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def text_of(events: list[dict], track: str) -> str:
    return "".join(event["committed"] for event in events if event["final"] and event["track"] == track)


def errors(clip: str, text: str, language: str) -> float:
    return count_errors(normalise(str(described(clip)["ref_text"]), language), normalise(text, language)).rate


def check_events(events: list[dict]) -> None:
    """What is promised of events, whatever was said."""
    committed: dict[str, str] = {}
    revisions: dict[str, int] = {}
    finals: list[str] = []
    for event in events:
        name = event["utterance"]
        assert set(event) == KEYS
        assert event["committed"] == "".join(word["text"] for word in event["words"])
        assert all(set(word) == {"text", "start", "end", "confidence"} for word in event["words"])
        assert all(word["text"].startswith(" ") for word in event["words"][:1])
        assert event["committed"].startswith(committed.get(name, ""))
        assert event["revision"] > revisions.get(name, 0)
        assert name not in finals
        committed[name], revisions[name] = event["committed"], event["revision"]
        if event["final"]:
            assert event["tail"] == ""
            finals.append(name)
    assert set(finals) == set(committed)
    assert [event["sent_at"] for event in events] == sorted(event["sent_at"] for event in events)


# --- events and transcripts --------------------------------------------------------------------------------


def test_two_people_at_one_microphone_are_told_apart_in_events_and_transcript(
    greffier: Greffier, tmp_path: Path, cache: Path
) -> None:
    export_voices(cache)
    files = ["--events", tmp_path / "out.jsonl", "--transcript", tmp_path / "out.json"]
    greffier("caption", TWO_VOICES, "--shared-room", *files, "--speed", "1.5", "--language", "en")
    events = events_of(tmp_path / "out.jsonl")
    labels = {event["utterance"]: event["runs"] for event in events if event.get("type") == "voices"}
    assert {run["speaker"] for runs in labels.values() for run in runs} == {"sample (voix 1)", "sample (voix 2)"}
    captions = [event for event in events if "type" not in event]
    check_events(captions)
    assert set(labels) == {event["utterance"] for event in captions if event["words"]}
    said = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["segments"]
    sheila = " ".join(segment["text"] for segment in said if segment["participant"].endswith("/2"))
    assert "Chicago" in sheila
    assert "Hello" not in sheila


def test_a_command_in_a_process_of_its_own_writes_events_and_a_transcript_and_loads_no_torch(tmp_path: Path) -> None:
    code = "import sys; from api.cli import main; code = main(sys.argv[1:]); sys.exit(code or 'torch' in sys.modules)"
    files = ["--events", tmp_path / "out.jsonl", "--transcript", tmp_path / "out.json"]
    ran = subprocess.run(
        [sys.executable, "-c", code, "caption", recorded(QUILTER), *files, "--speed", "2", "--language", "en"],
        cwd=HERE, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    events = events_of(tmp_path / "out.jsonl")
    check_events(events)
    assert errors(QUILTER, text_of(events, QUILTER), "en") <= 0.3
    assert json.loads((tmp_path / "out.json").read_text())["schema"] == "greffier/transcript"


def test_events_tell_of_words_while_they_are_said(greffier: Greffier, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert greffier("caption", recorded(JFK), "--speed", "2", "--language", "en", "--events", out).code == 0
    events = events_of(out)
    check_events(events)
    assert any(not event["final"] and event["tail"] for event in events)
    times = [(word["start"], word["end"]) for event in events if event["final"] for word in event["words"]]
    assert times == sorted(times)
    assert all(0 <= start <= end <= 12 for start, end in times)
    assert all(event["sent_at"] >= event["words"][-1]["end"] for event in events if event["words"])


def test_files_of_one_name_are_two_tracks_and_a_transcript_holds_both_texts(greffier: Greffier, tmp_path: Path) -> None:
    other = tmp_path / "other" / QUILTER
    other.parent.mkdir()
    other.write_bytes(recorded(LEOPARD).read_bytes())
    out, transcript = tmp_path / "out.jsonl", tmp_path / "out.json"
    said = greffier(
        "caption", recorded(QUILTER), other, "--speed", "0", "--language", "en,fr",
        "--events", out, "--transcript", transcript,
    )  # fmt: skip
    assert (said.code, said.out, said.error) == (0, "", "")
    events = events_of(out)
    check_events(events)
    assert errors(QUILTER, text_of(events, QUILTER), "en") <= 0.3
    # As fast as it goes there is little to tell the language by; the words of the other track would all be wrong.
    assert errors(LEOPARD, text_of(events, f"{QUILTER}-2"), "fr") <= 0.75
    written = json.loads(transcript.read_text(encoding="utf-8"))
    assert [each["id"] for each in written["participants"]] == [QUILTER, f"{QUILTER}-2"]
    for segment in written["segments"]:
        texts = {text["origin"]: text["text"] for text in segment["texts"]}
        assert segment["text"] == texts[segment["origin"]]
        assert texts["caption"]
    assert "record" in {segment["origin"] for segment in written["segments"]}
    assert {segment["track"] for segment in written["segments"]} == {QUILTER, f"{QUILTER}-2"}


def test_events_can_go_to_standard_output(greffier: Greffier) -> None:
    said = greffier("caption", recorded(QUILTER), "--speed", "0", "--language", "en", "--events", "-")
    check_events([json.loads(line) for line in said.out.splitlines()])
    assert "gospel" in said.out


@pytest.mark.parametrize("policy", ["alignatt", "local-agreement"])
def test_both_policies_caption_the_same_words(greffier: Greffier, tmp_path: Path, policy: str) -> None:
    out = tmp_path / "out.jsonl"
    said = greffier(
        "caption", recorded(QUILTER), "--speed", "2", "--language", "en", "--policy", policy, "--events", out
    )
    assert said.code == 0
    check_events(events_of(out))
    assert errors(QUILTER, text_of(events_of(out), QUILTER), "en") <= 0.3


def test_a_glossary_spells_the_names_that_are_said(greffier: Greffier, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("# names\nAbigail Claflin\n\nAbbie\n", encoding="utf-8")
    out = tmp_path / "out.jsonl"
    arguments = ("caption", recorded(ABBIE), "--speed", "0", "--language", "en", "--events", out)
    assert greffier(*arguments, "--glossary", words).code == 0
    assert "Claflin" in text_of(events_of(out), ABBIE)


def test_a_glossary_is_one_term_a_line(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffVisio\r\n# a comment\n  La Suite numérique \n\n".encode())
    assert read_glossary(path) == ("Visio", "La Suite numérique")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="UTF-8"):
        read_glossary(path)
    path.write_text("term\n" * 201)
    with pytest.raises(InvalidInput, match="201 terms"):
        read_glossary(path)


# --- what comes in -----------------------------------------------------------------------------------------


def test_sound_without_speech_shows_no_word(greffier: Greffier, tmp_path: Path) -> None:
    """Silence, laughter, noise, a kitchen, animals and music, through the whole live path."""
    clips = [recorded(path.name) for path in sorted(recorded("ns_guitar.wav").parent.glob("ns_*"))]
    assert len(clips) == 8
    out, transcript = tmp_path / "out.jsonl", tmp_path / "out.json"
    assert greffier("caption", *clips, "--speed", "0", "--events", out, "--transcript", transcript).code == 0
    events = events_of(out)
    assert [event["committed"] + event["tail"] for event in events if event["committed"] or event["tail"]] == []
    assert json.loads(transcript.read_text())["segments"] == []


@pytest.mark.parametrize("clip", ["de_pv.wav", "es_pv.wav"])
def test_a_sentence_in_a_language_not_declared_disturbs_no_other_track(
    greffier: Greffier, tmp_path: Path, clip: str
) -> None:
    out = tmp_path / "out.jsonl"
    said = greffier("caption", recorded(clip), recorded(QUILTER), "--speed", "0", "--events", out)
    assert (said.code, said.error) == (0, "")
    events = events_of(out)
    check_events(events)
    assert {event["language"] for event in events} <= {"fr", "en"}
    assert errors(QUILTER, text_of(events, QUILTER), "en") <= 0.6  # how soon its language is sure varies


def test_telephone_sound_and_six_channels_are_captioned(greffier: Greffier, tmp_path: Path) -> None:
    voice = soxr.resample(heard(QUILTER).astype(np.float32) / 32768, 16_000, 48_000)
    planes = np.zeros((6, len(voice)), np.float32)
    planes[2] = voice  # the centre
    surround = write_sound(tmp_path / "surround.flac", planes, 48_000, "5.1", "flac")
    telephone = recorded("fr_ibm_udhr1_8k.wav")
    out = tmp_path / "out.jsonl"
    assert greffier("caption", surround, "--speed", "0", "--language", "en", "--events", out).code == 0
    events = events_of(out)
    check_events(events)
    assert errors(QUILTER, text_of(events, "surround.flac"), "en") <= 0.3
    assert greffier("caption", telephone, "--speed", "0", "--language", "fr", "--events", out).code == 0
    events = events_of(out)
    check_events(events)
    assert errors(telephone.name, text_of(events, telephone.name), "fr") <= 0.4


def test_half_an_hour_of_silence_is_over_in_seconds_and_says_nothing(greffier: Greffier, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "silence.wav", np.zeros((1, 1800 * 8000), np.float32), 8000, "mono")
    began = time.process_time()
    said = greffier("caption", path, "--speed", "0", "--events", tmp_path / "out.jsonl")
    assert time.process_time() - began < 40
    assert (said.code, events_of(tmp_path / "out.jsonl")) == (0, [])


def test_a_word_alone_is_captioned(greffier: Greffier, tmp_path: Path) -> None:
    """A greeting, and the end of a sentence, cut out."""
    bonjour = recorded("fr_linto_bonjour.wav")
    out = tmp_path / "out.jsonl"
    assert greffier("caption", bonjour, "--speed", "0", "--language", "fr", "--events", out).code == 0
    assert plain(text_of(events_of(out), bonjour.name)) == "bonjour"
    sound = heard(QUILTER)[round(4.6 * 16_000) :].astype(np.float32)[None] / 32768
    alone = write_sound(tmp_path / "alone.wav", np.concatenate([sound, silence(1.0)[None] * 1.0], 1), 16_000, "mono")
    assert greffier("caption", alone, "--speed", "0", "--language", "en", "--events", out).code == 0
    assert "gospel" in plain(text_of(events_of(out), "alone.wav"))


# --- what goes wrong ---------------------------------------------------------------------------------------


def test_a_full_disk_ends_the_replay_with_a_clear_message_and_keeps_the_transcript(
    greffier: Greffier, tmp_path: Path
) -> None:
    transcript = tmp_path / "out.json"
    said = greffier(
        "caption", recorded(QUILTER), "--speed", "0", "--language", "en",
        "--events", "/dev/full", "--transcript", transcript,
    )  # fmt: skip
    assert said.code == 73
    assert said.error == "greffier: there is no room left to write /dev/full; what was written before is kept\n"
    assert json.loads(transcript.read_text())["segments"]


def test_a_full_disk_for_the_transcript_keeps_the_events(greffier: Greffier, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    said = greffier(
        "caption", recorded(QUILTER), "--speed", "0", "--language", "en", "--events", out, "--transcript", "/dev/full"
    )
    assert (said.code, said.error.count("no room left to write /dev/full")) == (73, 1)
    check_events(events_of(out))


def test_a_recogniser_that_breaks_is_told_of_and_leaves_a_marked_gap(
    greffier: Greffier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(WhisperEngine, "hear", breaks)
    transcript = tmp_path / "out.json"
    said = greffier("caption", recorded(QUILTER), "--speed", "0", "--language", "en", "--transcript", transcript)
    assert said.code == 0
    written = json.loads(transcript.read_text())
    assert written["segments"] == []
    assert written["gaps"][0]["reason"] == "not recognised"


# --- terminals and signals ---------------------------------------------------------------------------------


@contextmanager
def running(*arguments: object, **options: object) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command(*arguments), cwd=HERE, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: object, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_cleanly_and_keeps_what_was_made(
    whisper_base: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    out, transcript = tmp_path / "out.jsonl", tmp_path / "out.json"
    arguments = ("caption", recorded(JFK), recorded("fr_fdm002.mp3"), "--events", out, "--transcript", transcript)
    with running(*arguments, stderr=subprocess.PIPE) as process:
        wait_for(lambda: out.exists() and len(out.read_bytes()) > 0)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (code, b"")
    check_events(events_of(out))
    written = json.loads(transcript.read_text())
    assert written["segments"]
    assert max(segment["end"] for segment in written["segments"]) < 40.0


def test_a_reader_who_goes_away_ends_the_command_without_a_word(whisper_base: Path) -> None:
    arguments = ("caption", recorded(QUILTER), "--speed", "4", "--language", "en", "--events", "-")
    with running(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (141, b"")


def test_a_full_standard_output_is_told(whisper_base: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            command("caption", recorded(QUILTER), "--speed", "0", "--language", "en"),
            cwd=HERE, check=False, stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert ran.returncode == 73
    assert ran.stderr == ("greffier: there is no room left to write standard output; what was written before is kept\n")


def test_on_a_terminal_captions_are_drawn_as_they_change(whisper_base: Path) -> None:
    controller, screen = pty.openpty()
    drawn = b""
    arguments = ("caption", recorded(QUILTER), "--speed", "2", "--language", "en")
    with running(*arguments, stdout=screen, stderr=subprocess.PIPE, env={**os.environ, "COLUMNS": "80"}) as process:
        os.close(screen)
        while select.select([controller], [], [], 60)[0]:
            try:
                drawn += os.read(controller, 4096)
            except OSError:  # the terminal was closed at the other end
                break
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, b"")
    os.close(controller)
    assert drawn.count(b"\x1b[J") >= 2  # redrawn as it changed
    assert b"\x1b[2;3m" in drawn  # a tail, dim
    last = drawn.rpartition(b"\x1b[J")[2].decode()
    assert "en_pv_quilter" in last
    assert "gospel" in last


def test_elsewhere_finished_captions_are_lines_of_text(greffier: Greffier) -> None:
    said = greffier("caption", recorded(QUILTER), "--speed", "0", "--language", "en")
    assert "\x1b" not in said.out
    assert all(line.startswith("en_pv_quilter: ") for line in said.out.splitlines())
    assert "gospel" in said.out
