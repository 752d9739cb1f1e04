"""Turns one replay into figures: a figure has a name and a number, and the same name means the same in every row."""

from collections.abc import Iterable
from itertools import chain

from tests.benchmarks import yardstick
from tests.benchmarks.attribution import attribution_figures
from tests.benchmarks.corpus import speech_seconds
from tests.benchmarks.events import caption_words, count_gaps, text_words
from tests.benchmarks.integrity import (
    Erasure,
    Violations,
    find_violations,
    measure_erasure,
    shown_words,
    update_intervals,
    words_outside,
)
from tests.benchmarks.languages import Spoken, count_right
from tests.benchmarks.latency import Latencies, measure_track, percentile
from tests.benchmarks.replay import Replay
from tests.benchmarks.score import Errors, add_up, score_placed
from tests.benchmarks.truth import said_in, speech_in, truth_of

Figures = dict[str, float]


def latencies_of(replays: Iterable[Replay]) -> Latencies:
    total = Latencies()
    for replay in replays:
        for name, track in replay.tracks.items():
            if track.placed:
                total.add(measure_track(replay.by_track[name], truth_of(track)))
    return total


def latency_figures(replays: Iterable[Replay]) -> Figures:
    found = latencies_of(replays)
    return {
        "display_p50": percentile(found.displayed, 50),
        "display_p95": percentile(found.displayed, 95),
        "commit_p50": percentile(found.committed, 50),
        "commit_p95": percentile(found.committed, 95),
        "final_p50": percentile(found.finals, 50),
        "final_p95": percentile(found.finals, 95),
        "words_timed": len(found.committed),
        "words_not_timed": found.unmatched,
        "finals_timed": len(found.finals),
        "finals_not_timed": found.unplaced,
    }


def word_error_figures(replays: Iterable[Replay]) -> Figures:
    """Errors of captions and record, and the yardstick's on the same clips; each clip counts once."""
    listed = list(replays)
    live = add_up(_scores(listed, "live"))
    record = add_up(_scores(listed, "record"))
    clips = [place.clip for replay in listed for track in replay.tracks.values() for place in track.first_times()]
    best = yardstick.best_errors(clips)
    return {
        name: value
        for language in best
        for name, value in _against(
            language, live.get(language, Errors()), record.get(language, Errors()), best[language]
        ).items()
    }


def _against(language: str, live: Errors, record: Errors, best: Errors) -> Figures:
    return {
        f"wer_live_{language}": live.rate,
        f"wer_record_{language}": record.rate,
        f"wer_yardstick_{language}": best.rate,
        f"wer_words_{language}": best.words,
        f"live_over_yardstick_{language}": live.rate / best.rate if best.rate else float("nan"),
        f"record_over_yardstick_{language}": record.rate / best.rate if best.rate else float("nan"),
    }


def _scores(replays: Iterable[Replay], which: str) -> Iterable[dict[str, Errors]]:
    for replay in replays:
        texts = replay.texts() if which == "record" else {}
        for name, track in replay.tracks.items():
            words = text_words(texts.get(name, ())) if which == "record" else caption_words(replay.by_track[name])
            yield score_placed(track.first_times(), words)


def integrity_figures(replays: Iterable[Replay]) -> Figures:
    violations, erasure, outside = Violations(), Erasure(), 0
    for replay in replays:
        violations += find_violations(replay.events)
        erasure += measure_erasure(replay.events)
        for name, track in replay.tracks.items():
            if track.placed:
                outside += len(words_outside(caption_words(replay.by_track[name]), said_in(track)))
    return {
        "committed_changed": violations.changed + violations.mistold,
        "revisions_disordered": violations.disordered,
        "finals_lost": violations.lost,
        "finals_doubled": violations.doubled,
        "words_outside_speech": outside,
        "erasure": erasure.rate,
    }


def cost_figures(replays: Iterable[Replay]) -> Figures:
    """CPU of the whole process, its start included, over the speech of all tracks; memory at its highest."""
    listed = list(replays)
    speech = sum(speech_seconds(speech_in(track)) for replay in listed for track in replay.tracks.values())
    cpu = sum(replay.usage.cpu for replay in listed)
    intervals = list(chain.from_iterable(update_intervals(replay.events) for replay in listed))
    return {
        "speech_s": speech,
        "cpu_per_speech_s": cpu / speech if speech else float("nan"),
        "cores_used": cpu / sum(replay.usage.wall for replay in listed),
        "update_interval_p50": percentile(intervals, 50),
        "update_interval_p95": percentile(intervals, 95),
        "peak_memory_mb": max(replay.usage.peak_memory for replay in listed) / 1e6,
    }


def lag_figures(replay: Replay, minutes: float) -> Figures:
    """Committed latency in the second and in the last whole minutes: a lag that grows shows in the difference."""
    found = latencies_of([replay])
    half = 60.0 * min(2.0, minutes / 4)
    begin, end = found.between(60.0, 60.0 + half), found.between(60.0 * minutes - half, 60.0 * minutes)
    return {
        "commit_p50_begin": percentile(begin, 50),
        "commit_p50_end": percentile(end, 50),
        "lag_growth": percentile(end, 50) - percentile(begin, 50),
        "lag_max": max((event.lag for event in replay.events), default=float("nan")),
    }


def language_figures(replays: Iterable[Replay]) -> Figures:
    """The share of words that carry the language of the clip they were heard in."""
    right = total = 0
    for replay in replays:
        for name, track in replay.tracks.items():
            spoken = [Spoken(place.offset, place.end, place.clip.language) for place in track.placed]
            found = count_right(replay.by_track[name], spoken)
            right, total = right + found[0], total + found[1]
    return {"language_right": right / total if total else float("nan")}


def gap_figures(replay: Replay) -> Figures:
    gaps, seconds = count_gaps(replay.transcript_path)
    return {"gaps": gaps, "gap_s": seconds}


def shown_on_silence(replay: Replay, names: Iterable[str]) -> Figures:
    """Words shown, committed or not, on tracks that hold no speech."""
    return {"words_on_silence": sum(shown_words(replay.by_track[name]) for name in names)}


def talker_figures(replays: Iterable[Replay]) -> Figures:
    """All that is said of a run in which everybody talks."""
    listed = list(replays)
    measured = (latency_figures, word_error_figures, integrity_figures, cost_figures, language_figures)
    parts = (*measured, attribution_figures)
    return {name: value for part in parts for name, value in part(listed).items()}
