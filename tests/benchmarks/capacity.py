"""How many machines a ministry needs: docs/capacity.md, from the figures of docs/benchmarks.json and named assumptions.

``python -m tests.benchmarks capacity`` writes the page. ``python -m tests.benchmarks.capacity --agents 50000 --present
0.05`` prints it for other assumptions, of which each has an option.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from tests.benchmarks import report
from tests.benchmarks.targets import Results

PAGE = report.DOCS / "capacity.md"


def _assumed(value: float, says: str) -> float:
    assumed: float = field(default=value, metadata={"says": says})
    return assumed


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What nobody measured. Change one with the option of its name."""

    agents: float = _assumed(200_000, "agents who may meet")
    present: float = _assumed(0.1, "of the agents, those in a captioned meeting at the busiest moment")
    people: float = _assumed(6, "participants of a meeting")
    talkers: float = _assumed(1.0, "people who talk at the same moment in each meeting: as if nobody ever paused")
    microphones: float = _assumed(2.0, "open microphones in each meeting, the talkers' included; others send nothing")
    load: float = _assumed(0.6, "of what a machine, a GPU or a shard can do, what is planned with")
    kyutai_slots: float = _assumed(64, "streams of Kyutai's 1B model on one L40S, as Kyutai says (400 on an H100)")
    machine_cores: float = _assumed(16, "cores of a machine for gateways and APIs")
    spare: float = _assumed(1, "machines, GPUs and shards more of each kind than are needed: one may fail")


@dataclass(frozen=True, slots=True)
class Unit:
    """A measured cost: ``figure`` of ``row``, divided by another one or by a number; none where it is below noise."""

    name: str
    says: str
    row: str
    figure: str
    over: str | float = 1.0

    def value(self, results: Results) -> float:
        figures: Mapping[str, float] = results.get(self.row, {}).get("figures", {})
        over = figures.get(self.over, math.nan) if isinstance(self.over, str) else self.over
        value = figures.get(self.figure, math.nan) / over
        return value if math.isnan(value) else max(value, 0.0)


_CROWD = "crowd-1000"
_COSTS = (
    ("talker", "somebody who talks, the ten readers of the meeting included"),
    ("silent", "a silent participant, connected for sound and for captions"),
    ("meeting", "a meeting in which nobody talks"),
)
_PARTS = (
    ("worker", "worker without a model"),
    ("gateway", "gateway"),
    ("api", "API"),
    ("redis", "Redis"),
    ("postgresql", "PostgreSQL"),
)
UNITS = (
    Unit("gpu_base", "talkers on one H100, Whisper base, 4 processes", "gpu-base-256x4", "talkers"),
    Unit(
        "gpu_turbo",
        "talkers on one H100, a model of large-v3-turbo's shape, 1 process",
        "gpu-turbo-shape-64",
        "talkers",
    ),
    Unit("worker_cores", "worker: cores for one talker beside the GPU", "gpu-base-256x4", "cores", over="talkers"),
    Unit("cpu_talkers", "talkers for one core without a GPU, Whisper base", "talkers-8", "talkers_per_core"),
    Unit("slots", "Kyutai: slots in use for somebody who talks", "kyutai-slots", "slots_used_p50", over="talkers"),
    Unit("microphone", "gateway: cores for an open microphone by WebRTC, mostly noise", "whip-100", "cores", over=100),
    *(
        Unit(f"{part}_{what}", f"{called}: cores for {says}", _CROWD, f"cores_{part}_per_{what}")
        for part, called in _PARTS
        for what, says in _COSTS
    ),
    Unit("redis_mb_talker", "Redis: MB for somebody who talks", _CROWD, "memory_held_mb_per_talker"),
    Unit("redis_mb_silent", "Redis: MB for a silent participant", _CROWD, "memory_held_kb_per_silent", over=1000),
)


@dataclass(frozen=True, slots=True)
class Need:
    """``count`` of something, and how it was reckoned."""

    says: str
    count: float
    how: str


def units_in(results: Results) -> dict[str, float]:
    return {unit.name: unit.value(results) for unit in UNITS}


