"""Makes the ONNX files that ``voice_onnx`` runs out of the weights that torch reads; once, at set-up.

``python -m models.voice_export --cache FOLDER`` makes them where they are not there yet; torch is loaded only then.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock

from models.voice_onnx import FILES, are_made, voice_folder
from models.weights import locate
from pipeline.errors import GreffierError, ModelUnavailable

_OPSET = 17


def export_voices(cache: Path) -> Path:
    """The folder that holds the files, made where they are missing. Raises ``ModelUnavailable``, ``StorageFull``."""
    folder = voice_folder(cache)
    if are_made(folder):
        return folder
    segmentation, embedding = (locate(name, cache) for name in ("pyannote-segmentation-3.0", "campplus"))
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"), TemporaryDirectory(dir=folder) as part:
        if not are_made(folder):
            write_files(segmentation, embedding, Path(part))
            for name in FILES:
                (Path(part) / name).replace(folder / name)
    return folder


def write_files(segmentation: Path, embedding: Path, folder: Path) -> None:
    """From the folders of ``pyannote-segmentation-3.0`` and ``campplus``. Raises ``ModelUnavailable``."""
    try:
        import torch

        from models.voice_networks import read_networks
    except ImportError as error:
        raise ModelUnavailable(f"the voices of shared rooms take the extra greffier[diarization]: {error}") from error
    with warnings.catch_warnings(action="ignore"):
        for name, network in zip(FILES, read_networks(segmentation, embedding), strict=True):
            torch.onnx.export(
                network.module,
                network.example,
                folder / name,
                input_names=list(network.inputs),
                output_names=list(network.outputs),
                dynamic_axes=network.inputs | network.outputs,
                opset_version=_OPSET,
                dynamo=False,  # the other exporter takes onnxscript besides
            )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.voice_export", description="Make the voice models.")
    parser.add_argument("--cache", type=Path, required=True, help="the folder that keeps weights")
    options = parser.parse_args(arguments)
    if find_spec("torch") is None and not are_made(voice_folder(options.cache)):
        print("voices: left out, torch is not installed (the extra diarization): no voices of shared rooms live")
        return 0
    try:
        export_voices(options.cache)
    except GreffierError as error:
        print(f"voices: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
