"""The doctor says what is there, what is missing and how to get it, and touches nothing."""

import importlib.metadata
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import ctranslate2
import psutil
import pytest

from api import doctor
from api.doctor import Finding, Level, all_well, examine, render
from api.settings import Device, JanusSettings, LiveKitSettings, Settings, SharedRooms, read_settings
from tests.postgresql_server import PostgreSql
from tests.redis_server import RedisServer
from tests.s3_server import BUCKET, running_s3


def only(findings: list[Finding], subject: str) -> Finding:
    (found,) = [finding for finding in findings if finding.subject == subject]
    return found


@pytest.fixture
def bare(tmp_path: Path) -> Settings:
    return Settings(cache=tmp_path / "cache")


def test_a_machine_that_was_set_up_is_well(cache: Path, whisper_base: Path) -> None:
    findings = examine(read_settings({**os.environ, "GREFFIER_CACHE": str(cache)}))
    assert all_well(findings)
    assert {finding.said for finding in findings if finding.subject == "weights"} == {
        "whisper-base is whole",
        "silero_vad_v6.onnx is there",
    }


def test_missing_weights_are_named_with_how_to_get_them_and_not_fetched(bare: Settings) -> None:
    findings = examine(bare)
    assert not all_well(findings)
    missing = [finding for finding in findings if finding.level is Level.MISSING]
    assert [finding.subject for finding in missing] == ["weights"]
    assert "model.bin: missing" in missing[0].said
    assert missing[0].remedy == f"python -m models.weights --cache {bare.cache} whisper-base"
    assert not bare.cache.exists()


def test_what_tells_voices_apart_is_noted_where_it_is_not_and_asked_for(bare: Settings, voices_onnx: Path) -> None:
    lacking = only(examine(bare), "voices")
    assert (lacking.level, "GREFFIER_SHARED_ROOMS=never" in lacking.remedy) == (Level.NOTE, True)
    assert only(examine(replace(bare, cache=voices_onnx.parents[1])), "voices").level is Level.FINE
    never = replace(bare, shared_rooms=SharedRooms.NEVER)
    assert not [finding for finding in examine(never) if finding.subject == "voices"]


def test_a_model_that_means_nothing_is_missing(tmp_path: Path) -> None:
    weights = [finding for finding in examine(Settings(tmp_path, model="whisper-bse")) if finding.subject == "weights"]
    assert weights[0].level is Level.MISSING
    assert "did you mean whisper-base" in weights[0].said


def test_a_missing_package_is_named(bare: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in {"soxr", "torch", "pyannote.audio"}:
            raise importlib.metadata.PackageNotFoundError
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    findings = [finding for finding in examine(bare) if finding.subject == "packages"]
    assert Finding(Level.MISSING, "packages", "soxr", "run make setup") in findings
    assert any(finding.level is Level.NOTE and "[diarization]" in finding.remedy for finding in findings)
    assert not any(finding.subject == "telemetry" for finding in examine(bare))


def test_the_telemetry_of_pyannote_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "1.0")
    told = only(examine(Settings(tmp_path)), "telemetry")
    assert (told.level, told.remedy) == (Level.NOTE, "export PYANNOTE_METRICS_ENABLED=false")
    assert only(examine(Settings(tmp_path, pyannote_metrics=False)), "telemetry").level is Level.FINE


def test_an_old_python_is_missing_a_new_one(bare: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_LEAST_PYTHON", (99, 0))
    assert only(examine(bare), "python").level is Level.MISSING


@pytest.mark.parametrize(
    ("flags", "level", "said"),
    [
        ("flags\t\t: fpu avx avx2 avx512f\n", Level.FINE, "avx2, avx512f"),
        ("flags\t\t: fpu avx\n", Level.NOTE, "no AVX2"),
        ("Features\t: neon\n", Level.FINE, "flags unknown"),
        (None, Level.FINE, "flags unknown"),
    ],
)
def test_a_processor_without_avx2_is_noted(tmp_path: Path, flags: str | None, level: Level, said: str) -> None:
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(flags)
    found = doctor._processor(tmp_path / "cpuinfo")
    assert found.level is level
    assert said in found.said


def test_a_container_that_allows_less_than_it_shows_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert doctor._cores(tmp_path / "cpu.max") == Finding(Level.FINE, "cores", "8")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert doctor._cores(tmp_path / "cpu.max").said == "8"
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert doctor._cores(tmp_path / "cpu.max").level is Level.NOTE
    assert "allows 1.5" in doctor._cores(tmp_path / "cpu.max").said


def test_little_memory_and_little_room_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = namedtuple("memory", "available total")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(1e9, 4e9))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1))
    findings = examine(Settings(tmp_path))
    assert only(findings, "memory").said == "1.0 GB free of 4.0 GB"
    assert only(findings, "memory").level is Level.NOTE
    assert only(findings, "cache").level is Level.NOTE
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot be written" in only(examine(Settings(tmp_path)), "cache").said


@pytest.mark.parametrize(
    ("count", "cublas", "device", "level"),
    [
        (0, False, Device.AUTO, Level.FINE),
        (0, False, Device.CUDA, Level.MISSING),
        (2, True, Device.AUTO, Level.FINE),
        (1, False, Device.AUTO, Level.NOTE),
        (1, False, Device.CUDA, Level.MISSING),
    ],
)
def test_a_gpu_counts_when_its_libraries_are_there(
    monkeypatch: pytest.MonkeyPatch, count: int, cublas: bool, device: Device, level: Level
) -> None:
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: count)
    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda _: {"float16"})
    monkeypatch.setattr(doctor, "load_cublas", lambda: cublas)
    assert doctor._gpu(device).level is level


