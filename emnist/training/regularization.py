from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from emnist.checks import NonNegative, construct
from emnist.errors import unknown


class Term(NamedTuple):
    value: Callable[[Tensor], Tensor]  # of all weights of a layer
    derivative: Callable[[Tensor], Tensor]  # by each of them


PENALTIES = {
    "l1": Term(lambda weight: weight.abs().sum(), torch.sign),
    "l2": Term(lambda weight: weight.square().sum(), lambda weight: 2 * weight),
}


class Penalty:
    """strength × Σ term(weight) over the weights of the linear and convolution layers of a network.

    Biases, batch norm and frozen weights have none. Called without arguments; returns a scalar to add to the loss.
    """

    def __init__(self, term: Term, network: nn.Module, strength: NonNegative):
        self.term, self.strength = term, strength
        kinds = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
        self.weights = [m.weight for m in network.modules() if isinstance(m, kinds)]

    def __call__(self) -> Tensor:
        terms = [self.term.value(weight) for weight in self.weights if weight.requires_grad]
        return self.strength * torch.stack(terms).sum()

    @torch.no_grad()
    def add_gradient(self) -> None:
        """Add the gradient of the penalty to that of the weights, without a backward pass."""
        for weight in self.weights:
            assert weight.grad is not None
            weight.grad.add_(self.term.derivative(weight), alpha=self.strength)


def build_penalty(network: nn.Module, name: str, strength: float) -> Penalty | None:
    """The penalty of that name on the weights of `network`, or None. Raises UserError for invalid arguments."""
    if name == "none":
        return None
    if name not in PENALTIES:
        raise unknown("regularization.name", name, ["none", *PENALTIES])
    return construct("regularization", Penalty, PENALTIES[name], network, strength=strength)
