"""The networks that tell voices apart, as torch modules with the inputs and outputs of the ONNX files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.campplus import BINS, CamPlusPlus
from models.pyannote import read_models

_SAMPLES, _BANKS, _FRAMES = 80_000, 498, 249
"""Five seconds, as an example for the exporter."""
Axes = dict[str, dict[int, str]]


@dataclass(frozen=True, slots=True)
class Network:
    """One file: what goes in and comes out, with the axes that may have any length."""

    module: nn.Module
    example: tuple[Tensor, ...]
    inputs: Axes
    outputs: Axes


def read_networks(segmentation: Path, embedding: Path) -> Iterator[Network]:
    """Of the folders of ``pyannote-segmentation-3.0`` and ``campplus``. Raises ``ModelUnavailable``."""
    finding, network = read_models(segmentation, embedding)
    many = {0: "batch"}
    sound, banks = torch.randn(2, _SAMPLES), torch.randn(2, _BANKS, BINS)
    frames, weights = torch.randn(2, 512, _FRAMES), torch.ones(2, _FRAMES)
    yield Network(Segmentation(finding), (sound,), {"sound": {**many, 1: "samples"}}, {"sets": {**many, 1: "frames"}})
    yield Network(Frames(network), (banks,), {"banks": {**many, 1: "banks"}}, {"frames": {**many, 2: "frames"}})
    yield Network(
        Pooling(network),
        (frames, weights),
        {"frames": {**many, 2: "frames"}, "weights": {**many, 1: "frames"}},
        {"embeddings": many},
    )


class Segmentation(nn.Module):
    """Sound (batch, samples) to the probability of each set of at most two of three voices, (batch, frames, 7)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, sound: Tensor) -> Tensor:
        sets: Tensor = self.network(sound.unsqueeze(1)).exp()
        return sets


class Frames(nn.Module):
    """Filterbank (batch, n, 80) to what CAM++ makes of each 20 ms, (batch, 512, n / 2)."""

    def __init__(self, network: CamPlusPlus) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> Tensor:
        return self.network.frames(features)


class Pooling(nn.Module):
    """Frames (rows, 512, n), each weighed by weights (rows, n), to embeddings (rows, 192)."""

    def __init__(self, network: CamPlusPlus) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, weights: Tensor) -> Tensor:
        return self.network.pooled(frames, weights)