def test_the_calibration_is_shown_as_it_was_kept(tmp_path: Path) -> None:
    assert doctor._calibration(tmp_path / "none.json").said == "not done yet"
    (tmp_path / "some.json").write_text(json.dumps({"1|CPU/2|whisper-base|auto": {"threads": 1, "step": 0.8}}))
    assert doctor._calibration(tmp_path / "some.json") == Finding(
        Level.FINE, "calibration", "whisper-base: threads 1, step 0.8"
    )
    for nonsense in ("{", "[]", '{"threads": 1}'):
        (tmp_path / "some.json").write_text(nonsense)
        assert "cannot be read" in doctor._calibration(tmp_path / "some.json").said


def test_a_variable_that_means_nothing_is_noted(tmp_path: Path) -> None:
    findings = examine(Settings(tmp_path, unknown=("GREFFIER_X means nothing",)))
    assert only(findings, "settings").said == "GREFFIER_X means nothing"


def test_sfus_that_do_not_answer_are_missing_with_what_to_look_at(bare: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"ws://127.0.0.1:{taken.getsockname()[1]}"
    livekit, janus = LiveKitSettings(nobody, "key", "secret" * 6), JanusSettings(nobody)
    findings = examine(replace(bare, livekit=livekit, janus=janus))
    for subject, variable in [("livekit", "LIVEKIT_URL"), ("janus", "GREFFIER_JANUS_URL")]:
        found = only(findings, subject)
        assert found.level is Level.MISSING
        assert "cannot be reached" in found.said
        assert variable in found.remedy
        assert "secretsecret" not in found.said


def test_an_sfu_that_takes_connections_and_says_nothing_holds_up_nobody_for_long(
    bare: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        livekit = LiveKitSettings(f"ws://127.0.0.1:{silent.getsockname()[1]}", "key", "secret" * 6)
        found = only(examine(replace(bare, livekit=livekit)), "livekit")
    assert (found.level, "no answer" in found.said) == (Level.MISSING, True)


def test_an_s3_that_is_set_is_asked_whether_it_lets_this_server_in(bare: Settings, tmp_path: Path) -> None:
    with running_s3(tmp_path / "s3") as server:
        found = only(examine(replace(bare, s3=server.settings)), "s3")
        assert (found.level, found.said) == (Level.FINE, f"{server.url}/{BUCKET} answers and knows this server")
        for wrong, named in [
            ({"secret": "another"}, "SignatureDoesNotMatch"),
            ({"bucket": "elsewhere"}, "no bucket elsewhere"),
            ({"region": "us-east-1"}, "GREFFIER_S3_REGION"),
        ]:
            found = only(examine(replace(bare, s3=replace(server.settings, **wrong))), "s3")
            assert found.level is Level.MISSING
            assert named in found.said
            assert "GREFFIER_S3_ENDPOINT_URL" in found.remedy
        server.pause()
        began = time.monotonic()
        found = only(examine(replace(bare, s3=server.settings)), "s3")
        assert (found.level, "no answer" in found.said) == (Level.MISSING, True)
        assert time.monotonic() - began < 30.0


def test_a_redis_that_is_set_is_asked_whether_it_lets_this_server_in(bare: Settings, redis_server: RedisServer) -> None:
    found = only(examine(replace(bare, redis_url=redis_server.url)), "redis")
    assert (found.level, found.said) == (Level.FINE, "127.0.0.1 answers and knows this server")
    found = only(examine(replace(bare, redis_url="redis://:swordfish@127.0.0.1:1/0")), "redis")
    assert found.level is Level.MISSING
    assert "GREFFIER_REDIS_URL" in found.remedy
    assert "swordfish" not in f"{found.said} {found.remedy}"


def test_a_postgresql_that_is_set_is_asked_whether_it_lets_this_server_in(
    bare: Settings, postgresql: PostgreSql
) -> None:
    name = postgresql.new_database()
    found = only(examine(replace(bare, database_url=postgresql.url(name))), "database")
    said = f"postgresql://127.0.0.1:{postgresql.port}/{name} answers and knows this server"
    assert (found.level, found.said) == (Level.FINE, said)
    with postgresql.connect(name) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    postgresql.drop(name)
    for url, named in [
        (postgresql.url(name), f'database "{name}" does not exist'),
        (postgresql.url("postgres", password="s3cret"), "password authentication failed"),
        ("postgresql://anne:s3cret@127.0.0.1:1/greffier", "Connection refused"),
        (f"{postgresql.url('postgres')}?sslmode=require", "SSL"),
    ]:
        found = only(examine(replace(bare, database_url=url)), "database")
        assert found.level is Level.MISSING
        assert named in found.said
        assert "cret" not in found.said
        assert "GREFFIER_DATABASE_URL" in found.remedy


def test_a_finding_is_one_line_with_its_remedy_below() -> None:
    findings = [Finding(Level.FINE, "cores", "2"), Finding(Level.MISSING, "gpu", "none", "buy one")]
    assert render(findings).splitlines() == [
        "ok       cores         2",
        "missing  gpu           none",
        f"{'':23}buy one",
    ]
    assert "\x1b[31mmissing\x1b[0m" in render(findings, colour=True)


def test_the_doctor_loads_no_torch() -> None:
    code = "import sys, api.doctor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
