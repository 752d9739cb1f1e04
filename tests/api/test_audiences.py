"""An event log holds every event whole; a terminal shows captions as they change, and never more than fits."""

import io
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from api.audiences import EventLog, Terminal
from pipeline.domain import Caption, Participant, ParticipantId, Track, TrackId, UtteranceId, VoiceRun, Word
from pipeline.errors import StorageFull

ANNE, BOB = TrackId("anne.wav"), TrackId("bob.ogg")
NAMES = {ANNE: "Anne", BOB: "Bob"}


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def words(text: str) -> tuple[Word, ...]:
    return tuple(Word(f" {word}", index, index + 1.0, 0.9) for index, word in enumerate(text.split()))


def caption(
    text: str, tail: str = "", *, final: bool = False, track: TrackId = ANNE, utterance: str = "u", revision: int = 1
) -> Caption:
    return Caption(track, UtteranceId(utterance), revision, final, "fr", words(text), words(tail), 0.25)


def shown(screen: Screen) -> list[str]:
    """The lines that a terminal would hold, without colours."""
    lines = [""]
    for part in re.split(r"(\x1b\[\d*A\x1b\[J|\n)", screen.getvalue()):
        up = re.match(r"\x1b\[(\d+)A", part)
        if up:
            lines = [*lines[: len(lines) - 1 - int(up[1])], ""]
        elif part == "\n":
            lines.append("")
        else:
            lines[-1] += re.sub(r"\x1b\[[\d;]*m", "", part)
    return lines[:-1]


# --- the log -----------------------------------------------------------------------------------------------


def test_an_event_is_one_line_of_json_as_it_is_documented() -> None:
    file = io.StringIO()
    EventLog(file, Path("-")).show(caption("il neige", "à Nîmes"), 3.0004)
    assert file.getvalue().endswith("\n")
    event = json.loads(file.getvalue())
    assert event == {
        "sent_at": 3.0,
        "track": "anne.wav",
        "utterance": "u",
        "revision": 1,
        "final": False,
        "language": "fr",
        "committed": " il neige",
        "tail": " à Nîmes",
        "words": [
            {"text": " il", "start": 0, "end": 1.0, "confidence": 0.9},
            {"text": " neige", "start": 1, "end": 2.0, "confidence": 0.9},
        ],
        "lag": 0.25,
    }
    assert "à Nîmes" in file.getvalue()


def test_an_event_is_in_the_file_as_soon_as_it_was_shown(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with path.open("w") as file:
        EventLog(file, path).show(caption("il neige"), 1.0)
        assert json.loads(path.read_text())["committed"] == " il neige"


def test_a_full_disk_is_told_with_the_name_of_the_file() -> None:
    file = Path("/dev/full").open("w")  # noqa: SIM115 - closing it fails too
    try:
        with pytest.raises(StorageFull, match="/dev/full"):
            EventLog(file, Path("/dev/full")).show(caption("il neige"), 1.0)
    finally:
        with pytest.raises(OSError):
            file.close()


# --- the terminal ------------------------------------------------------------------------------------------


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((40, 10)))
    return Screen()


def test_captions_under_way_are_redrawn_and_finished_ones_stay(screen: Screen) -> None:
    terminal = Terminal(NAMES, screen)
    terminal.show(caption("il", "naige"), 1.0)
    assert shown(screen) == ["Anne: il naige"]
    terminal.show(caption("salut", track=BOB, utterance="v"), 1.5)
    assert shown(screen) == ["Anne: il naige", "Bob: salut"]
    terminal.show(caption("il neige", "ici", revision=2), 2.0)
    assert shown(screen) == ["Anne: il neige ici", "Bob: salut"]
    terminal.show(caption("salut Anne", final=True, track=BOB, utterance="v", revision=2), 2.5)
    assert shown(screen) == ["Bob: salut Anne", "Anne: il neige ici"]
    terminal.show(caption("il neige ici", final=True, revision=3), 3.0)
    assert shown(screen) == ["Bob: salut Anne", "Anne: il neige ici"]


def test_a_tail_is_dim_and_each_participant_has_a_colour(screen: Screen) -> None:
    terminal = Terminal(NAMES, screen)
    terminal.show(caption("il", "neige"), 1.0)
    terminal.show(caption("oui", track=BOB, utterance="v"), 1.0)
    assert "\x1b[1;36mAnne\x1b[0m\x1b[36m: il\x1b[0m\x1b[2;3m neige\x1b[0m" in screen.getvalue()
    assert "\x1b[1;33mBob" in screen.getvalue()


