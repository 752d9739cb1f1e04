"""docker/ is true: what its files name is there, settings and commands can be used, paths lead where they should.

No container engine runs here: hadolint, docker-compose, helm, kubernetes-validate and caddy read what is theirs.
"""

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2 as httpx
import pytest
import yaml  # type: ignore[import-untyped]
from fastapi.routing import iter_route_contexts

from api.app import create_app
from api.cli import parser
from api.roles import Role
from api.settings import Settings, for_many_processes, read_settings
from api.variables import REDIS_URL, SECRET, VARIABLES
from tests.houses import scripted_house

ROOT = Path(__file__).resolve().parents[1]
DOCKER = ROOT / "docker"
CHART = DOCKER / "helm" / "greffier"
NAMES = {variable.name for variable in VARIABLES}
OURS = re.compile(r"\b(?:GREFFIER|LIVEKIT)_[A-Z0-9_]+\b")
OF_OTHERS = {"LIVEKIT_KEYS", "LIVEKIT_SECRET"}  # LiveKit's own, and compose's for both
KUBERNETES = ("1.27", "1.31", "1.37")
A_SECRET = "a-secret-of-tests-that-is-as-long-as-one-must-be"
IN_SECRET = {
    "GREFFIER_DATABASE_URL": "postgresql://greffier:secret@postgresql:5432/greffier",
    "GREFFIER_REDIS_URL": "redis://redis:6379/0",
    "GREFFIER_SECRET": A_SECRET,
    "GREFFIER_S3_ACCESS_KEY_ID": "key",
    "GREFFIER_S3_SECRET_ACCESS_KEY": "secret",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": A_SECRET,
}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def tool(name: str, path: Path | str | None) -> str:
    """Where it is; without it a laptop skips and CI fails."""
    found = None if path is None else shutil.which(path)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs {name}: .ci/services brings it")
        pytest.skip(f"{name} is not on this machine: make services brings it")
    return found


def said(*command: str | Path, cwd: Path = ROOT, **environ: str) -> str:
    """What a program that must go well prints."""
    environment = os.environ | environ
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def settings_of(environ: dict[str, str], command: list[str]) -> Settings:
    """As a process of the distributed mode would read them, whose command line must be one."""
    arguments = parser().parse_args(command)
    assert arguments.run.__name__ in {"_gateway", "_worker", "_api"}, command
    settings = read_settings({"HOME": "/var/lib/greffier"} | environ)
    assert settings.unknown == ()
    for_many_processes(settings, signs="worker" not in command)
    return settings


# --- the image -----------------------------------------------------------------------------------------------------


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
    settings_of(
        dict(IN_SECRET)
        | {"LIVEKIT_URL": "ws://livekit", "GREFFIER_S3_ENDPOINT_URL": "http://s3", "GREFFIER_S3_BUCKET": "b" * 3},
        ["api"],
    )


def test_prometheus_asks_every_process_that_compose_runs(composed: dict[str, Any]) -> None:
    jobs = yaml.safe_load((DOCKER / "prometheus.yaml").read_text())["scrape_configs"]
    (found,) = jobs[0]["dns_sd_configs"]
    assert {*found["names"], "gateway"} == {"api", "worker", "batch", "gateway"}
    for name in found["names"]:
        assert composed[name]["environment"]["GREFFIER_PORT"] == str(found["port"])
    (gateway,) = jobs[0]["static_configs"][0]["targets"]
    assert gateway == f"host.docker.internal:{composed['gateway']['environment']['GREFFIER_PORT']}"


# --- Helm ----------------------------------------------------------------------------------------------------------

