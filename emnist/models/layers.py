"""The pieces the architectures share."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ImageShape = tuple[int, int, int]  # channels, height, width
GREY_28: ImageShape = (1, 28, 28)  # EMNIST's

LEAKY_SLOPE = 0.1  # the reference report's, for its CNN; used in every model


class ELU(nn.Module):
    """As nn.ELU, to within 1e-7.

    On a CPU, torch computes exp(x) - 1 with `expm1`, which takes ten times as long as `exp`: a quarter of the time of
    a step of the MLP.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return F.elu(x)
        return FastELU.apply(x) if self.training else _elu(x)


class FastELU(torch.autograd.Function):
    """ELU with torch's own derivative, in terms of the output."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        y = _elu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return torch.ops.aten.elu_backward(gradient, 1.0, 1.0, 1.0, True, *ctx.saved_tensors)


def _elu(x: Tensor) -> Tensor:
    negative = x.float().clamp_max(0).exp().sub(1)  # in 32-bit, since exp(x) is near 1
    return torch.maximum(x, negative.to(x.dtype))


class Activation(NamedTuple):
    build: Callable[[], nn.Module]
    gain: float  # 1 / √E[f(z)²] for z ~ N(0, 1): weights scaled by it keep the variance from layer to layer


ACTIVATIONS = {
    "relu": Activation(lambda: nn.ReLU(inplace=True), 2**0.5),
    "elu": Activation(ELU, 1.2453),  # E = 1 - 2√e Φ(-1) + e² Φ(-2) = 0.6449
    "leaky": Activation(lambda: nn.LeakyReLU(LEAKY_SLOPE, inplace=True), (2 / (1 + LEAKY_SLOPE**2)) ** 0.5),
}


class Dropout(nn.Module):
    """As nn.Dropout, for float [B, neurons] or [B, channels, H, W], with the masks of `keep_masks`."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        last = x.movedim(1, -1)  # channels last in memory, as those of feature maps are in training
        shape = (x.shape[1], x.shape[0]) if x.ndim == 2 else (last[..., 0].numel(), x.shape[1])
        (mask,) = keep_masks(1, shape, [self.p], x.device)
        mask = mask.t() if x.ndim == 2 else mask.view(last.shape).movedim(-1, 1)
        return x * mask.to(x.dtype).mul_(1 / (1 - self.p))


def keep_masks(
    count: int,
    shape: tuple[int, int],
    p: Sequence[float],
    device: torch.device,
    generators: Sequence[torch.Generator | None] = (None,),
) -> Tensor:
    """True with probability 1 - p, to within 2^-17: bool [count, *shape], each mask with its own p and generator.

    Four numbers of 16 bits are drawn at once, which on two cores takes a tenth of the time of torch's own masks;
    with those, two layers of dropout took 30% of a step of the MLP, and one 25% of a block of WaveMix-Lite.
    """
    size = shape[0] * shape[1]
    numbers = torch.empty(count, -(-size // 4), dtype=torch.int64, device=device)
    for own, generator in zip(numbers, generators, strict=True):
        own.random_(-(2**63), None, generator=generator)
    limits = [min(round(one * 2**16), 2**16 - 1) - 2**15 for one in p]
    # A tensor is copied to the device, which waits for it, and no CUDA graph can be captured with such a copy.
    limit = limits[0] if count == 1 else torch.tensor(limits, dtype=torch.int16, device=device).unsqueeze(1)
    return (numbers.view(torch.int16)[:, :size] >= limit).view(count, *shape)


def find_activation(name: str) -> Activation:
    if name not in ACTIVATIONS:
        raise ValueError(f"activation={name}: unknown; choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def initialize(network: nn.Module, activation: str, batch_norm: bool) -> None:
    """Normal weights of variance gain² / fan_in, zero biases (He et al., 2015, with each activation's own gain).

    Batch norm undoes the scale of the weights before it, which then merely divides the learning rate (van
    Laarhoven, 2017). Weights as small as torch's own, 1/√6 of He's, suit the learning rates of the reference report
    better: on fold 0 of a quarter of EMNIST Balanced, one run each, validation accuracy rose by 3 points for its
    best MLP and by 1 for its best CNN. The last layer starts at zero, so every class is equally likely.
    """
    gain = find_activation(activation).gain / (6**0.5 if batch_norm else 1)
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    for layer in layers:
        nn.init.normal_(layer.weight, std=gain / layer.weight[0].numel() ** 0.5)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    nn.init.zeros_(layers[-1].weight)


def conv_norm(channels_in: int, channels_out: int, kernel_size: int, stride: int, batch_norm: bool) -> nn.Sequential:
    """Convolution of the same padding, then batch norm, whose shift replaces the convolution's bias.

    Shapes: [B, channels_in, H, W] → [B, channels_out, ⌈H / stride⌉, ⌈W / stride⌉].
    """
    conv = nn.Conv2d(channels_in, channels_out, kernel_size, stride, kernel_size // 2, bias=not batch_norm)
    return nn.Sequential(conv, nn.BatchNorm2d(channels_out)) if batch_norm else nn.Sequential(conv)