def test_a_caption_that_wraps_is_erased_whole(screen: Screen) -> None:
    terminal = Terminal(NAMES, screen)
    terminal.show(caption("mot " * 15), 1.0)  # 66 columns: two rows of 40
    terminal.show(caption("fini", final=True), 2.0)
    assert "\x1b[2A\x1b[J" in screen.getvalue()


def test_a_final_without_words_erases_and_leaves_no_line(screen: Screen) -> None:
    terminal = Terminal(NAMES, screen)
    terminal.show(caption("", "euh"), 1.0)
    terminal.show(caption("", final=True, revision=2), 2.0)
    assert shown(screen) == []


def test_of_captions_that_fill_the_screen_the_newest_words_are_shown(screen: Screen) -> None:
    terminal = Terminal(NAMES, screen)
    for track, utterance in ((ANNE, "u"), (BOB, "v")):
        terminal.show(caption(" ".join(map(str, range(300))), track=track, utterance=utterance), 1.0)
    assert terminal._drawn <= 9
    assert all(line.endswith(" 299") for line in shown(screen)[-2:])
    for number in range(30):
        terminal.show(caption("oui", track=BOB, utterance=f"w{number}"), 2.0)
        assert terminal._drawn <= 9


def test_wide_characters_count_for_two(screen: Screen) -> None:
    terminal = Terminal(NAMES, screen)
    terminal.show(caption("你" * 20), 1.0)  # 46 columns
    assert terminal._drawn == 2


def test_what_a_name_or_a_word_holds_cannot_command_the_terminal(screen: Screen) -> None:
    Terminal({ANNE: "A\x1b[2Jnne\n"}, screen).show(caption("sal\x07ut\x1b[31m", final=True), 1.0)
    assert shown(screen) == ["A[2Jnne: salut[31m"]


def test_a_stream_that_is_no_terminal_gets_finished_captions_only() -> None:
    stream = io.StringIO()
    terminal = Terminal(NAMES, stream)
    terminal.show(caption("il", "neige"), 1.0)
    terminal.show(caption("il neige", final=True), 2.0)
    terminal.show(caption("bonjour", final=True, track=TrackId("stranger"), utterance="x"), 3.0)
    assert stream.getvalue() == "Anne: il neige\nstranger: bonjour\n"


# --- voices at one microphone ------------------------------------------------------------------------------


def tell(terminal: Terminal, utterance: str, *runs: tuple[int, int, int]) -> None:
    """Runs of first word, count, voice."""
    track = Track(ANNE, Participant(ParticipantId("anne"), "Anne"))
    terminal.tell(track, [VoiceRun(UtteranceId(utterance), *run) for run in runs], 0.0)


def test_each_voice_has_its_line_as_soon_as_it_is_known(screen: Screen) -> None:
    terminal = Terminal(NAMES, screen, voiced=True)
    terminal.show(caption("oui non", "peut"), 1.0)
    assert shown(screen) == ["Anne: oui non peut"]
    tell(terminal, "u", (0, 1, 1))
    assert shown(screen) == ["Anne (voix 1): oui", "Anne: non peut"]
    terminal.show(caption("oui non peut-être", final=True, revision=2), 2.0)
    assert shown(screen) == ["Anne (voix 1): oui", "Anne: non peut-être"]
    tell(terminal, "u", (0, 1, 1), (1, 2, 2))
    assert shown(screen) == ["Anne (voix 1): oui", "Anne (voix 2): non peut-être"]
    assert (terminal._open, terminal._runs, terminal._drawn) == ({}, {}, 0)


def test_a_finished_line_waits_for_its_voices_until_the_next_one_is_finished_or_all_is_over() -> None:
    stream = io.StringIO()
    terminal = Terminal(NAMES, stream, voiced=True)
    terminal.show(caption("oui", final=True), 1.0)
    assert stream.getvalue() == ""
    terminal.show(caption("", final=True, track=BOB, utterance="b"), 1.5)
    terminal.show(caption("non", final=True, utterance="v"), 2.0)
    assert stream.getvalue() == "Anne: oui\n"
    tell(terminal, "u", (0, 1, 1))
    terminal.finish()
    assert stream.getvalue() == "Anne: oui\nAnne: non\n"
