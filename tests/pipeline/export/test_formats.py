from hypothesis import given, settings

from pipeline.export.formats import FORMATS
from tests.pipeline.record.samples import transcript, transcripts


def test_formats_go_by_their_file_extension():
    assert set(FORMATS) == {"vtt", "srt", "txt", "json", "md"}


def test_every_format_writes_an_empty_transcript():
    assert {name: write(transcript()) for name, write in FORMATS.items() if name != "json"} == {
        "vtt": "WEBVTT\n",
        "srt": "",
        "txt": "",
        "md": "",
    }


@settings(max_examples=15, deadline=None)
@given(transcripts())
def test_every_document_is_utf_8_that_ends_with_one_line_feed(meeting):
    for write in FORMATS.values():
        document = write(meeting)
        document.encode("utf-8")
        assert document == "" or (document.endswith("\n") and not document.endswith("\n\n"))
