"""Error rates of diarization by pyannote.metrics, and of words with their speakers by meeteval."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.scored import Part, Scored
from pipeline.errors import InvalidInput, ModelUnavailable

Uem = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class DiarizationErrors:
    """Of one recording or of all; ``missed``, ``false_alarm``, ``confusion`` and ``spoken`` are seconds."""

    recording: str | None
    der: float
    jer: float
    missed: float
    false_alarm: float
    confusion: float
    spoken: float


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Of one recording or of all; rates are errors by ``words`` of the reference, None where it has none."""

    recording: str | None
    cpwer: float | None
    tcpwer: float | None
    cp_errors: int
    tcp_errors: int
    words: int


def check_recordings(reference: Scored, hypothesis: Scored) -> None:
    """What the hypothesis lacks is missed; what it has beside the reference is a mistake. Raises ``InvalidInput``."""
    if not reference.parts:
        raise InvalidInput(f"{reference.path} holds nothing to score against")
    strange = [name for name in hypothesis.recordings if name not in reference.recordings]
    if strange:
        raise InvalidInput(
            f"{hypothesis.path} is of {', '.join(strange)}, which {reference.path} does not hold: "
            f"it has {', '.join(reference.recordings)}"
        )


def diarization_errors(
    reference: Scored, hypothesis: Scored, collar: float, uem: Uem | None
) -> tuple[DiarizationErrors, ...]:
    """Each recording of the reference, then all; overlap is scored. ``collar`` seconds at each side of a boundary.

    Without ``uem`` a recording is scored from the first to the last of what both hold. Raises ``InvalidInput``,
    ``ModelUnavailable`` where pyannote.metrics is not installed.
    """
    try:
        from pyannote.core import Segment, Timeline
        from pyannote.metrics import diarization
    except ImportError as error:
        raise ModelUnavailable("scores of diarization take the extra greffier[scores]: install it") from error
    measures: Any = diarization
    # pyannote.metrics takes the whole width of a collar.
    der, jer = measures.DiarizationErrorRate(collar=2 * collar), measures.JaccardErrorRate(collar=2 * collar)
    found = []
    for name in reference.recordings:
        true, heard = _of(reference, name), _of(hypothesis, name)
        spans = _scored_spans(name, [*true, *heard], uem)
        scored = Timeline([Segment(*span) for span in spans])
        with warnings.catch_warnings(action="ignore"):
            parts = der(_annotation(true), _annotation(heard), uem=scored, detailed=True)
            jaccard = jer(_annotation(true), _annotation(heard), uem=scored)
        found.append(_diarization(name, parts, float(parts[der.name]), float(jaccard)))
    return (*found, _diarization(None, der[:], abs(der), abs(jer)))


def _scored_spans(name: str, parts: Sequence[Part], uem: Uem | None) -> Sequence[tuple[float, float]]:
    if uem is None:
        return [(min(part.start for part in parts), max(part.end for part in parts))]
    if name not in uem:
        raise InvalidInput(f"the UEM says nothing of {name}: give it a line, or leave the recording out")
    return uem[name]


def _of(scored: Scored, recording: str) -> list[Part]:
    return [part for part in scored.parts if part.recording == recording]


def _annotation(parts: Iterable[Part]) -> Any:
    from pyannote.core import Annotation, Segment

    found = Annotation()
    for number, part in enumerate(parts):
        found[Segment(part.start, part.end), number] = part.speaker
    return found


def _diarization(name: str | None, parts: Any, der: float, jer: float) -> DiarizationErrors:
    times = (float(parts[part]) for part in ("missed detection", "false alarm", "confusion", "total"))
    return DiarizationErrors(name, der, jer, *times)


def word_errors(
    reference: Scored, hypothesis: Scored, collar: float, spell: Callable[[str], str]
) -> tuple[WordErrors, ...]:
    """Each recording of the reference, then all. ``collar`` seconds may a word of the hypothesis be off (tcpWER).

    ``spell`` says how words are compared. Raises ``ModelUnavailable`` where meeteval is not installed.
    """
    try:
        from meeteval.wer import (
            combine_error_rates,
            cp_word_error_rate,
            time_constrained_minimum_permutation_word_error_rate,
        )
    except ImportError as error:
        raise ModelUnavailable("scores of words take the extra greffier[scores]: install it") from error
    free, timed = [], []
    for name in reference.recordings:
        true, heard = (_segments(_of(scored, name), spell) for scored in (reference, hypothesis))
        free.append(cp_word_error_rate(true, heard))
        timed.append(time_constrained_minimum_permutation_word_error_rate(true, heard, collar=collar))
    named = zip([*reference.recordings, None], [*free, None], [*timed, None], strict=True)
    return tuple(
        _words(name, one or combine_error_rates(free), other or combine_error_rates(timed))
        for name, one, other in named
    )


def _segments(parts: Iterable[Part], spell: Callable[[str], str]) -> Any:
    from meeteval.io import SegLST

    return SegLST(
        [
            {
                "session_id": part.recording,
                "speaker": part.speaker,
                "start_time": part.start,
                "end_time": part.end,
                "words": spell(part.words or ""),
            }
            for part in parts
        ]
    )


def _words(name: str | None, free: Any, timed: Any) -> WordErrors:
    return WordErrors(name, free.error_rate, timed.error_rate, free.errors, timed.errors, free.length)
