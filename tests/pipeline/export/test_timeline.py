import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from hypothesis import given, settings

from pipeline.domain import Presence
from pipeline.export.minutes import LABELS
from pipeline.export.timeline import HUES, timeline
from pipeline.record.minutes import minutes
from tests.pipeline.record.samples import ANNE, BILAL, HARD_TEXT, segment, transcript, transcripts

CSS = Path(__file__).resolve().parents[3] / "api" / "web" / "static" / "greffier.css"
SVG = "{http://www.w3.org/2000/svg}"
SPOKEN = transcript(segment("a", "Oui", 0, 30), segment("b", "Non", 60, 90, BILAL))
MEETING = minutes(SPOKEN, [], [Presence(ANNE.id, 0.0, 120.0)])


def drawn(found, **given):
    return ET.fromstring(timeline(found, LABELS["en"], **given))


def rows(picture):
    return picture.findall(f"{SVG}g")


def bars(row, kind):
    """Left edge and width of each bar."""
    path = row.find(f"{SVG}path[@class='{kind}']")
    return (
        []
        if path is None
        else [tuple(map(float, each)) for each in re.findall(r"M([\d.]+) \d+h([\d.]+)", path.get("d"))]
    )


def test_a_row_for_each_attendee_shows_who_was_there_and_who_spoke_when():
    anne, bilal = rows(drawn(MEETING))
    assert [row.find(f"{SVG}text").text for row in (anne, bilal)] == ["Anne", "Bilal"]
    assert [row.get("class") for row in (anne, bilal)] == ["hue-0", "hue-1"]
    assert bars(anne, "there") == [(200, 744)]
    assert bars(anne, "spoke") == [(200, 186)]
    assert (bars(bilal, "there"), bars(bilal, "spoke")) == ([], [(572, 186)])


def test_title_and_description_say_in_words_what_it_shows():
    picture = drawn(MEETING)
    assert picture.get("role") == "img"
    assert picture.get("aria-labelledby") == "timeline-title timeline-desc"
    assert picture.find(f"{SVG}title").text == "Who spoke when"
    assert picture.find(f"{SVG}desc").text == "Anne: 00:30 (50%). Bilal: 00:30 (50%)"
    assert drawn(minutes(transcript())).find(f"{SVG}desc").text == "Nobody spoke."


def test_times_stand_below_at_round_steps():
    assert [each.text for each in drawn(MEETING).findall(f"{SVG}text")] == [
        "00:00", "00:15", "00:30", "00:45", "01:00", "01:15", "01:30", "01:45", "02:00",
    ]  # fmt: skip
    late = minutes(transcript(segment("a", "Oui", 3601, 3607)))
    assert next(each.text for each in drawn(late).findall(f"{SVG}text")) == "1:00:01"
    days = minutes(transcript(segment("a", "Oui", 0, 90 * 86400)))
    assert len(drawn(days).findall(f"{SVG}text")) == 91


def test_what_is_too_short_to_see_is_as_wide_as_a_line_and_what_cannot_be_told_apart_is_one():
    many = [segment(f"u{place}", "Oui", place * 2.0, place * 2.0 + 0.01) for place in range(2000)]
    (anne,) = rows(drawn(minutes(transcript(*many))))
    assert len(bars(anne, "spoke")) == 1
    (anne,) = rows(drawn(minutes(transcript(segment("a", "Oui", 0, 0.01), segment("b", "Oui", 1000, 1000.01)))))
    assert [width for _, width in bars(anne, "spoke")] == [1, 1]


def test_long_names_are_cut():
    (row,) = rows(drawn(minutes(transcript(segment("a", "Oui", 0, 1, replace(ANNE, name="x" * 60))))))
    assert row.find(f"{SVG}text").text == "x" * 23 + "…"


def test_alone_it_has_its_own_colours_and_in_a_page_those_of_the_page():
    assert "prefers-color-scheme:dark" in timeline(MEETING, LABELS["en"])
    assert "<style>" not in timeline(MEETING, LABELS["en"], alone=False)
    for number, (light, dark) in enumerate(HUES):
        (line,) = re.findall(rf"^  --hue-{number}: light-dark\((.*)\);$", CSS.read_text(), re.MULTILINE)
        assert re.findall(r"#\w+", line) == [light, dark]


@settings(max_examples=60, deadline=None)
@given(transcripts(), HARD_TEXT)
def test_any_name_is_well_formed(spoken, name):
    drawn(minutes(replace(spoken, participants=(replace(ANNE, name=name + "\ufffe<&>\"'"),))))
