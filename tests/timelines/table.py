"""Timelines written by hand, as text: a title, how the recogniser behaves, what happens, what is expected.

::

    A sentence that says what the timeline shows.

    latency 0.3                       seconds until an answer (also: kept SECONDS, languages fr,en,
    policy local-agreement            busy FROM UNTIL, failing FROM UNTIL, loud TRACK DBFS)

    anne   0.0  2.0  Good morning.    words that anne says; [en] before them names their language
    anne   2.5  3.0  (noise)          detected as speech, but nothing is said
    anne   2.5  3.0  (cut off)        the track closes while anne speaks on
    anne   3.0  4.0  (lost)           sound that reached nobody
    anne   4.0       (closes)         also: (opens), when a track comes late or comes back

    expected
    anne   Good morning.              one line per final caption, in order per track; words that were shown may be gone
    gap    anne 3.0 4.0               in order of their start
    record anne Good morning.         in order of their recognition

A track opens by itself before it first appears. Two spaces or more separate columns. In what is expected, ``word?``
was heard in the wrong language, and ``word~1.500`` is the beginning of a word that audio ending at 1.5 s cut off.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.domain import TrackId
from pipeline.live.meeting import MeetingCaptioner
from pipeline.live.policies import LocalAgreement
from pipeline.live.settings import LiveSettings
from tests.timelines.hearing import Hearing, Said
from tests.timelines.player import Moment, Player, Recogniser, speech, spoken

FOLDER = Path(__file__).parent

SETTINGS = LiveSettings(
    step=0.5,
    first=0.5,
    window=8.0,
    keep=4.0,
    margin=0.5,
    join=1.5,
    soft_utterance=10.0,
    hard_utterance=20.0,
    record_join=1.5,
    record_window=28.0,
    detect_every=2.0,
)


@dataclass(slots=True)
class Timeline:
    title: str
    recogniser: dict[str, float] = field(default_factory=dict)
    spans: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {"busy": [], "failing": []})
    languages: tuple[str, ...] = ("en",)
    local_agreement: bool = False
    loud: dict[TrackId, float] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    script: dict[TrackId, list[Said]] = field(default_factory=dict)
    opened: set[TrackId] = field(default_factory=set)
    expected: list[str] = field(default_factory=list)

    def play(self) -> Player:
        recogniser = Recogniser(**self.recogniser, busy=tuple(self.spans["busy"]), failing=tuple(self.spans["failing"]))
        core = MeetingCaptioner(SETTINGS, self.languages, LocalAgreement if self.local_agreement else None)
        player = Player(core, Hearing(self.script), recogniser, loud=self.loud)
        player.play(self.moments)
        return player


def timelines() -> list[Path]:
    return sorted(FOLDER.glob("*.txt"))


def read(path: Path) -> Timeline:
    title, *lines = path.read_text().splitlines()
    timeline = Timeline(title)
    rows = (line.strip() for line in lines if line.strip())
    for row in rows:
        if row == "expected":
            break
        columns = re.split(r"\s{2,}", row)
        if len(columns) == 1:
            _behave(timeline, row.split())
        else:
            _happen(timeline, columns)
    timeline.expected = [" ".join(row.split()) for row in rows]
    return timeline


def outcome(player: Player) -> Iterator[str]:
    """What came of a timeline, in the words of its table."""
    for track in sorted({caption.track for caption in player.finals}):
        for caption in player.finals:
            if caption.track == track:
                yield f"{track} {caption.committed.strip()}".strip()
    for gap in sorted(player.gaps, key=lambda gap: (gap.start, gap.track)):
        yield f"gap {gap.track} {gap.start:.1f} {gap.end:.1f}"
    for record in player.records:
        yield f"record {record.track} {''.join(word.text for word in record.words).strip()}"


def _behave(timeline: Timeline, words: list[str]) -> None:
    match words:
        case ["latency" | "kept" as name, seconds]:
            timeline.recogniser[name] = float(seconds)
        case ["busy" | "failing" as name, start, end]:
            timeline.spans[name].append((float(start), float(end)))
        case ["loud", track, level]:
            timeline.loud[TrackId(track)] = float(level)
        case ["languages", names]:
            timeline.languages = tuple(names.split(","))
        case ["policy", "local-agreement"]:
            timeline.local_agreement = True
        case _:
            raise ValueError(f"a timeline cannot say {' '.join(words)!r}")


def _happen(timeline: Timeline, columns: list[str]) -> None:
    name, start, *until, what = columns
    track, begin = TrackId(name), float(start)
    end = float(until[0]) if until else begin
    if track not in timeline.opened:
        timeline.opened.add(track)
        timeline.moments.append(Moment(begin if what == "(opens)" else 0.0, lambda player: player.opens(track)))
    moments: tuple[Moment, ...]
    match what:
        case "(opens)":
            moments = (Moment(begin, lambda player: player.opens(track)),)
        case "(closes)":
            moments = (Moment(begin, lambda player: player.closes(track)),)
        case "(noise)":
            moments = speech(track, begin, end)
        case "(cut off)":
            started, _ = speech(track, begin, end)
            moments = (started, Moment(end, lambda player: player.closes(track)))
        case "(lost)":
            moments = (Moment(end, lambda player: player.loses(track, begin, end)),)
        case _:
            named = re.fullmatch(r"\[(\w+)\] (.*)", what)
            language, text = named.groups() if named else ("en", what)
            timeline.script.setdefault(track, []).extend(spoken(text.split(), begin, end, language))
            moments = speech(track, begin, end)
    timeline.moments += moments
