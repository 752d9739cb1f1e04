"""The Helm chart is true: helm and Kubernetes' own schemas take it, settings, commands and probes are there."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from fastapi.routing import iter_route_contexts

from api.app import create_app
from api.settings import read_settings
from api.variables import REDIS_URL, SECRET
from tests.deploying import A_SECRET, DOCKER, OURS, ROOT, said, settings_of, tool
from tests.houses import scripted_house

CHART = DOCKER / "helm" / "greffier"
KUBERNETES = ("1.27", "1.31", "1.37")
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


def test_the_monitor_finds_every_pod() -> None:
    made = resources("--set", "podMonitor.enabled=true")
    monitor = made["PodMonitor/greffier"]["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    pods = [each["spec"]["template"] for name, each in made.items() if name.startswith("Deployment/")]
    assert len(pods) == 4
    for pod in pods:
        assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        assert endpoint["port"] in {port["name"] for port in pod["spec"]["containers"][0]["ports"]}


def test_the_secret_holds_what_the_chart_says_it_holds() -> None:
    comment = (CHART / "values.yaml").read_text().split("existingSecret:")[0].rpartition("\n\n")[2]
    assert set(OURS.findall(comment)) == set(IN_SECRET)
    assert all(variable.name in comment for variable in (REDIS_URL, SECRET))
