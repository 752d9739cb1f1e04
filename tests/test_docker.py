"""The image and compose are true: files are there, settings and commands can be used. No container engine runs here:
hadolint and docker-compose read what is theirs."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from api.variables import VARIABLES
from tests.deploying import A_SECRET, DOCKER, OURS, ROOT, said, settings_of, tool

NAMES = {variable.name for variable in VARIABLES}
OF_OTHERS = {"LIVEKIT_KEYS", "LIVEKIT_SECRET"}  # LiveKit's own, and compose's for both


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    said(tool("hadolint", Path(sys.executable).with_name("hadolint")), DOCKER / "Dockerfile")


def test_every_file_that_the_image_takes_is_there_and_is_sent_to_the_builder() -> None:
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()[:-1]}
    assert names == sent
    for name in names:
        assert (ROOT / name).exists(), name
        tracked = said("git", "ls-files", "--", name)
        assert tracked, f"{name} is not in the repository"
    packages = re.search(r"^include = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert packages is not None
    assert {name.rstrip("*") for name in json.loads(packages[1])} <= names


def test_both_targets_are_there_and_run_as_nobody_with_the_cublas_that_is_pinned() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    stages = dict(re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE))
    last = {name: base for base, name in re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE)}
    assert stages
    assert (last["cpu"], last["gpu"]) == ("runtime", "runtime")
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.MULTILINE)
    assert "nvidia-cublas-cu12" in text
    assert re.search(r"^nvidia-cublas-cu12==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert "whisper" not in re.sub(r"#.*", "", text), "weights are in a volume"


@pytest.mark.parametrize(
    "path", sorted(path for path in DOCKER.rglob("*") if path.is_file() and path.name != ".env"), ids=lambda p: p.name
)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    assert set(OURS.findall(path.read_text())) - OF_OTHERS <= NAMES


# --- compose -------------------------------------------------------------------------------------------------------


def filled(text: str) -> str:
    return re.sub(r"^([A-Z0-9_]+)=$", rf"\1={A_SECRET}", text, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The services as docker-compose understands them, with the secrets of the example filled in."""
    folder = tmp_path_factory.mktemp("compose") / "docker"
    shutil.copytree(DOCKER, folder)
    (folder / ".env").write_text(filled((DOCKER / "example.env").read_text()))
    compose = tool("docker-compose", "docker-compose")
    said(compose, "-f", "compose.yaml", "-f", "compose.gpu.yaml", "config", "--quiet", cwd=folder)
    services: dict[str, Any] = yaml.safe_load(said(compose, "-f", "compose.yaml", "config", cwd=folder))["services"]
    return services


def test_compose_runs_every_part_with_settings_that_can_be_used(composed: dict[str, Any]) -> None:
    ours = {name: each for name, each in composed.items() if each.get("image") == "greffier:cpu" and name != "weights"}
    assert set(ours) == {"api", "gateway", "worker", "batch"}
    assert ours["worker"]["command"] == ["worker", "--queues", "live"]
    assert ours["batch"]["command"] == ["worker", "--queues", "batch"]
    for service in ours.values():
        settings = settings_of(service["environment"], service["command"])
        assert settings.s3 is not None
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["tmpfs"] == ["/tmp"]
    gateway = settings_of(ours["gateway"]["environment"], ["gateway"])
    assert gateway.livekit is not None
    assert gateway.livekit.key in composed["livekit"]["environment"]["LIVEKIT_KEYS"]


def test_compose_names_files_that_are_there(composed: dict[str, Any]) -> None:
    mounted = [
        volume.split(":")[0]
        for each in composed.values()
        for volume in each.get("volumes", [])
        if volume.startswith("/") and ":" in volume
    ]
    ignored = (ROOT / ".gitignore").read_text().split()
    for path in mounted:
        name = Path(path).name
        assert (DOCKER / name).exists() or f"/docker/{name}" in ignored, path
    assert {"Caddyfile", "livekit.yaml", "prometheus.yaml"} <= {Path(path).name for path in mounted}
    assert {each["build"]["target"] for each in composed.values() if "build" in each} == {"cpu"}


def test_the_weights_that_compose_fetches_are_those_of_the_model(composed: dict[str, Any]) -> None:
    assert composed["weights"]["command"] == ["--cache", "/var/cache/greffier", "whisper-base"]
    assert composed["weights"]["entrypoint"] == ["python", "-m", "models.weights"]
    said(sys.executable, "-m", "models.weights", "--help")


def test_redis_never_drops_what_is_under_way(composed: dict[str, Any]) -> None:
    assert " ".join(composed["redis"]["command"]).endswith("--maxmemory-policy noeviction")


def test_the_example_names_every_setting_with_its_default() -> None:
    text = (DOCKER / "example.env").read_text()
    for variable in VARIABLES:
        assert variable.name in text
        if (given := re.search(rf"^# {variable.name}=(.*)$", text, re.MULTILINE)) is not None:
            assert given[1] == variable.default


def test_prometheus_asks_every_process_that_compose_runs(composed: dict[str, Any]) -> None:
    jobs = yaml.safe_load((DOCKER / "prometheus.yaml").read_text())["scrape_configs"]
    assert jobs[0]["job_name"] in (DOCKER / "alerts.yaml").read_text()
    (found,) = jobs[0]["dns_sd_configs"]
    assert {*found["names"], "gateway"} == {"api", "worker", "batch", "gateway"}
    for name in found["names"]:
        assert composed[name]["environment"]["GREFFIER_PORT"] == str(found["port"])
    (gateway,) = jobs[0]["static_configs"][0]["targets"]
    assert gateway == f"host.docker.internal:{composed['gateway']['environment']['GREFFIER_PORT']}"
