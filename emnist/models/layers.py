"""The pieces the architectures share."""

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

LEAKY_SLOPE = 0.1  # the reference report's, for its CNN; used in every model


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
