from collections.abc import Callable

import torch
from torch import Tensor, nn

from emnist.checks import number
from emnist.errors import choose

PENALTIES: dict[str, Callable[[Tensor], Tensor]] = {
    "l1": lambda weight: weight.abs().sum(),
    "l2": lambda weight: weight.square().sum(),
}


class Penalty:
    """strength × Σ penalty(weight) over the weights of the linear and convolution layers of a network.

    Biases and batch norm are left alone. Called without arguments; returns a scalar to add to the loss.
    """

    def __init__(self, name: str, strength: float, network: nn.Module):
        if name not in PENALTIES:
            raise choose("regularization.name", name, ["none", *PENALTIES])
        self.penalty, self.strength = PENALTIES[name], number("regularization.strength", strength)
        self.weights = [m.weight for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]

    def __call__(self) -> Tensor:
        return self.strength * torch.stack([self.penalty(weight) for weight in self.weights]).sum()


def build_penalty(network: nn.Module, name: str, strength: float) -> Penalty | None:
    """The penalty of that name on the weights of `network`, or None."""
    return None if name == "none" else Penalty(name, strength, network)
