"""What ``make bench`` runs: each scenario returns rows of figures, each with the command that made it."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from api.settings import read_settings
from tests.benchmarks import (
    crosstalk,
    crowd,
    diarization,
    failover,
    full_stream,
    gpu,
    kyutai,
    kyutai_dialect,
    livekit_load,
    livekit_room,
    meetings,
    offline,
    quiet_speech,
    scale,
    scripted,
    served,
    six_hours,
)
from tests.benchmarks.corpus import cache_folder, counted_clips
from tests.benchmarks.events import caption_words
from tests.benchmarks.glossary import SPOKEN, UNSPOKEN
from tests.benchmarks.languages import count_right, measure_switches, spoken_in
from tests.benchmarks.latency import percentile
from tests.benchmarks.measures import (
    Figures,
    cost_figures,
    gap_figures,
    integrity_figures,
    lag_figures,
    latency_figures,
    shown_on_silence,
    talker_figures,
    word_error_figures,
)
from tests.benchmarks.mixing import TrackFile
from tests.benchmarks.replay import Replay, replay
from tests.benchmarks.score import Recall, heard_in, recall_of
from tests.benchmarks.yardstick import errors_of

SPEECH = ("--language", "fr,en")
NOISY_SECONDS, NOISY_COUNT = 60.0, 200


@dataclass(frozen=True, slots=True)
class Row:
    """``machine`` names another machine than this one, where the figures come from there."""

    name: str
    command: str
    figures: Figures
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """``seconds`` is about how long it takes; one that is ``extra`` runs only when it is named."""

    name: str
    seconds: float
    run: Callable[[], list[Row]]
    extra: bool = False


def run_yardstick() -> list[Row]:
    figures: Figures = {}
    clips = [clip for language in ("fr", "en") for clip in counted_clips(language)]
    for vad in (False, True):
        for language, errors in errors_of(clips, vad=vad).items():
            figures[f"wer_{'vad' if vad else 'plain'}_{language}"] = errors.rate
            figures[f"words_{language}"] = errors.words
    return [Row("yardstick", "python -m tests.benchmarks.yardstick", figures)]


def run_calibration() -> list[Row]:
    """What the calibration chose for this machine; its words go where the command stands."""
    settings = read_settings(os.environ)
    path = settings.cache / "calibration.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    rows = []
    for number, chosen in enumerate((value for value in kept.values() if isinstance(value, dict)), start=1):
        figures = {name: value for name, value in chosen.items() if isinstance(value, int | float)}
        words = ", ".join(str(value) for value in chosen.values() if isinstance(value, str))
        rows.append(
            Row(f"calibration-{number}" if number > 1 else "calibration", f"greffier doctor ({words})", figures)
        )
    return rows


def run_one() -> list[Row]:
    runs = [replay(f"talkers-1-{language}", [meetings.one_talker(language)], *SPEECH) for language in ("fr", "en")]
    return [Row("talkers-1", " ; ".join(run.command for run in runs), talker_figures(runs))]


def run_four() -> list[Row]:
    run = replay("talkers-4", meetings.talkers(4, 160.0), *SPEECH)
    return [Row("talkers-4", run.command, talker_figures([run]))]


def run_eight() -> list[Row]:
    run = replay("talkers-8", meetings.talkers(8, 600.0), *SPEECH)
    growth = run.usage.memory_growth(120.0, 600.0) / 1e6  # while they talk; the record's batches come after
    figures = talker_figures([run]) | lag_figures(run, 10.0) | gap_figures(run) | {"memory_growth_mb_min": growth}
    figures["talkers_per_core"] = 1 / figures["cpu_per_speech_s"]
    return [Row("talkers-8", run.command, figures)]


def run_overload() -> list[Row]:
    run = replay("overload", meetings.talkers(16, 100.0), *SPEECH)
    after = run.usage.wall - 100.0
    lagged = max((event.lag for event in run.events), default=float("nan"))
    figures = talker_figures([run]) | gap_figures(run) | {"lag_max": lagged, "seconds_after_end": after}
    return [Row("overload-16", run.command, figures)]


def run_mixed() -> list[Row]:
    """Clips without speech, one microphone that switches language, two that are quiet, two recorded meetings.

    The scripted hour runs beside them: it takes a quarter of a core, and nothing here is a target of latency.
    """
    switching, silent = meetings.switching(), meetings.silent_tracks()
    quiet, recorded = meetings.quiet_talkers(), meetings.meetings()
    with ThreadPoolExecutor(1) as beside:
        hour = beside.submit(scripted.measure)
        run = replay("mixed", [switching, *silent, *quiet, *recorded], *SPEECH)
        command, figures = hour.result()
    on_silence = shown_on_silence(run, [track.name for track in silent])
    return [
        Row("non-speech", run.command, on_silence | {"clips": len(silent)}),
        Row("switching", run.command, _switching_figures(run, switching)),
        Row("quiet", run.command, _quiet_figures(run, quiet)),
        Row("meetings", run.command, latency_figures([_only(run, recorded)]) | _meeting_errors(run, recorded)),
        Row("mixed", run.command, integrity_figures([run]) | cost_figures([run])),
        Row("scripted-hour", command, figures),
    ]


def _only(run: Replay, tracks: Sequence[TrackFile]) -> Replay:
    """The part of a run that some of its tracks are."""
    names = {track.name for track in tracks}
    part = Replay(run.command, {}, run.events_path, run.transcript_path, run.usage, run.settings)
    part.tracks = {name: track for name, track in run.tracks.items() if name in names}
    return part


def _switching_figures(run: Replay, track: TrackFile) -> Figures:
    turns = meetings.load_composites()["fren_switch_dev2"].turns
    events = run.by_track[track.name]
    right, total = count_right(events, spoken_in(turns))
    switches = measure_switches(events, turns)
    return {
        "language_right": right / total if total else float("nan"),
        "words": total,
        "switches": len(switches.delays) + switches.missed,
        "switches_missed": switches.missed,
        "switch_p50": percentile(switches.delays, 50),
        "switch_max": max(switches.delays, default=float("nan")),
        "switch_within_8s": switches.within(8.0),
    }


def _quiet_figures(run: Replay, tracks: Sequence[TrackFile]) -> Figures:
    part = _only(run, tracks)
    lost, total = quiet_speech.words_lost_at_gate(tracks)
    errors = word_error_figures([part])
    return {"words_lost_at_gate": lost, "words_at_gate": total} | errors


def _meeting_errors(run: Replay, tracks: Sequence[TrackFile]) -> Figures:
    return {name: value for name, value in word_error_figures([_only(run, tracks)]).items() if name.endswith("_en")}


def run_noise() -> list[Row]:
    """The cost of open microphones: one talker with them, against the same talker alone."""
    talker = TrackFile(meetings.one_talker("fr").path, 0.0)
    rooms = meetings.rooms(NOISY_COUNT, NOISY_SECONDS)
    alone = replay("noise-without", [talker], *SPEECH)
    beside = replay("noise", [talker, *rooms], *SPEECH)
    # From 15 s on both have started, and until 60 s the rooms are open.
    with_rooms, without = beside.usage.cpu_between(15.0, 60.0), alone.usage.cpu_between(15.0, 60.0)
    figures = {"cores_with": with_rooms, "cores_without": without, "cores_for_noise": with_rooms - without}
    names = [name for name in beside.tracks if name != talker.name]
    return [Row("noise-200", beside.command, figures | shown_on_silence(beside, names))]


def run_glossary() -> list[Row]:
    """Four talkers, without and with a glossary of terms said and terms not said."""
    tracks = meetings.glossary_talkers()
    terms = cache_folder() / "glossary.txt"
    terms.write_text("\n".join([*SPOKEN, *UNSPOKEN]) + "\n", encoding="utf-8")
    rows = []
    for name, options in (("glossary-without", ()), ("glossary", ("--glossary", str(terms)))):
        run = replay(name, tracks, *SPEECH, *options)
        rows.append(Row(name, run.command, _glossary_figures(run) | word_error_figures([run])))
    return rows


def _glossary_figures(run: Replay) -> Figures:
    spoken, unspoken = Recall(), Recall()
    for name, track in run.tracks.items():
        for clip, text in heard_in(track.placed, caption_words(run.by_track[name])):
            spoken += recall_of(SPOKEN, clip.text, text, clip.language)
            unspoken += recall_of(UNSPOKEN, clip.text, text, clip.language)
    return {"terms_said": spoken.said, "recall": spoken.rate, "unspoken_shown": unspoken.false}


def run_policy() -> list[Row]:
    """The other commit policy, on one talker."""
    runs = [
        replay(f"policy-{language}", [meetings.one_talker(language)], *SPEECH, "--policy", "local-agreement")
        for language in ("fr", "en")
    ]
    return [Row("local-agreement-1", " ; ".join(run.command for run in runs), talker_figures(runs))]


def run_offline() -> list[Row]:
    return [Row(name, command, figures) for name, command, figures in offline.measure()]


def run_browser() -> list[Row]:
    return [Row("browser", *served.measure_browser())]


def run_tracks() -> list[Row]:
    return [Row("whip-100", *served.measure_tracks())]


def run_readers() -> list[Row]:
    return [Row("readers-1000", *served.measure_readers())]


def run_kill() -> list[Row]:
    return [Row("kill", *served.measure_kill())]


def run_livekit() -> list[Row]:
    return [Row("livekit", *livekit_room.measure()), Row("livekit-50", *livekit_load.measure())]


def run_kyutai() -> list[Row]:
    parts = [Row(f"kyutai-{part}", *kyutai.measure(part)) for part in kyutai.PARTS]
    return [*parts, Row("kyutai-dialect", *kyutai_dialect.measure())]


def run_diarization() -> list[Row]:
    return [Row(*row) for row in diarization.measure()]


def run_six_hours() -> list[Row]:
    return [Row("six-hours", *six_hours.measure())]


def run_shared_rooms() -> list[Row]:
    """Two microphones at which several people talk in turn, with their voices told apart and without."""
    tracks = meetings.shared_microphones(70.0)
    without, shared = (
        replay(f"diarization-{name}", tracks, *SPEECH, *options)
        for name, options in (("without", ()), ("shared", ("--shared-room",)))
    )
    figures, base = latency_figures([shared]) | cost_figures([shared]), latency_figures([without])
    figures |= {f"{name}_more": figures[name] - base[name] for name in ("display_p95", "commit_p50", "commit_p95")}
    return [Row("shared-rooms", f"{without.command} ; {shared.command}", figures)]


def run_crosstalk() -> list[Row]:
    return [Row(f"crosstalk-{language}", *crosstalk.measure(language)) for language in ("fr", "en")]


def failing(fault: str) -> Callable[[], list[Row]]:
    return lambda: [Row(f"failover-{fault}", *failover.measure(fault))]


def run_full_stream() -> list[Row]:
    return [Row("failover-full-stream", *full_stream.measure())]


def run_scale() -> list[Row]:
    return [Row("scale", *scale.measure_workers()), Row("queue", *scale.measure_queue())]


def run_crowd() -> list[Row]:
    return [Row(f"crowd-{crowd.MEETINGS}", *crowd.measure())]


def run_gpu() -> list[Row]:
    if not gpu.devices():
        print("gpu: left out, since CTranslate2 finds no CUDA device here, or no cuBLAS 12 for it", file=sys.stderr)
        return []
    gpu.measure()
    return gpu_rows()


def gpu_rows() -> list[Row]:
    """Rows of what ``gpu.measure`` kept. Random weights know no words: rows of their shape have no word errors."""
    kept = gpu.load_kept()
    machine = kept.pop("machine")["name"]
    rows = []
    for model in (model for model in gpu.models() if model.name in kept):
        rows.append(Row(f"gpu-{model.name}", "python -m tests.benchmarks gpu", kept[model.name]["rates"], machine))
        for asked, how in kept[model.name]["talkers"].items():
            runs = gpu.talk_at_once(model, how["talkers"], how["processes"], seconds=how["talk_s"], reuse=True)
            figures = how | latency_figures(runs) | integrity_figures(runs) | cost_figures(runs)
            figures |= {} if model.program else word_error_figures(runs)
            figures["peak_memory_mb"] = gpu.memory_mb(runs)
            del figures["cores_used"]  # of one process, where ``cores`` are those of all while people talk
            command = f"BENCH_GPU_TALKERS={asked} BENCH_GPU_SECONDS={how['talk_s']:.0f} python -m tests.benchmarks gpu"
            rows.append(Row(f"gpu-{model.name}-{asked}", command, figures, machine))
    return rows


SCENARIOS = (
    Scenario("yardstick", 10, run_yardstick),
    Scenario("calibration", 1, run_calibration),
    Scenario("talkers-1", 180, run_one),
    Scenario("kill", 50, run_kill),
    Scenario("readers", 35, run_readers),
    Scenario("tracks", 60, run_tracks),
    Scenario("browser", 90, run_browser),
    Scenario("livekit", 160, run_livekit),
    Scenario("kyutai", 240, run_kyutai),
    Scenario("talkers-4", 195, run_four),
    Scenario("noise", 150, run_noise),
    Scenario("offline", 90, run_offline),
    Scenario("diarization", 240, run_diarization),
    Scenario("shared-rooms", 160, run_shared_rooms),
    Scenario("crosstalk", 100, run_crosstalk),
    Scenario("mixed", 205, run_mixed),
    Scenario("talkers-8", 900, run_eight),
    Scenario("glossary", 205, run_glossary),
    Scenario("overload", 240, run_overload),
    *(Scenario(f"failover-{name}", fault.seconds, failing(name)) for name, fault in failover.FAULTS.items()),
    Scenario("failover-full-stream", 120, run_full_stream),
    Scenario("scale", 400, run_scale),
    Scenario("crowd", 360, run_crowd),
    Scenario("policy", 180, run_policy, extra=True),
    Scenario("gpu", 500, run_gpu, extra=True),
    Scenario("six-hours", 2700, run_six_hours, extra=True),
)