VARIANTS = {
    "as it is": [],
    "with all": [
        *("--set", "worker.gpu=true", "--set", "batch.gpu=true", "--set", "worker.autoscaling.enabled=false"),
        *(
            "--set",
            "weights.existingClaim=weights",
            "--set",
            "ingress.tlsSecret=tls",
            "--set",
            "ingress.className=nginx",
        ),
        *("--set", "settings.LIVEKIT_URL=wss://livekit.example", "--set", "worker.settings.GREFFIER_TALKERS=40"),
        *("--set", "settings.GREFFIER_S3_ENDPOINT_URL=https://s3.example", "--set", "settings.GREFFIER_S3_BUCKET=ours"),
        *("--set", "worker.nodeSelector.gpu=a10", "--set", "imagePullSecrets[0].name=registry"),
    ],
}


def rendered(*more: str, kubernetes: str = KUBERNETES[1]) -> str:
    helm = tool("helm", read_settings().cache / "helm")
    return said(helm, "template", "greffier", CHART, "--kube-version", f"{kubernetes}.0", *more)


def resources(*more: str) -> dict[str, dict[str, Any]]:
    documents = [each for each in yaml.safe_load_all(rendered(*more)) if each]
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in documents}


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_kubernetes_takes_what_the_chart_makes(variant: str, kubernetes: str, tmp_path: Path) -> None:
    (tmp_path / "made.yaml").write_text(rendered(*VARIANTS[variant], kubernetes=kubernetes))
    validate = tool("kubernetes-validate", Path(sys.executable).with_name("kubernetes-validate"))
    found = said(validate, "--strict", "-k", kubernetes, tmp_path / "made.yaml")
    assert "WARN" not in found
    assert found.count("passed") >= 12


def test_helm_finds_nothing_in_the_chart() -> None:
    said(tool("helm", read_settings().cache / "helm"), "lint", "--strict", CHART)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_chart_runs_every_part_with_settings_that_can_be_used(variant: str) -> None:
    made = resources(*VARIANTS[variant])
    shared = made["ConfigMap/greffier-settings"]["data"]
    commands = {}
    for part in ("api", "gateway", "worker", "batch"):
        (container,) = made[f"Deployment/greffier-{part}"]["spec"]["template"]["spec"]["containers"]
        environ = {each["name"]: each["value"] for each in container["env"]}
        secret = IN_SECRET if "LIVEKIT_URL" in shared else {name: IN_SECRET[name] for name in list(IN_SECRET)[:3]}
        settings = settings_of(shared | environ | secret, container["args"])
        commands[part] = container["args"]
        assert [each["containerPort"] for each in container["ports"]] == [settings.port]
        assert settings.host == "0.0.0.0"
        if part == "gateway":
            assert settings.udp_ports == range(40000, 40200)
    assert commands["worker"] == ["worker", "--queues", "live"]
    assert commands["batch"] == ["worker", "--queues", "batch"]


async def test_the_chart_probes_addresses_that_are_there(tmp_path: Path) -> None:
    async with scripted_house(tmp_path) as house:
        paths = {route.path for route in iter_route_contexts(create_app(house).routes)}
    for name, each in resources().items():
        if name.startswith("Deployment/"):
            (container,) = each["spec"]["template"]["spec"]["containers"]
            probed = {probe: container[probe]["httpGet"] for probe in PROBES}
            assert {get["path"] for get in probed.values()} <= paths
            assert {get["port"] for get in probed.values()} == {container["ports"][0]["name"]}
            assert probed["livenessProbe"]["path"] == "/healthz", "a process is not killed because Redis is away"


