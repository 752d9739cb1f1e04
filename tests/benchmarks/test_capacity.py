"""docs/capacity.md says what its script computes."""

from tests.benchmarks import capacity, report
from tests.benchmarks.capacity import Assumptions, needs, units_in


def test_the_page_is_what_the_script_computes() -> None:
    assert capacity.PAGE.read_text(encoding="utf-8") == capacity.render(report.load_results())


def test_more_talkers_need_more_gpus_and_a_spare_one() -> None:
    units = units_in({}) | {"gpu_base": 100.0}
    assert _gpus(units, agents=6_000) == 3  # 600 present, 100 talk: a GPU and two thirds at the load planned with
    assert _gpus(units, agents=12_000) == 5


def _gpus(units: dict[str, float], agents: float) -> float:
    return next(need.count for need in needs(Assumptions(agents=agents), units) if "Whisper base" in need.says)
