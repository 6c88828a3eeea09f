"""The pieces the architectures share."""

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from emnist.errors import choose

LEAKY_SLOPE = 0.1  # the report's, for its CNN; taken for every model


class Activation(NamedTuple):
    build: Callable[[], nn.Module]
    gain: float  # 1 / √E[f(z)²] for z ~ N(0, 1): weights scaled by it keep the variance from layer to layer


ACTIVATIONS = {
    "relu": Activation(lambda: nn.ReLU(inplace=True), 2**0.5),
    "elu": Activation(lambda: nn.ELU(inplace=True), 1.2453),  # E = 1 - 2√e Φ(-1) + e² Φ(-2) = 0.6449
    "leaky": Activation(lambda: nn.LeakyReLU(LEAKY_SLOPE, inplace=True), (2 / (1 + LEAKY_SLOPE**2)) ** 0.5),
}


def find_activation(name: str) -> Activation:
    if name not in ACTIVATIONS:
        raise choose("model.activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def initialize(network: nn.Module, activation: str) -> None:
    """Normal weights of variance gain² / fan_in, zero biases (He et al., 2015, for each activation's own gain).

    The last linear layer, which no activation follows, has gain 1.
    """
    gain = find_activation(activation).gain
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    for layer in layers:
        fan_in = layer.weight[0].numel()
        nn.init.normal_(layer.weight, std=(1 if layer is layers[-1] else gain) / fan_in**0.5)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def conv_norm(channels_in: int, channels_out: int, kernel_size: int, stride: int, batch_norm: bool) -> nn.Sequential:
    """Convolution of the same padding, then batch norm, whose shift replaces the convolution's bias.

    Shapes: [B, channels_in, H, W] → [B, channels_out, ⌈H / stride⌉, ⌈W / stride⌉].
    """
    conv = nn.Conv2d(channels_in, channels_out, kernel_size, stride, kernel_size // 2, bias=not batch_norm)
    return nn.Sequential(conv, nn.BatchNorm2d(channels_out)) if batch_norm else nn.Sequential(conv)
