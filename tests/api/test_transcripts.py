"""Transcripts are files with names and types that programs understand, and can be corrected."""

import pytest

from api.transcripts import attachment
from pipeline.export.formats import FORMATS
from tests.api.serving import Serving
from tests.api.speech import caption, say

TYPES = {
    "vtt": "text/vtt; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
}


@pytest.mark.parametrize("form", FORMATS)
async def test_every_format_is_a_file_with_its_type_and_name(served: Serving, form: str) -> None:
    meeting = await served.meeting(title="Été")
    await say(served, meeting, caption("hello everybody"))
    answer = await served.http.get(f"/api/v1/meetings/{meeting}/transcript.{form}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == TYPES[form]
    disposition = f"attachment; filename=\"Ete.{form}\"; filename*=UTF-8''%C3%89t%C3%A9.{form}"
    assert answer.headers["content-disposition"] == disposition
    assert "hello everybody" in answer.text


async def test_a_format_that_there_is_not_is_named_with_those_there_are(served: Serving) -> None:
    meeting = await served.meeting()
    answer = await served.http.get(f"/api/v1/meetings/{meeting}/transcript.docx")
    assert answer.status_code == 404
    assert "vtt, srt, txt, json, md" in answer.json()["detail"]


async def test_a_correction_stands_in_the_transcript_until_it_is_taken_back(served: Serving) -> None:
    meeting = await served.meeting()
    await say(served, meeting, caption("helo"))
    segments = (await served.http.get(f"/api/v1/meetings/{meeting}/transcript.json")).json()["segments"]
    address = f"/api/v1/meetings/{meeting}/segments/{segments[0]['id'].replace('#', '%23')}"
    assert (await served.http.patch(address, json={"text": "Hello."})).status_code == 204
    (corrected,) = (await served.http.get(f"/api/v1/meetings/{meeting}/transcript.json")).json()["segments"]
    assert (corrected["text"], corrected["origin"]) == ("Hello.", "correction")
    assert (await served.http.patch(address, json={"text": None})).status_code == 204
    assert (await served.http.get(f"/api/v1/meetings/{meeting}/transcript.json")).json()["segments"] == segments


async def test_a_correction_that_cannot_be_is_refused(served: Serving) -> None:
    meeting = await served.meeting()
    address = f"/api/v1/meetings/{meeting}/segments/none"
    assert (await served.http.patch(address, json={"text": "x"})).status_code == 404
    assert (await served.http.patch(address, json={"text": "x" * 10_001})).status_code == 422
    assert (await served.http.patch(address, json={})).status_code == 422


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("notes.vtt", 'attachment; filename="notes.vtt"'),
        ('a "b" / c\n.txt', 'attachment; filename="a b c .txt"'),
        ("日本.md", "attachment; filename=\"meeting.md\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.md"),
    ],
)
def test_names_of_files_go_as_ascii_and_as_they_are(name: str, header: str) -> None:
    assert attachment(name) == header
