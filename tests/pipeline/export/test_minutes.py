import json
from dataclasses import replace

from hypothesis import given, settings
from markdown_it import MarkdownIt

from pipeline.domain import Participant, ParticipantId, Presence
from pipeline.export.minutes import LABELS, minutes_json, minutes_markdown, percent
from pipeline.record.minutes import minutes
from tests.pipeline.record.samples import ANNE, BILAL, HARD_TEXT, OTHER_ANNE, segment, transcript, transcripts

CLAIRE = Participant(ParticipantId("claire"), "Claire")
SPOKEN = [segment("a", "Oui", 0, 6), segment("b", "Non", 70, 72, BILAL), segment("c", "Si", 80, 81, OTHER_ANNE)]
MEETING = minutes(
    transcript(*SPOKEN, title="Point"), [ANNE, CLAIRE], [Presence(ANNE.id, 0.0, 61.0), Presence(CLAIRE.id, 2.0, 3.5)]
)


def test_markdown_has_a_row_for_each_attendee_and_says_when_each_spoke():
    assert minutes_markdown(MEETING, LABELS["fr"]) == (
        "# Point\n\n## Compte rendu\n\n"
        "| Participant | Présence | Temps de parole | Interventions |\n|---|---|---|---|\n"
        "| Anne | 01:01 (00:00–01:01) | 00:06 (67 %) | 1 |\n"
        "| Bilal | – | 00:02 (22 %) | 1 |\n"
        "| Anne (2) | – | 00:01 (11 %) | 1 |\n"
        "| Claire | 00:01 (00:02–00:03) | 00:00 (0 %) | 0 |\n\n"
        "## Qui a parlé quand\n\n"
        "- **Anne**: 00:00–00:06\n- **Bilal**: 01:10–01:12\n- **Anne (2)**: 01:20–01:21\n"
    )


def test_markdown_without_a_title_and_without_anybody():
    assert minutes_markdown(minutes(transcript()), LABELS["en"]) == (
        "# Minutes\n\n## Who spoke when\n\nNobody spoke.\n"
    )


def test_json_has_every_span_and_says_where_attendance_is_not_known():
    document = json.loads(minutes_json(MEETING))
    assert (document["schema"], document["version"], document["title"]) == ("greffier/minutes", 1, "Point")
    assert (document["start"], document["end"]) == (0.0, 81.0)
    anne, bilal, other, claire = document["participants"]
    assert anne == {
        "id": "anne",
        "name": "Anne",
        "label": "Anne",
        "present": [[0.0, 61.0]],
        "attendance": 61.0,
        "spoke": [[0.0, 6.0]],
        "speaking": 6.0,
        "share": 0.6667,
        "turns": 1,
    }
    assert (bilal["attendance"], bilal["present"]) == (None, [])
    assert (other["name"], other["label"]) == ("Anne", "Anne (2)")
    assert (claire["attendance"], claire["speaking"], claire["share"]) == (1.5, 0.0, 0.0)


def test_shares_are_told_as_whole_percents():
    assert [percent(MEETING, attendee) for attendee in MEETING.attendees] == [67, 22, 11, 0]


@settings(max_examples=60, deadline=None)
@given(transcripts(), HARD_TEXT)
def test_any_name_and_title_stays_in_its_cell(spoken, name):
    someone = replace(spoken, title=name, participants=(replace(ANNE, name=name),))
    found = minutes(someone)
    json.loads(minutes_json(found).encode())
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(minutes_markdown(found, LABELS["en"]))
    cells = sum(token.type == "td_open" for token in tokens)
    assert cells == 4 * len(found.attendees)
