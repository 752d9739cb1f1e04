"""``greffier score`` on examples counted by hand, on the references of AMI, and on files that are something else."""

import importlib.util
import json
import os
from pathlib import Path

import pytest

from api.score import folded
from tests.api.conftest import Greffier, Said
from tests.recordings import recorded

TRUE = ("SPEAKER m 1 0 10 <NA> <NA> anne <NA> <NA>", "SPEAKER m 1 10 10 <NA> <NA> bert <NA> <NA>")
HEARD = ("SPEAKER m 1 0 8 <NA> <NA> v1 <NA> <NA>", "SPEAKER m 1 8 12 <NA> <NA> v2 <NA> <NA>")
words = pytest.mark.skipif(
    importlib.util.find_spec("meeteval") is None and "CI" not in os.environ, reason="meeteval could not be built here"
)
SAID = ("m 1 anne 0 4 a b c d", "m 1 bert 5 7 <o,f0,male> e f")


@pytest.fixture
def scored(greffier: Greffier, tmp_path: Path):
    """Scores lines of a hypothesis by those of a reference."""

    def run(reference: tuple[str, ...], hypothesis: tuple[str, ...], *options: object) -> Said:
        files = tmp_path / "true", tmp_path / "heard"
        for path, lines in zip(files, (reference, hypothesis), strict=True):
            path.write_text("".join(f"{line}\n" for line in lines))
        return greffier("score", *files, *options)

    return run


def rates(said: Said) -> dict[str, float]:
    assert said.code == 0, said.error
    return dict(json.loads(said.out)["all"])


# --- who spoke when ---------------------------------------------------------------------------------------------


def test_two_seconds_of_twenty_given_to_the_wrong_voice(scored):
    found = rates(scored(TRUE, HEARD, "--json"))
    assert (found["der"], found["confusion"], found["spoken"]) == (pytest.approx(0.1), 2.0, 20.0)
    assert found["jer"] == pytest.approx((2 / 10 + 2 / 12) / 2)


def test_a_collar_is_left_out_at_each_side_of_a_boundary_and_said(scored):
    found = rates(scored(TRUE, HEARD, "--json", "--collar", 1))
    assert (found["der"], found["spoken"]) == (pytest.approx(1 / 16), 16.0)
    assert "collar 1 s at each side" in scored(TRUE, HEARD, "--collar", 1).out
    assert "collar 0 s at each side" in scored(TRUE, HEARD).out


def test_overlap_is_scored(scored):
    both = (TRUE[0], "SPEAKER m 1 5 5 <NA> <NA> bert <NA> <NA>")
    found = rates(scored(both, (TRUE[0],), "--json"))
    assert (found["der"], found["missed"]) == (pytest.approx(5 / 15), 5.0)


def test_a_uem_says_what_is_scored(scored, tmp_path: Path):
    (tmp_path / "uem").write_text(";; the first nine seconds\nm 1 0 9\n")
    found = rates(scored(TRUE, HEARD, "--json", "--uem", tmp_path / "uem"))
    assert (found["confusion"], found["spoken"]) == (1.0, 9.0)


def test_what_was_found_where_nobody_spoke_is_a_false_alarm_and_a_recording_that_lacks_is_missed(scored):
    other = "SPEAKER n 1 0 10 <NA> <NA> anne <NA> <NA>"
    found = rates(scored((*TRUE, other), ("SPEAKER m 1 0 25 <NA> <NA> v <NA> <NA>",), "--json"))
    assert (found["false_alarm"], found["missed"], found["confusion"]) == (5.0, 10.0, 10.0)
    assert found["der"] == pytest.approx(25 / 30)


def test_a_hypothesis_without_a_line_misses_all(scored):
    assert rates(scored(TRUE, (), "--json"))["der"] == 1.0


# --- who said what ----------------------------------------------------------------------------------------------


@words
def test_one_word_of_six_wrong_whatever_the_speakers_are_called(scored):
    found = rates(scored(SAID, ("m 1 v2 0 4 a b x d", "m 1 v1 5 7 e f"), "--json"))
    assert (found["cpwer"], found["tcpwer"], found["words"]) == (pytest.approx(1 / 6), pytest.approx(1 / 6), 6)


@words
def test_words_at_the_wrong_time_count_for_tcpwer_alone_beyond_the_collar(scored):
    late = ("m 1 v2 20 24 a b c d", "m 1 v1 5 7 e f")
    found = rates(scored(SAID, late, "--json"))
    assert (found["cpwer"], found["tcpwer"]) == (0.0, pytest.approx(8 / 6))
    assert rates(scored(SAID, late, "--json", "--collar", 30))["tcpwer"] == 0.0
    assert "collar 5 s for tcpWER" in scored(SAID, late).out


@words
def test_words_given_to_the_other_speaker_cost_twice(scored):
    found = rates(scored(SAID, ("m 1 v2 0 4 a b c", "m 1 v1 3 7 d e f"), "--json"))
    assert found["cpwer"] == pytest.approx(2 / 6)


