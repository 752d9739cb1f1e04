"""``greffier score``: how wrong a hypothesis is by a reference, for people or as JSON."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict

from api.scored import Scored, read_scored, read_uem
from api.scoring import DiarizationErrors, WordErrors, check_recordings, diarization_errors, word_errors
from api.settings import Settings
from pipeline.errors import InvalidInput

WORD_COLLAR = 5.0
"""Seconds; that of the CHiME challenges."""
_ALL = "all"


def score(arguments: argparse.Namespace, _: Settings) -> int:
    reference, hypothesis = read_scored(arguments.reference), read_scored(arguments.hypothesis)
    check_recordings(reference, hypothesis)
    if _with_words(reference, hypothesis):
        return _score_words(arguments, reference, hypothesis)
    return _score_voices(arguments, reference, hypothesis)


def _with_words(reference: Scored, hypothesis: Scored) -> bool:
    if hypothesis.with_words is not None and reference.with_words != hypothesis.with_words:
        without = hypothesis if reference.with_words else reference
        raise InvalidInput(f"{without.path} is RTTM, which has no words, and the other file has: give two of one kind")
    return bool(reference.with_words)


def _score_voices(arguments: argparse.Namespace, reference: Scored, hypothesis: Scored) -> int:
    if arguments.fold:
        raise InvalidInput("--fold is for words, and RTTM has none")
    collar = 0.0 if arguments.collar is None else arguments.collar
    uem = None if arguments.uem is None else read_uem(arguments.uem)
    found = diarization_errors(reference, hypothesis, collar, uem)
    if arguments.json:
        _print_json({"collar": collar, "overlap": True, "uem": uem is not None}, found)
        return 0
    print(f"{'recording':30}  {'DER':>7}  {'JER':>7}  {'missed':>7}  {'false':>7}  {'mixed up':>8}  {'spoken':>9}")
    for each in found:
        shares = (each.missed, each.false_alarm, each.confusion)
        parts = (_percent(part / each.spoken if each.spoken else None) for part in shares)
        missed, alarm, confusion = parts
        name = _ALL if each.recording is None else each.recording
        print(
            f"{name:30}  {_percent(each.der)}  {_percent(each.jer)}  {missed}  {alarm}  {confusion:>8}"
            f"  {each.spoken:7.1f} s"
        )
    inside = "from the first to the last of what is said" if uem is None else f"inside {arguments.uem}"
    print(f"collar {collar:g} s at each side of a boundary, overlap scored, {inside} (pyannote.metrics)")
    return 0


def _score_words(arguments: argparse.Namespace, reference: Scored, hypothesis: Scored) -> int:
    if arguments.uem is not None:
        raise InvalidInput("--uem is for RTTM: words are scored whole")
    collar = WORD_COLLAR if arguments.collar is None else arguments.collar
    found = word_errors(reference, hypothesis, collar, folded if arguments.fold else str)
    if arguments.json:
        _print_json({"collar": collar, "folded": arguments.fold}, found)
        return 0
    print(f"{'recording':30}  {'cpWER':>7}  {'tcpWER':>7}  {'words':>7}")
    for each in found:
        name = _ALL if each.recording is None else each.recording
        print(f"{name:30}  {_percent(each.cpwer)}  {_percent(each.tcpwer)}  {each.words:7}")
    compared = "without case and punctuation" if arguments.fold else "as written"
    print(f"collar {collar:g} s for tcpWER, words compared {compared} (meeteval)")
    return 0


def folded(text: str) -> str:
    """``text`` in lower case, without punctuation but apostrophes and hyphens inside words."""
    words = (word.strip("".join(sign for sign in word if not sign.isalnum())) for word in text.casefold().split())
    return " ".join(word for word in words if word)


def _percent(rate: float | None) -> str:
    return f"{'':>5}--" if rate is None else f"{100 * rate:5.1f} %"


def _print_json(how: dict[str, object], found: Iterable[DiarizationErrors | WordErrors]) -> None:
    *recordings, everything = (asdict(each) for each in found)
    everything.pop("recording")
    print(json.dumps({**how, "recordings": recordings, "all": everything}, ensure_ascii=False))
