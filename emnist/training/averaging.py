"""Averages of a network's weights over the steps of training, which are evaluated in its place."""

import copy

import torch
from torch import Tensor, nn

from emnist.checks import Probability, construct
from emnist.errors import unknown


class MovingAverage:
    """The exponential moving average of a network's weights and batch-norm statistics (Polyak and Juditsky, 1992).

    After each step, average = decay × average + (1 - decay) × network; it starts as the fresh network. With `warmup`
    the decay of step t is at most (1 + t) / (10 + t), so that the first, bad weights are forgotten soon: the rule of
    TensorFlow's ExponentialMovingAverage. `steps` counts the updates.

    Own code, since torch's AveragedModel has one decay, and asks the GPU for its count in every step.
    """

    def __init__(self, network: nn.Module, decay: Probability, warmup: bool):
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay, self.warmup, self.steps = decay, warmup, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Add the network after a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps)) if self.warmup else self.decay
        pairs = zip(_tensors(self.network), _tensors(network), strict=True)
        floating: list[tuple[Tensor, Tensor]] = []
        for average, current in pairs:
            if average.is_floating_point():
                floating.append((average, current))
            else:
                average.copy_(current)  # the number of batches
        averages, currents = zip(*floating, strict=True)
        torch._foreach_lerp_(averages, currents, 1 - decay)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def build_average(network: nn.Module, name: str = "none", **arguments) -> MovingAverage | None:
    """The average of that name of `network`, or None. Raises UserError for invalid arguments."""
    if name == "none":
        return None
    if name != "ema":
        raise unknown("averaging.name", name, ["none", "ema"])
    return construct("averaging", MovingAverage, network, **arguments)