@words
def test_segments_in_json_are_words_too(scored):
    spoken = [{"session_id": "m", "speaker": "v", "start_time": "0", "end_time": 4.5, "words": "a b c d"}]
    assert rates(scored(SAID, (json.dumps(spoken),), "--json"))["cpwer"] == pytest.approx(2 / 6)


@words
def test_a_transcript_of_greffier_is_scored_as_it_is(greffier: Greffier, tmp_path: Path):
    (tmp_path / "m.stm").write_text("\n".join(SAID))
    segment = {"participant": "p1", "start": 0.0, "end": 4.0, "text": "A, b: c d."}
    (tmp_path / "m.json").write_text(json.dumps({"schema": "greffier/transcript", "segments": [segment]}))
    files = tmp_path / "m.stm", tmp_path / "m.json"
    assert rates(greffier("score", *files, "--json", "--fold"))["cpwer"] == pytest.approx(2 / 6)
    assert rates(greffier("score", *files, "--json"))["cpwer"] == pytest.approx(5 / 6)


def test_case_and_punctuation_are_folded_and_apostrophes_inside_words_stay():
    assert folded("« Aujourd'hui », dit-il… NON !") == "aujourd'hui dit-il non"


# --- the references of AMI --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rttm", pytest.param("stm", marks=words)])
def test_a_reference_of_ami_is_right_by_itself(greffier: Greffier, kind: str):
    reference = recorded(f"../refs/en_ami_EN2001a.{kind}")
    found = rates(greffier("score", reference, reference, "--json"))
    assert set(found.values()) >= {0.0}
    assert not [name for name in ("der", "jer", "cpwer", "tcpwer") if found.get(name)]


def test_one_voice_for_all_of_a_meeting_of_ami_is_wrong_for_the_others(greffier: Greffier, tmp_path: Path):
    reference = recorded("../refs/en_ami_EN2001a.rttm")
    spans = [line.split() for line in reference.read_text().splitlines()]
    one = tmp_path / "one.rttm"
    one.write_text("".join(f"{' '.join([*fields[:7], 'v', '<NA>', '<NA>'])}\n" for fields in spans))
    uem = reference.with_suffix(".uem")
    found = rates(greffier("score", reference, one, "--json", "--uem", uem))
    assert 0.3 < found["der"] < 1.0
    assert found["missed"] < found["confusion"]


# --- files that are something else ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        (("hello",), "line 1: neither RTTM, STM nor SegLST"),
        ((HEARD[0], "hello"), "line 2: a line of RTTM begins with its type"),
        ((HEARD[0], "SPEAKER m 1 0 8"), "line 2: a SPEAKER line of RTTM has eight fields or more, this one 5"),
        ((HEARD[0], HEARD[1].replace("12", "-1")), "line 2: a time is a number of seconds from 0, not '-1'"),
        ((HEARD[0], HEARD[1].replace("12", "nan")), "line 2: a time is a number of seconds from 0, not 'nan'"),
        ((SAID[0], "m 1 bert 7 5 e f"), "line 2: it ends at 5 s, before it begins at 7 s"),
        (("[", "  {", "]"), "line 3: no JSON"),
        (('{"a": 1}',), "line 1: SegLST is a list of segments"),
        (('[{"speaker": "v", "words": ""}]',), "entry 1: a segment of SegLST needs session_id, start_time, end_time"),
        (SAID, "is RTTM, which has no words, and the other file has: give two of one kind"),
        (("SPEAKER n 1 0 8 <NA> <NA> v1 <NA> <NA>",), "is of n, which"),
    ],
)
def test_what_cannot_be_scored_is_named_by_its_line(scored, heard: tuple[str, ...], said: str):
    answer = scored(TRUE, heard)
    assert answer.code == 64
    assert said in answer.error


def test_bytes_that_are_no_text_are_named_by_their_line(greffier: Greffier, tmp_path: Path):
    (tmp_path / "true").write_text(TRUE[0])
    (tmp_path / "heard").write_bytes(b"SPEAKER\n\xff\xfe")
    said = greffier("score", tmp_path / "true", tmp_path / "heard")
    assert said.code == 64
    assert "heard, line 2: no text" in said.error


def test_an_empty_reference_and_a_file_that_is_not_there_are_refused(scored, greffier: Greffier, tmp_path: Path):
    assert "holds nothing to score against" in scored((), HEARD).error
    said = greffier("score", tmp_path / "none", tmp_path / "none")
    assert (said.code, "none cannot be read: No such file" in said.error) == (64, True)


def test_options_that_do_not_fit_the_files_are_refused(scored, tmp_path: Path):
    (tmp_path / "uem").write_text("m 1 0\n")
    assert "line 1: a line of a UEM has four fields" in scored(TRUE, HEARD, "--uem", tmp_path / "uem").error
    (tmp_path / "uem").write_text("n 1 0 9\n")
    assert "the UEM says nothing of m" in scored(TRUE, HEARD, "--uem", tmp_path / "uem").error
    assert "--uem is for RTTM" in scored(SAID, SAID, "--uem", tmp_path / "uem").error
    assert "--fold is for words" in scored(TRUE, HEARD, "--fold").error
    assert scored(TRUE, HEARD, "--collar", "-1").code == 2
