"""docs/operations.md is true: metrics of each process, what /readyz says, the page of greffier status, events."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import Metric

from api.roles import Role
from api.shapes import Readiness
from api.status import Captioning, OpenMeeting, Status, render
from api.vitals import Vitals, house_vitals
from pipeline.distributed.queues import QueueLength
from tests.api.role_serving import role_serving, shared_settings
from tests.houses import scripted_house
from tests.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "operations.md").read_text()
SOURCES = "\n".join(
    path.read_text() for room in ("api", "pipeline", "media_gateway", "models") for path in (ROOT / room).rglob("*.py")
)
PROCESSES = {
    "serve": {"serve"},
    "gateway": {"gateway"},
    "api": {"api"},
    "worker": {"worker live", "worker batch"},
    "worker live": {"worker live"},
    "all": {"serve", "gateway", "api", "worker live", "worker batch"},
}


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of its tables, without their heads."""
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    return [row for row in found[2:] if not set(row[0]) <= {"-", "|"}]


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and processes of each metric."""
    return {
        name.strip("`"): (kind, set().union(*(PROCESSES[process] for process in processes.split(", "))))
        for name, kind, processes, _ in rows(section("Metrics"))
    }


def exported(metric: Metric) -> tuple[str, str]:
    """Its name and type as Prometheus is told them."""
    suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
    return metric.name + suffix, "gauge" if metric.type == "info" else metric.type


async def test_the_table_of_metrics_has_those_that_each_process_exports_and_no_more(
    tmp_path: Path, redis_server: RedisServer, postgresql_url: str
) -> None:
    found: dict[str, tuple[str, set[str]]] = {}

    async def look(process: str, vitals: Vitals) -> None:
        await vitals.look()
        for name, kind in map(exported, vitals.collect()):
            found.setdefault(name, (kind, set()))[1].add(process)

    async with scripted_house(tmp_path / "serve") as house:
        await look("serve", house_vitals(house))
    settings = shared_settings(tmp_path, redis_server.url, postgresql_url)
    for role, queue in ((Role.GATEWAY, ""), (Role.API, ""), (Role.WORKER, "live"), (Role.WORKER, "batch")):
        async with role_serving(settings, role, queue=queue) as served:
            await look(f"{role} {queue}".strip(), served.vitals)
    assert documented() == found


def test_the_alerts_ask_for_metrics_that_there_are() -> None:
    rules = yaml.safe_load((ROOT / "docker" / "alerts.yaml").read_text())["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    known = documented()
    for rule in rules:
        for name in re.findall(r"greffier_\w+", rule["expr"]):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in known or name in known, name


def test_the_table_of_health_has_every_field() -> None:
    fields = {name for row in rows(section("Health")) for name in re.findall(r"`(\w+)`", row[0])}
    assert fields == Readiness.model_fields.keys() - {"ready"}


def test_the_page_of_status_is_what_it_prints() -> None:
    block = re.search(r"^```\n\$ greffier status\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert block is not None
    common = {"version": "0.1.0", "seconds": 3 * 3600.0, "host": "node1"}
    held = {"talkers_held": 9, "talkers_possible": 24, "load": 0.375, "lag": 0.4, "meetings": 7}
    found = Status(
        redis=True,
        database=True,
        processes=[
            common
            | {"process": "worker-7c00d1e2", "role": "worker", "queue": "batch", "host": "node3", "seconds": 2e5},
            common | {"process": "worker-1a2b3c4d", "role": "worker", "queue": "live", "host": "node2"} | held,
            common | {"process": "gateway-9b3e77aa", "role": "gateway", "meetings": 12},
            common | {"process": "api-5d21f0c3", "role": "api", "meetings": 12},
        ],
        meetings=[
            OpenMeeting("4t7q0b1yx2ra", Captioning.EMPTY, None, 7200.0),
            OpenMeeting("9mx2c89kz6mq", Captioning.CAPTIONED, "worker-1a2b3c4d", 1560.0),
        ],
        queues={"live": QueueLength(0, 0), "batch": QueueLength(2, 0)},
    )
    assert render(found) == block[1].rstrip("\n")


def test_the_events_of_the_page_are_logged() -> None:
    for row in rows(section("Logs")):
        for event in re.findall(r"`(\w+\.\w+)`", row[0]):
            assert f'"{event}"' in SOURCES, event


def test_the_spans_and_attributes_of_the_page_are_sent() -> None:
    for row in rows(section("Traces")):
        names = re.findall(r"`([a-z_.]+)`", f"{row[0]} {row[2]}")
        assert names
        for name in names:
            assert f'"{name}"' in SOURCES, name


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "GREFFIER_TALKERS", "GREFFIER_PORT", "GREFFIER_HOME"])
def test_the_variables_of_the_page_are_settings(name: str) -> None:
    from api.variables import VARIABLES

    assert name in PAGE
    assert name in {variable.name for variable in VARIABLES}
