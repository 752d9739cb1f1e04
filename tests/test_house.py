"""The rules of the house hold: who imports whom, where the environment is read, how long files are, what names say."""

import ast
import importlib.metadata
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("api", "media_gateway", "models", "pipeline")
MOST_LINES = 400
VAGUE = {"manager", "handler", "helper", "util", "data", "info"}
TEXTS = {"", ".css", ".html", ".js", ".json", ".md", ".py", ".toml", ".txt", ".yaml", ".yml"}
# Only these may load torch, and captioning with faster-whisper loads none of them.
WITH_TORCH = {"models.campplus", "models.filterbank", "models.pyannote", "models.voice_networks"}


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def configuration() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]


def test_imports_point_down() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    said = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


def test_every_module_of_the_pipeline_has_its_layer() -> None:
    layers = configuration()["importlinter"]["contracts"][0]["layers"]  # type: ignore[index]
    placed = set(re.findall(r"pipeline\.(\w+)", " ".join(layers)))
    assert {module.name for module in pkgutil.iter_modules([str(ROOT / "pipeline")])} <= placed


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=name_of)
def test_the_environment_is_read_in_one_place(path: Path) -> None:
    if name_of(path) == "api/settings.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv" | "putenv"):
                pytest.fail(f"line {node.lineno} touches the environment")
            case ast.ImportFrom(module="os", names=names):
                assert not {name.name for name in names} & {"environ", "environb", "getenv", "putenv"}


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=name_of)
def test_what_is_logged_is_in_the_log(path: Path) -> None:
    """Other names than ``greffier.*`` log warnings only (api/logs.py)."""
    if name_of(path) != "api/logs.py":
        assert all(name.startswith('"greffier.') for name in re.findall(r"getLogger\((.+?)\)", path.read_text()))


@pytest.mark.parametrize("path", sources(*PACKAGES, "tests"), ids=name_of)
def test_a_long_file_says_why_at_its_top(path: Path) -> None:
    text = path.read_text()
    if len(text.splitlines()) > MOST_LINES:
        assert "lines" in (ast.get_docstring(ast.parse(text)) or ""), f"over {MOST_LINES} lines, and does not say why"


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=name_of)
def test_a_module_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=name_of)
def test_names_say_what_things_are(path: Path) -> None:
    vague = {name for name in [*path.relative_to(ROOT).parts, *names_given(path)] if VAGUE & words_of(name)}
    assert not vague


def names_given(path: Path) -> Iterator[str]:
    """The names a module gives: to itself, its classes, functions, parameters, variables and fields."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def words_of(name: str) -> set[str]:
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name.removesuffix(".py")).lower().split("_")
    return {word.removesuffix("s") if word != "s" else word for word in words}


def test_vague_words_are_seen_in_every_spelling() -> None:
    for name in ("utils.py", "AudioHandler", "session_manager", "user_infos", "DATA"):
        assert VAGUE & words_of(name)
    for name in ("metadata", "informed", "handle", "utility"):
        assert not VAGUE & words_of(name)


def test_captioning_loads_no_torch() -> None:
    modules = [
        module.name
        for package in PACKAGES
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")
        if module.name not in WITH_TORCH and not module.name.endswith("__main__")
    ]
    assert "models.weights" in modules
    code = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    code += "sys.exit('torch' in sys.modules)\n"
    said = subprocess.run([sys.executable, "-c", code, *modules], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr


def requirements() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return {plain(re.split(r"[\[=<>~! ]", wanted)[0]) for group in groups for wanted in group}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [line.partition(" ;")[0].split("==") for line in lines if line and not line.startswith("#")]
    return {plain(name): version for name, version in found}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_requirement_is_pinned() -> None:
    assert requirements() <= pins().keys()


def test_what_is_installed_is_what_is_pinned() -> None:
    for name in requirements() & {plain(found.name) for found in importlib.metadata.distributions()}:
        assert importlib.metadata.version(name) == pins()[name], name


def test_no_registry_and_no_machine_is_named() -> None:
    hosts = ("pypi" + ".org", "python" + "hosted", "npmjs" + ".org", "crates" + ".io", "deb" + ".debian")
    paths = ("/wo" + "rk/", "/ro" + "ot/", "/tmp/pro" + "to")
    kept = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    if not kept:
        pytest.skip("this is no git checkout")
    for name in kept:
        if (ROOT / name).suffix in TEXTS:
            text = (ROOT / name).read_text(errors="ignore") if (ROOT / name).is_file() else ""
            assert not [word for word in (*hosts, *paths) if word in text], name
