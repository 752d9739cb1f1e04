from dataclasses import replace

from hypothesis import given, settings
from markdown_it import MarkdownIt

from pipeline.domain import Pause
from pipeline.export.characters import one_line
from pipeline.export.markdown import escaped, markdown
from tests.pipeline.record.samples import ANNE, BILAL, HARD_TEXT, gap, segment, transcript


def read(document):
    """The blocks a reader sees: their kind and their text without markup."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(document)
    return [
        (tokens[place - 1].tag, "".join("\n" if each.type == "hardbreak" else each.content for each in token.children))
        for place, token in enumerate(tokens)
        if token.type == "inline"
    ]


def test_an_empty_transcript_is_an_empty_document():
    assert markdown(transcript()) == ""


def test_a_title_alone_is_a_heading():
    assert markdown(transcript(title="Point")) == "# Point\n"


def test_participants_turns_and_gaps_are_written_with_their_times():
    spoken = [segment("a", "Oui.", 0, 1), segment("b", "Non.", 62, 63, BILAL)]
    assert markdown(transcript(*spoken, gaps=(gap(5, 65),), title="Point")) == (
        "# Point\n\n## Participants\n\n- Anne\n- Bilal\n\n## Transcription\n\n"
        "**Anne** (00:00)  \nOui.\n\n"
        "**Anne** (00:05)  \n*\\[inaudible\\] 00:05–01:05 (overload)*\n\n"
        "**Bilal** (01:02)  \nNon.\n"
    )


def test_pauses_stand_between_turns_and_a_cut_transcript_says_so_first():
    spoken = [segment("a", "Oui.", 0, 1), segment("b", "Non.", 3, 4)]
    assert markdown(transcript(*spoken, title="Point", pauses=(Pause(2),), cut=True)) == (
        "# Point\n\n*\\[interruption\\]*\n\n## Participants\n\n- Anne\n\n## Transcription\n\n"
        "**Anne** (00:00)  \nOui.\n\n*\\[pause\\] 00:02–*\n\n**Anne** (00:03)  \nNon.\n"
    )


def test_participants_who_said_nothing_are_listed_without_a_transcription():
    assert markdown(replace(transcript(), participants=(ANNE,))) == "## Participants\n\n- Anne\n"


def test_markup_is_escaped_wherever_it_would_count():
    assert escaped("1. *a* _b_ `c` [d](e) <f> & # ~ | $ \\") == (
        "1\\. \\*a\\* \\_b\\_ \\`c\\` \\[d\\](e) \\<f\\> \\& \\# \\~ \\| \\$ \\\\"
    )
    assert escaped("- a-b = 1.5") == "\\- a-b = 1.5"


@settings(max_examples=80, deadline=None)
@given(HARD_TEXT.filter(one_line), HARD_TEXT.filter(one_line))
def test_a_renderer_shows_titles_names_and_texts_as_they_were_said(text, name):
    someone = replace(ANNE, name=name)
    spoken = replace(segment("a", "", 0, 1, someone, correction=text), caption=())
    assert read(markdown(transcript(spoken, title=text))) == [
        ("h1", one_line(text)),
        ("h2", "Participants"),
        ("p", one_line(name)),
        ("h2", "Transcription"),
        ("p", f"{one_line(name)} (00:00)\n{one_line(text)}"),
    ]