def test_pods_are_nobody_and_write_in_three_folders() -> None:
    for name, each in resources(*VARIANTS["with all"]).items():
        if not name.startswith("Deployment/"):
            continue
        pod = each["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert f"USER {pod['securityContext']['runAsUser']}:" in (DOCKER / "Dockerfile").read_text()
        assert pod["automountServiceAccountToken"] is False
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            folders = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert folders == {"/var/lib/greffier", "/var/cache/greffier", "/tmp"}
            assert "limits" in container["resources"]


def test_workers_are_scaled_by_a_figure_that_they_show() -> None:
    (metric,) = resources()["HorizontalPodAutoscaler/greffier-worker"]["spec"]["metrics"]
    assert f'"{metric["pods"]["metric"]["name"]}"' in (ROOT / "api" / "measures.py").read_text()
    assert "replicas" not in resources()["Deployment/greffier-worker"]["spec"], "the autoscaler alone says how many"


def test_a_worker_with_a_gpu_asks_for_one_and_runs_the_image_for_it() -> None:
    pod = resources(*VARIANTS["with all"])["Deployment/greffier-worker"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "greffier:gpu"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert (
        resources()["Deployment/greffier-worker"]["spec"]["template"]["spec"]["containers"][0]["image"]
        == "greffier:cpu"
    )


def test_the_secret_holds_what_the_chart_says_it_holds() -> None:
    comment = (CHART / "values.yaml").read_text().split("existingSecret:")[0].rpartition("\n\n")[2]
    assert set(OURS.findall(comment)) == set(IN_SECRET)
    assert all(variable.name in comment for variable in (REDIS_URL, SECRET))


# --- the way through the proxy -------------------------------------------------------------------------------------


async def addresses(folder: Path) -> dict[str, Role]:
    """An address of each route of the distributed mode, and who answers it; that of all processes is anybody's."""
    found: dict[str, set[Role]] = {}
    async with scripted_house(folder) as house:
        for role in (Role.API, Role.GATEWAY):
            house.role = role
            for route in iter_route_contexts(create_app(house).routes):
                path = re.sub(r"{\w+(:\w+)?}", "0", route.path or "")
                found.setdefault(path, set()).add(role)
    return {path: roles.pop() for path, roles in found.items() if len(roles) == 1}


@contextmanager
def answering(text: str) -> Iterator[int]:
    """A server on a port of its own that says the same to everybody."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as http:
        Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield http.server_port
        http.shutdown()


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


async def test_caddy_leads_every_address_to_a_process_that_answers_it(tmp_path: Path) -> None:
    caddy, port = tool("caddy", "caddy"), free_port()
    with answering("api") as api, answering("gateway") as gateway:
        text = (DOCKER / "Caddyfile").read_text()
        for placed, here in (
            ("host.docker.internal:8643", f"127.0.0.1:{gateway}"),
            ("dynamic a api 8642", f"to 127.0.0.1:{api}"),
        ):
            assert placed in text
            text = text.replace(placed, here)
        (tmp_path / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text)
        environment = os.environ | {"DOMAIN": f"http://127.0.0.1:{port}", "HOME": str(tmp_path)}
        command = [caddy, "run", "--config", tmp_path / "Caddyfile", "--adapter", "caddyfile"]
        with (tmp_path / "log").open("wb") as log:
            running = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: ASYNC220 - at once
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10.0) as http:
                until = time.monotonic() + 30.0
                while (await answer(http, "/whip/0")) != "gateway":
                    assert time.monotonic() < until, (tmp_path / "log").read_text()
                    await asyncio.sleep(0.05)
                for path, role in (await addresses(tmp_path / "house")).items():
                    assert await answer(http, path) == role.value, path
        finally:
            running.terminate()
            running.wait(30.0)


async def answer(http: httpx.AsyncClient, path: str) -> str:
    try:
        return (await http.get(path)).text
    except httpx.TransportError:
        return ""


async def test_the_ingresses_lead_every_address_to_a_process_that_answers_it(tmp_path: Path) -> None:
    made = resources()
    paths = [
        (each["path"], each["pathType"], each["backend"]["service"]["name"].removeprefix("greffier-"))
        for name, ingress in made.items()
        if name.startswith("Ingress/")
        for each in ingress["spec"]["rules"][0]["http"]["paths"]
    ]
    assert all(f"Service/greffier-{part}" in made for _, _, part in paths)

    def leads(path: str) -> str:
        """As ingress-nginx does where paths are patterns: the longest first, from the beginning of the address."""
        return next(part for start, _, part in sorted(paths, key=lambda each: -len(each[0])) if re.match(start, path))

    for path, role in (await addresses(tmp_path)).items():
        assert leads(path) == role.value, path
