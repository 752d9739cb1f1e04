from pipeline.domain import VoiceSpan
from pipeline.export.rttm import rttm


def test_spans_are_lines_of_ten_fields_by_their_start():
    spans = (VoiceSpan(2, 1.5, 2.0), VoiceSpan(1, 0.0, 1.25))
    assert rttm(spans, "weekly point") == (
        "SPEAKER weekly_point 1 0.000 1.250 <NA> <NA> voice_1 <NA> <NA>\n"
        "SPEAKER weekly_point 1 1.500 0.500 <NA> <NA> voice_2 <NA> <NA>\n"
    )


def test_nobody_who_speaks_is_an_empty_file_and_a_recording_without_name_has_one():
    assert rttm((), "x") == ""
    assert rttm((VoiceSpan(1, 0.0, 1.0),), "").startswith("SPEAKER recording 1 ")
