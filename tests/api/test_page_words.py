"""The words of the pages: whole in every language, all of them used, and the right language for each visitor."""

import re
from pathlib import Path

import pytest

from api.page_words import Words, catalogues, chosen_language

WEB = Path(__file__).parents[2] / "api" / "web"
# Keys that are put together where they are used.
MADE = re.compile(
    r"look\.(size|colours|lines)\..*|format\..*|error\.\d+\..*|script\.(notice|mode|state|recording|microphone|refused)\..*"
)


def written() -> str:
    """All that may say something: templates, scripts and the modules of pages."""
    paths = [*WEB.glob("templates/*.html"), *WEB.glob("static/*.js"), *WEB.parent.glob("*page*.py")]
    return "\n".join(path.read_text() for path in paths)


def test_every_language_says_everything() -> None:
    french, english = catalogues()["fr"], catalogues()["en"]
    assert french.keys() == english.keys()
    for key, text in english.items():
        assert holes(text) == holes(french[key]), key
        assert french[key].strip()


def holes(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


def test_whatever_a_page_says_is_in_the_catalogues() -> None:
    used = re.findall(r"""\b(?:t|say|words\.say)\(\s*["'](\w+(?:\.\w+)*)["']\s*[,)]""", written())
    assert len(used) > 100
    states = {"connecting", "connected", "lost", "unplugged"}  # what a microphone tells, not words
    assert set(used) - states <= catalogues()["en"].keys()


def test_the_catalogues_hold_nothing_that_no_page_says() -> None:
    text = written()
    plain = {key for key in catalogues()["en"] if not MADE.fullmatch(key)} - {"name"}
    unused = [key for key in plain if not re.search(rf"""["']{re.escape(key)}["']""", text)]
    assert not unused


@pytest.mark.parametrize(
    "code", ["lost", "microphone", "paused", "delayed", "engine_down", "not_kept", "cut", "sound_lost", "waiting"]
)
def test_every_notice_has_its_sentence(code: str) -> None:
    assert f"script.notice.{code}" in catalogues()["fr"]


def test_holes_are_filled_and_what_fills_them_is_not_looked_at_again() -> None:
    assert Words("en").say("earlier.found", query="{count}", count=2) == "Meetings found for “{count}”: 2"


def test_scripts_get_their_own_words_only() -> None:
    words = Words("fr").of_scripts()
    assert words["script.pause"] == "Mettre en pause"
    assert all(key.startswith("script.") for key in words)


@pytest.mark.parametrize(
    ("asked", "remembered", "accepted", "language"),
    [
        ("fr", "en", "en", "fr"),
        (None, "fr", "en-GB,en", "fr"),
        ("xx", "yy", "de, fr;q=0.5, en;q=0.7", "en"),
        (None, None, "fr-CA", "fr"),
        (None, None, "FR_x,*;q=0.1", "fr"),
        (None, None, "fr;q=0, en;q=0.1", "en"),
        (None, None, "de", "en"),
        (None, None, "", "en"),
        (None, None, ",;q=,\x00" * 500, "en"),
        ("../../etc/passwd", None, "", "en"),
    ],
)
def test_the_language_is_the_one_asked_for_else_the_remembered_else_the_best_accepted(
    asked: str | None, remembered: str | None, accepted: str, language: str
) -> None:
    assert chosen_language(asked, remembered, accepted) == language


def test_the_documentation_calls_buttons_what_the_page_calls_them() -> None:
    text = (WEB.parents[1] / "docs" / "participants.md").read_text()
    table = [each for row in re.findall(r"^\| ([A-Z][^|]+?) \|", text, re.MULTILINE) for each in row.split(" / ")]
    named = [each.replace("\n", " ") for each in re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", text)]
    assert len(table) > 5
    assert len(named) > 8
    for name in table + named:
        assert any(said.startswith(name) for said in catalogues()["en"].values()), name
