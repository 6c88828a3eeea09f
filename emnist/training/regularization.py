from collections.abc import Callable

import torch
from torch import Tensor, nn

from emnist.checks import NonNegative, construct
from emnist.errors import unknown

PENALTIES: dict[str, Callable[[Tensor], Tensor]] = {
    "l1": lambda weight: weight.abs().sum(),
    "l2": lambda weight: weight.square().sum(),
}


class Penalty:
    """strength × Σ penalty(weight) over the weights of the linear and convolution layers of a network.

    Biases and batch norm have no penalty. Called without arguments; returns a scalar to add to the loss.
    """

    def __init__(self, penalty: Callable[[Tensor], Tensor], network: nn.Module, strength: NonNegative):
        self.penalty, self.strength = penalty, strength
        self.weights = [m.weight for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]

    def __call__(self) -> Tensor:
        return self.strength * torch.stack([self.penalty(weight) for weight in self.weights]).sum()


def build_penalty(network: nn.Module, name: str, strength: float) -> Penalty | None:
    """The penalty of that name on the weights of `network`, or None. Raises UserError for invalid arguments."""
    if name == "none":
        return None
    if name not in PENALTIES:
        raise unknown("regularization.name", name, ["none", *PENALTIES])
    return construct("regularization", Penalty, PENALTIES[name], network, strength=strength)
