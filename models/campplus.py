"""CAM++ as a torch network: what a voice sounds like, as 192 numbers to be compared by their cosine.

Source: Wang et al., "CAM++: a fast and efficient network for speaker verification using context-aware masking",
Interspeech 2023, whose names of layers the weights carry. Input is a log mel filterbank of 80 bins every 10 ms.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

BINS = 80
DIMENSION = 192
STRIDE = 2
"""Frames of the filterbank to one of the network."""
_GROWTH, _BOTTLENECK, _CHANNELS = 32, 128, 128
_BLOCKS = ((12, 1), (24, 2), (16, 2))
"""Layers and dilation of each dense block."""
_SEGMENT = 100
"""Frames that share one local context: two seconds."""
_LEAST_VARIANCE = 1e-10


class _Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut; ``stride`` is in frequency."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, (stride, 1), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, channels, 1, (stride, 1), bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(inner + self.shortcut(x))


class _Head(nn.Module):
    """(batch, bins, frames) to (batch, channels * bins / 8, frames)."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.layer1 = nn.Sequential(_Residual(channels, 2), _Residual(channels, 1))
        self.layer2 = nn.Sequential(_Residual(channels, 2), _Residual(channels, 1))
        self.conv2 = nn.Conv2d(channels, channels, 3, (2, 1), 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x.unsqueeze(1))))
        x = functional.relu(self.bn2(self.conv2(self.layer2(self.layer1(x)))))
        return x.flatten(1, 2)


def _normalised(channels: int) -> nn.Sequential:
    """Batch normalisation under the name that the weights have for it, then ReLU."""
    layers = nn.Sequential()
    layers.add_module("batchnorm", nn.BatchNorm1d(channels))
    layers.add_module("relu", nn.ReLU())
    return layers


class _ContextMask(nn.Module):
    """A convolution whose output is weighed by what the whole and its part of two seconds sound like."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(_BOTTLENECK, _GROWTH, 3, padding=dilation, dilation=dilation, bias=False)
        self.linear1 = nn.Conv1d(_BOTTLENECK, _BOTTLENECK // 2, 1)
        self.linear2 = nn.Conv1d(_BOTTLENECK // 2, _GROWTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = functional.avg_pool1d(x, _SEGMENT, _SEGMENT, ceil_mode=True)
        parts = parts.unsqueeze(-1).expand(-1, -1, -1, _SEGMENT).flatten(2)[..., : x.shape[-1]]
        context = functional.relu(self.linear1(x.mean(-1, keepdim=True) + parts))
        masked: Tensor = self.linear_local(x) * torch.sigmoid(self.linear2(context))
        return masked


class _DenseLayer(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _normalised(channels)
        self.linear1 = nn.Conv1d(channels, _BOTTLENECK, 1, bias=False)
        self.nonlinear2 = _normalised(_BOTTLENECK)
        self.cam_layer = _ContextMask(dilation)

    def forward(self, x: Tensor) -> Tensor:
        added = self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))
        return torch.cat((x, added), dim=1)


def _block(channels: int, layers: int, dilation: int) -> nn.Sequential:
    block = nn.Sequential()
    for number in range(layers):
        block.add_module(f"tdnnd{number + 1}", _DenseLayer(channels + number * _GROWTH, dilation))
    return block


class _Linear(nn.Module):
    """A convolution with normalisation before or after it, as the weights name them."""

    def __init__(self, convolution: nn.Conv1d, nonlinear: nn.Module, *, first: bool) -> None:
        super().__init__()
        self.linear = convolution
        self.nonlinear = nonlinear
        self._first = first

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear(self.nonlinear(x)) if self._first else self.nonlinear(self.linear(x))
        return result


class CamPlusPlus(nn.Module):
    """``frames``, then ``pooled``: voices of one piece of sound share the first, which is nearly all the cost."""

    def __init__(self) -> None:
        super().__init__()
        self.head = _Head()
        self.xvector = nn.Sequential()
        first = nn.Conv1d(32 * BINS // 8, _CHANNELS, 5, STRIDE, 2, bias=False)
        self._add("tdnn", _Linear(first, _normalised(_CHANNELS), first=False))
        channels = _CHANNELS
        for number, (layers, dilation) in enumerate(_BLOCKS, 1):
            self._add(f"block{number}", _block(channels, layers, dilation))
            channels += layers * _GROWTH
            halving = nn.Conv1d(channels, channels // 2, 1, bias=False)
            self._add(f"transit{number}", _Linear(halving, _normalised(channels), first=True))
            channels //= 2
        self._add("out_nonlinear", _normalised(channels))
        self.dense = nn.Conv1d(2 * channels, DIMENSION, 1, bias=False)
        self.normal = nn.BatchNorm1d(DIMENSION, affine=False)

    def _add(self, name: str, part: nn.Module) -> None:
        self.xvector.add_module(name, part)

    @classmethod
    def load(cls, state: dict[str, Tensor]) -> "CamPlusPlus":
        """The network with the published weights."""
        network = cls()
        moved = {"xvector.dense.linear.": "dense.", "xvector.dense.nonlinear.batchnorm.": "normal."}
        ours = {_moved(name, moved): values for name, values in state.items()}
        network.load_state_dict(ours)
        return network.eval()

    def frames(self, features: Tensor) -> Tensor:
        """``features`` (batch, frames, 80), each bin less its mean over time, to (batch, 512, frames / 2)."""
        result: Tensor = self.xvector(self.head(features.transpose(1, 2)))
        return result

    def pooled(self, frames: Tensor, weights: Tensor) -> Tensor:
        """Embeddings (batch, 192) of ``frames`` (batch, 512, n), each weighed by ``weights`` (batch, n), at least 0."""
        weights = weights.unsqueeze(1)
        total = weights.sum(-1).clamp_min(1e-8)
        mean = (frames * weights).sum(-1) / total
        # Unbiased for weights that count how reliable a frame is.
        freedom = (total - weights.square().sum(-1) / total).clamp_min(1e-8)
        variance = ((frames - mean.unsqueeze(-1)).square() * weights).sum(-1) / freedom
        statistics = torch.cat((mean, variance.clamp_min(_LEAST_VARIANCE).sqrt()), dim=1)
        embedding: Tensor = self.normal(self.dense(statistics.unsqueeze(-1)).squeeze(-1))
        return embedding


def _moved(name: str, moved: Mapping[str, str]) -> str:
    for beginning, ours in moved.items():
        if name.startswith(beginning):
            return ours + name.removeprefix(beginning)
    return name
