"""Who spoke when: offline beside pyannote's own pipeline by hand, live one second late, and what it costs words."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from api.scored import Part, Scored, read_scored, read_uem
from api.scoring import DiarizationErrors, diarization_errors, word_errors
from pipeline.domain import VoiceSpan, Word
from pipeline.record.attribution import voices_of
from tests.benchmarks.corpus import cache_folder, load_clips, load_composites
from tests.benchmarks.diarizers import COMPOSITES, SAMPLE, Found, annotated, references
from tests.benchmarks.events import read_texts, text_words
from tests.benchmarks.measures import Figures
from tests.benchmarks.normalise import normalise
from tests.benchmarks.replay import CommandFailed, greffier, run
from tests.two_voices import TWO_VOICES

WAYS = "python -m tests.benchmarks.diarizers"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
COMPOSITE_COLLAR = 0.25
"""Seconds: their turns are a voice detector's."""


def measure() -> list[tuple[str, str, Figures]]:
    folder = cache_folder() / "runs" / "diarization"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ThreadPoolExecutor(1) as beside:
        hand = beside.submit(_heard, "by_hand", folder)
        ours, online = _heard("ours", folder), _heard("online", folder)
        by_hand = hand.result()
    offline = _errors(ours) | _cost(ours)
    offline |= {f"{name}_by_hand": value for name, value in _errors(by_hand).items() if name.endswith("der")}
    offline["rtf_by_hand"] = _cost(by_hand)["rtf"]
    offline["der_over_by_hand"] = offline["der"] / offline["der_by_hand"]
    live = _errors(online) | {"cores_per_track": _cpu(online) / sum(found.spoken for found in online.values())}
    live["der_over_offline"] = live["der"] / offline["der"]
    return [
        ("diarization", f"{WAYS} ours OUT ; {WAYS} by_hand OUT", offline),
        ("diarization-online", f"{WAYS} online OUT", live),
        ("diarization-words", *_words(folder, ours, online)),
    ]


def _heard(way: str, folder: Path) -> dict[str, Found]:
    out = folder / f"{way}.json"
    usage = run([sys.executable, "-m", "tests.benchmarks.diarizers", way, str(out)], ONE_THREAD)
    if usage.returncode:
        raise CommandFailed(f"{way} ended with {usage.returncode}: {usage.errors[-400:]}")
    return {row["name"]: Found(**row) for row in json.loads(out.read_text(encoding="utf-8"))}


def _cost(found: dict[str, Found]) -> Figures:
    seconds = sum(one.seconds for one in found.values())
    return {"audio_s": seconds, "rtf": _cpu(found) / seconds}


def _cpu(found: dict[str, Found]) -> float:
    return sum(one.cpu for one in found.values())


# --- voices -----------------------------------------------------------------------------------------------


def _errors(found: dict[str, Found]) -> Figures:
    """Of all annotated recordings with the sample, collar 0; of the sample; of the composites, collar 0.25."""
    clips = _rates(found, [SAMPLE, *annotated()], 0.0)
    return {
        "der": clips.der,
        "jer": clips.jer,
        "missed": clips.missed / clips.spoken,
        "false": clips.false_alarm / clips.spoken,
        "confused": clips.confusion / clips.spoken,
        "sample_der": _rates(found, [SAMPLE], 0.0).der,
        "composites_der": _rates(found, COMPOSITES, COMPOSITE_COLLAR).der,
    }


def _rates(found: dict[str, Found], names: Sequence[str], collar: float) -> DiarizationErrors:
    reference = [part for name in names for part in _turns(name)]
    heard = [Part(name, str(voice), start, end) for name in names for voice, start, end in found[name].spans]
    uem = {name: _scored(name, found[name].seconds) for name in names}
    return diarization_errors(_of(reference), _of(heard), collar, uem)[-1]


def _turns(name: str) -> list[Part]:
    if name in COMPOSITES:
        return [Part(name, turn.speaker, *span) for turn in load_composites()[name].turns for span in turn.speech]
    path = TWO_VOICES.with_suffix(".rttm") if name == SAMPLE else references() / f"{name}.rttm"
    return [Part(name, part.speaker, part.start, part.end) for part in read_scored(path).parts]


def _scored(name: str, seconds: float) -> Sequence[tuple[float, float]]:
    path = references() / f"{name}.uem"
    return read_uem(path)[name] if path.is_file() else [(0.0, seconds)]


def _of(parts: Iterable[Part]) -> Scored:
    return Scored(Path(), tuple(parts), None)


# --- words ------------------------------------------------------------------------------------------------


def _words(folder: Path, ours: dict[str, Found], online: dict[str, Found]) -> tuple[str, Figures]:
    """The words of ``greffier transcribe``, given to voices by either; beside it, as if all had one name.

    That is what they cost: WER as good as speakers' words in one row can be compared (ORC-WER).
    """
    names = [name for name in annotated() if (references() / f"{name}.stm").is_file()]
    options = ["--language", "fr,en", "--format", "json", "--out", str(folder / "texts")]
    usage = run([*greffier(), "transcribe", *(str(load_clips()[name].path) for name in names), *options])
    if usage.returncode:
        raise CommandFailed(f"greffier transcribe ended with {usage.returncode}: {usage.errors[-400:]}")
    heard = {name: _said(folder / "texts" / f"{load_clips()[name].path.stem}.json") for name in names}
    reference = _of(part for name in names for part in read_scored(references() / f"{name}.stm").parts)
    figures: Figures = {"recordings": len(names)}
    for says, turns in (("offline", ours), ("online", online)):
        given = _of(part for name in names for part in _given(name, heard[name], turns[name]))
        errors = word_errors(reference, given, 5.0, _spelt)[-1]
        figures |= {"words": errors.words, f"cpwer_{says}": errors.cpwer or 0.0, f"tcpwer_{says}": errors.tcpwer or 0.0}
    figures["wer"] = _regardless(reference, heard)
    return f"greffier transcribe CLIPS {' '.join(options[:-2])}", figures


def _said(path: Path) -> list[Word]:
    return [Word(word.text, word.start, word.end) for word in text_words(read_texts(path))]


def _given(name: str, words: Sequence[Word], found: Found) -> list[Part]:
    """Each word is a part of its voice; of nobody where no voice is near."""
    turns = [VoiceSpan(*span) for span in sorted(found.exclusive, key=lambda span: span[1])]
    voices = voices_of(words, turns)
    return [Part(name, str(voice), word.start, word.end, word.text) for word, voice in zip(words, voices, strict=True)]


def _regardless(reference: Scored, heard: dict[str, list[Word]]) -> float:
    from meeteval.io import SegLST
    from meeteval.wer import combine_error_rates, orc_word_error_rate

    rates = []
    for name, words in heard.items():
        true = [part for part in reference.parts if part.recording == name]
        said = Part(name, "all", 0.0, 1e4, "".join(word.text for word in words))
        rates.append(
            orc_word_error_rate(
                *(
                    SegLST([{"session_id": name, "speaker": part.speaker, "start_time": part.start,
                             "end_time": part.end, "words": _spelt(part.words or "")} for part in parts])
                    for parts in (true, [said])
                )
            )
        )  # fmt: skip
    rate: float = combine_error_rates(rates).error_rate
    return rate


def _spelt(text: str) -> str:
    """The annotated clips but one are English, and numbers are rare in that one."""
    return " ".join(normalise(text, "en"))