def needs(given: Assumptions, unit: Mapping[str, float]) -> list[Need]:
    """What ``given`` needs by the unit costs; nan where one of them was not measured."""
    present = given.agents * given.present
    meetings = present / given.people
    talkers, microphones = meetings * given.talkers, meetings * given.microphones
    silent = max(present - talkers, 0.0)

    def cores(part: str) -> float:
        return talkers * unit[f"{part}_talker"] + silent * unit[f"{part}_silent"] + meetings * unit[f"{part}_meeting"]

    idle = meetings * unit["worker_meeting"]
    memory = talkers * unit["redis_mb_talker"] + silent * unit["redis_mb_silent"]
    gateway = cores("gateway") + microphones * unit["microphone"]
    found = [
        Need("participants at the busiest moment", present, "agents x present"),
        Need("meetings", meetings, "participants / people"),
        Need("talkers", talkers, "meetings x talkers"),
        Need("GPUs (H100), Whisper base", _units(talkers / unit["gpu_base"], given), "talkers / talkers on one"),
        Need("GPUs (H100), large-v3-turbo", _units(talkers / unit["gpu_turbo"], given), "talkers / talkers on one"),
        Need("cores beside the GPUs", (talkers * unit["worker_cores"] + idle) / given.load, "talkers, meetings"),
        Need(
            "or cores without a GPU, Whisper base",
            talkers / unit["cpu_talkers"] / given.load,
            "talkers / talkers for one",
        ),
        Need("or slots of Kyutai's servers", talkers * unit["slots"] / given.load, "talkers x slots for one"),
        Need(
            "L40S for these",
            _units(talkers * unit["slots"] / given.kyutai_slots, given),
            "slots in use / kyutai_slots",
        ),
    ]
    by = "talkers, silent, meetings"
    for says, used, how in (("gateways", gateway, f"{by}, microphones"), ("APIs", cores("api"), by)):
        found.append(Need(f"cores of {says}", used / given.load, how))
        found.append(Need(f"machines of {says}", _units(used / given.machine_cores, given), "cores / machine_cores"))
    found += [
        Need("Redis shards", _units(cores("redis"), given), "one core each: a Redis does one command at a time"),
        Need("GB of memory in Redis, all shards", memory / 1e3 / given.load, "talkers, silent"),
        Need("cores of PostgreSQL", cores("postgresql") / given.load, by),
    ]
    return found


def _units(wanted: float, given: Assumptions) -> float:
    return wanted if math.isnan(wanted) else math.ceil(wanted / given.load) + given.spare


# --- the page ----------------------------------------------------------------------------------------------

_HEAD = """\
# How many machines

`python -m tests.benchmarks capacity` writes this page from the measured figures of [benchmarks.json](benchmarks.json)
and the assumptions below; `python -m tests.benchmarks.capacity --agents 50000` prints it for others. A test compares
the page with what the script computes. Costs are those of one core of the machines that
[benchmarks.md](benchmarks.md) names. Other processors differ by up to three times: measure on yours
(`python -m tests.benchmarks crowd tracks talkers-8`) before you buy.
"""

_GROWS = """\
## What grows with what

- **GPUs** grow with people who talk at the same time, and with nothing else: who is silent sends a worker nothing.
- **Slots of Kyutai's servers** grow with them, too, in place of the GPUs for Whisper: a slot is taken when somebody
  starts to speak, and given back a second after the last words. Who is in a meeting without speaking takes none.
- **Gateways** grow with open microphones (decoding, and the detector of speech), then with connections.
- **APIs** grow with readers times captions: each caption is written once and sent to every reader.
- **Redis** grows with talkers, whose sound and captions pass through it, and with meetings, whose leases and wishes are
  renewed whether anybody talks or not. A process knows one Redis (`GREFFIER_REDIS_URL`), so each shard is an
  installation with workers of its own, over the same PostgreSQL or another; all of a meeting lies in one.
- **Workers** pay a little for each meeting they hold, silent or not; who is silent in it adds nothing that can be
  measured but some memory in the gateway and the API.
- **PostgreSQL** grows with talkers: finals are written before they are shown, committed words within a second.
- The recogniser of the crowd is scripted: what a model costs stands in the rows of GPUs and of `talkers-8`.
"""


def render(results: Results, given: Assumptions | None = None) -> str:
    """The page."""
    given = given or Assumptions()
    units = units_in(results)
    assumed = [(f"`{one.name}`", one.metadata["says"], _shown(getattr(given, one.name))) for one in fields(given)]
    measured = [(unit.says, _shown(units[unit.name]), f"`{unit.row}`") for unit in UNITS]
    needed = [(need.says, _rounded(need.count), need.how) for need in needs(given, units)]
    parts = (
        _HEAD,
        f"## For {given.agents:,.0f} agents",
        report.table(("what", "how many", "by"), needed),
        "## Assumed",
        report.table(("", "what it says", "assumed"), assumed),
        "## Measured",
        report.table(("cost", "measured", "row"), measured),
        _GROWS.rstrip(),
    )
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _shown(value: float) -> str:
    return "not measured" if math.isnan(value) else f"{value:,.0f}" if value == round(value) else f"{value:.3g}"


def _rounded(value: float) -> str:
    return "not measured" if math.isnan(value) else f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def write_page() -> None:
    PAGE.write_text(render(report.load_results()), encoding="utf-8")


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.capacity", description="Prints docs/capacity.md.")
    for one in fields(Assumptions):
        parser.add_argument(f"--{one.name}", type=float, default=one.default, help=one.metadata["says"])
    print(render(report.load_results(), Assumptions(**vars(parser.parse_args(given)))))


if __name__ == "__main__":
    main()
