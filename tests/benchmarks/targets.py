"""The targets of the product, each with the row and figure that it is read from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

Results = Mapping[str, Mapping]


@dataclass(frozen=True, slots=True)
class Target:
    """``figure`` of ``row`` must be at most ``most`` or at least ``least``; ``unit`` is shown after both."""

    says: str
    row: str
    figure: str
    most: float = math.inf
    least: float = -math.inf
    unit: str = ""

    def value(self, results: Results) -> float | None:
        figures = results.get(self.row, {}).get("figures", {})
        value = figures.get(self.figure)
        return None if value is None or math.isnan(value) else value

    def met(self, results: Results) -> bool | None:
        """None where it was not measured."""
        value = self.value(results)
        return None if value is None else self.least <= value <= self.most

    @property
    def wanted(self) -> str:
        if self.most < math.inf:
            return f"at most {shown(self.most, self.unit)}"
        return f"at least {shown(self.least, self.unit)}"


def shown(value: float | None, unit: str = "") -> str:
    if value is None or math.isnan(value):
        return "not measured"
    if unit == "%":
        return f"{100 * value:.1f} %"
    number = f"{value:.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:.2f}"
    return f"{number} {unit}".strip()


LATENCY = {1: (0.8, 1.0, 2.0, 1.2), 4: (1.2, 1.5, 2.5, 2.0), 8: (2.0, 2.5, 4.0, 3.0)}
_LATENCY_FIGURES = (
    ("first display of a word, median", "display_p50"),
    ("word committed, median", "commit_p50"),
    ("word committed, 95th percentile", "commit_p95"),
    ("final after end of speech, 95th percentile", "final_p95"),
)


def _latency() -> list[Target]:
    return [
        Target(f"{talkers} talking: {says}", f"talkers-{talkers}", figure, most=most, unit="s")
        for talkers, limits in LATENCY.items()
        for (says, figure), most in zip(_LATENCY_FIGURES, limits, strict=True)
    ]


def _laws() -> list[Target]:
    wanted = (
        ("committed text changed", "committed_changed"),
        ("revisions out of order", "revisions_disordered"),
        ("finals lost", "finals_lost"),
        ("finals doubled", "finals_doubled"),
        ("words outside speech", "words_outside_speech"),
    )
    rows = ("talkers-1", "talkers-4", "talkers-8", "overload-16", "mixed")
    return [Target(f"{row}: {says}", row, figure, most=0) for row in rows for says, figure in wanted]


def _errors() -> list[Target]:
    targets = []
    for language, name in (("fr", "French"), ("en", "English")):
        live, record = f"live_over_yardstick_{language}", f"record_over_yardstick_{language}"
        targets += [
            Target(f"{name} captions, WER over the yardstick's", "talkers-8", live, most=1.2, unit="times"),
            Target(f"{name} record, WER over the yardstick's", "talkers-8", record, most=1.1, unit="times"),
        ]
    return targets


def _diarization() -> list[Target]:
    return [
        Target("voices: DER on pyannote's sample", "diarization", "sample_der", most=0.06, unit="%"),
        Target(
            "voices: DER over pyannote's own pipeline by hand", "diarization", "der_over_by_hand", most=1, unit="times"
        ),
        Target("voices: real-time factor on one core", "diarization", "rtf", most=0.15),
        Target(
            "voices live, 1 s late: DER over offline", "diarization-online", "der_over_offline", most=1.5, unit="times"
        ),
        Target(
            "voices live: a shared track in speech", "diarization-online", "cores_per_track", most=0.15, unit="core"
        ),
        Target("voices live: word committed later, 95th", "shared-rooms", "commit_p95_more", most=0.03, unit="s"),
        *(
            Target(f"{row}: words under another participant's name", row, "words_of_others", most=0)
            for row in ("talkers-4", "talkers-8")
        ),
        Target("voices of six hours: memory", "six-hours", "peak_memory_mb", most=4 * 2**30 / 1e6, unit="MB"),
    ]


def _rest() -> list[Target]:
    return [
        Target("words shown on clips without speech", "non-speech", "words_on_silence", most=0),
        Target("words shown in 200 rooms without speech", "noise-200", "words_on_silence", most=0),
        Target("200 open microphones", "noise-200", "cores_for_noise", most=0.3, unit="core"),
        Target("speech at -40 dBFS lost by the energy gate", "quiet", "words_lost_at_gate", most=0, unit="words"),
        Target("growth of the lag over 10 minutes, 8 talking", "talkers-8", "lag_growth", most=0.5, unit="s"),
        Target("memory, 8 talking", "talkers-8", "peak_memory_mb", most=1500, unit="MB"),
        Target("memory growth, 8 talking", "talkers-8", "memory_growth_mb_min", most=3, unit="MB/min"),
        Target("memory growth, last third of the hour", "scripted-hour", "growth_mb_in_last_part", most=10, unit="MB"),
        Target("laws broken in the hour", "scripted-hour", "violations", most=0),
        Target("recall of spoken terms with a glossary, gained", "glossary", "recall_gained", least=0.1, unit="%"),
        Target("WER lost by a glossary, French", "glossary", "wer_lost_fr", most=0.005, unit="%"),
        Target("unspoken terms shown", "glossary", "unspoken_shown", most=0),
        Target("words in the right language", "switching", "language_right", least=0.95, unit="%"),
        Target("switches followed within 8 s", "switching", "switch_within_8s", least=1.0, unit="%"),
        Target(
            "offline time over the batched pipeline's", "offline-greffier", "time_over_batched", most=1, unit="times"
        ),
        Target("offline WER over the batched pipeline's", "offline-greffier", "wer_over_batched", most=1, unit="times"),
    ]


def _served() -> list[Target]:
    return [
        Target("browser: display of a word over the command's, median", "browser", "display_more", most=0.3, unit="s"),
        Target("browser: word committed over the command's, median", "browser", "commit_more", most=0.3, unit="s"),
        Target("browser: connection to first caption", "browser", "first_caption_s", most=3, unit="s"),
        Target("100 WHIP tracks", "whip-100", "cores", most=1, unit="core"),
        Target("100 WHIP tracks: frames in real time", "whip-100", "in_time", least=0.99, unit="%"),
        Target("1,000 readers: lateness, 95th percentile", "readers-1000", "late_p95", most=0.15, unit="s"),
        Target("1,000 readers", "readers-1000", "cores", most=0.5, unit="core"),
        Target("1,000 readers: events read", "readers-1000", "events_read", least=0.98, unit="%"),
        Target("killed: finals lost", "kill", "finals_lost", most=0),
        Target("killed: words lost, committed a second before", "kill", "words_lost", most=0),
        Target("killed: back and listing the meeting", "kill", "back_s", most=5, unit="s"),
    ]


def _livekit() -> list[Target]:
    return [
        Target("LiveKit: dispatch to first subscribed track", "livekit", "dispatch_to_subscribed_s", most=1, unit="s"),
        Target("LiveKit: caption at a reader after its commit, 95th", "livekit", "leaves_p95", most=0.05, unit="s"),
        Target("LiveKit: display of a word over the command's, median", "livekit", "display_more", most=0.3, unit="s"),
        Target("LiveKit: word committed over the command's, median", "livekit", "commit_more", most=0.3, unit="s"),
        Target("LiveKit: finals not delivered once by text stream", "livekit", "streams_amiss", most=0),
        Target("LiveKit: words not shown once, in order, as Visio shows", "livekit", "packets_amiss", most=0),
        Target("LiveKit: 50 people, 8 open microphones, 2 talking", "livekit-50", "cores", most=0.5, unit="core"),
    ]


def _kyutai() -> list[Target]:
    client, slots, faults, dialect = "kyutai-client", "kyutai-slots", "kyutai-faults", "kyutai-dialect"
    return [
        Target("Kyutai: added to a word by the client, median", client, "added_p50_ms", most=20, unit="ms"),
        Target("Kyutai: last word after delay / speed, at most", client, "last_word_more_max", most=0.3, unit="s"),
        Target("Kyutai: slots for 500 people, 40 of them talking", slots, "slots_used_max", most=64),
        Target("Kyutai: words of these lost", slots, "words_lost", most=0),
        Target("Kyutai breaks or refuses: captions go on, at most", faults, "back_broken_max", most=3, unit="s"),
        Target("Kyutai falls silent (N = 4 s): captions go on, at most", faults, "back_silent_max", most=7, unit="s"),
        Target("Kyutai in trouble: finals lost", faults, "finals_lost", most=0),
        Target("Kyutai in trouble: finals doubled", faults, "finals_doubled", most=0),
        Target("Kyutai in trouble: words lost", faults, "words_lost", most=0),
        Target("Kyutai in trouble: words doubled", faults, "words_doubled", most=0),
        Target("Kyutai's dialect: CPU over the native path", dialect, "dialect_over_native", most=1.1, unit="times"),
    ]


FAULTS = (
    ("worker", "a worker killed"),
    ("stall", "a worker stalled for 20 s"),
    ("rolling", "a worker replaced"),
    ("gateway", "a gateway killed"),
    ("api", "an API killed"),
    ("redis", "Redis killed"),
    ("redis-emptied", "Redis killed and empty"),
    ("postgresql", "PostgreSQL killed"),
)
_WHOLE = ("worker", "stall", "rolling", "api", "redis", "redis-emptied", "postgresql")


def _distributed() -> list[Target]:
    targets = []
    for fault, says in FAULTS:
        row = f"failover-{fault}"
        targets += [
            Target(f"{says}: captions flow again, 95th percentile", row, "back_p95", most=5, unit="s"),
            Target(f"{says}: finals lost", row, "finals_lost", most=0),
            Target(f"{says}: finals doubled", row, "finals_doubled", most=0),
        ]
        if fault in _WHOLE:
            targets.append(Target(f"{says}: WER lost", row, "wer_lost", most=0.02, unit="%"))
    for row, says in (("failover-gateway", "a gateway killed"), ("failover-full-stream", "sound kept no longer")):
        for figure, where in (("gap_start_off_max", "beginning"), ("gap_end_off_max", "end")):
            targets.append(Target(f"{says}: {where} of a gap, off at most", row, figure, most=1, unit="s"))
    return [
        *targets,
        Target("sound kept no longer: finals lost", "failover-full-stream", "finals_lost", most=0),
        Target("talkers of two workers over those of one", "scale", "times", least=1.8, unit="times"),
        Target("the queue: word committed later than in one process, median", "queue", "more_p50", most=0.05, unit="s"),
    ]


TARGETS = (
    *_latency(),
    *_errors(),
    *_laws(),
    *_served(),
    *_livekit(),
    *_kyutai(),
    *_distributed(),
    *_diarization(),
    *_rest(),
)
