"""Muon (Jordan et al., 2024): the hidden weights move by momentum whose singular values are made equal."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from emnist.checks import NonNegative, Probability

# Coefficients and number of iterations as in https://kellerjordan.github.io/posts/muon/
A, B, C = 3.4445, -4.7750, 2.0315
ITERATIONS = 5


class Muon(Optimizer):
    """Muon for the weights `hidden`, and `others`, an optimizer of the other parameters, as one optimizer.

    A convolution is the matrix [out, in × height × width]. With `nesterov` the momentum looks ahead; `weight_decay` is
    decoupled. The rate of a matrix with more rows than columns is multiplied by √(rows / columns). All that is as in
    torch.optim.Muon, which takes matrices only and no other optimizer beside it.
    """

    def __init__(
        self,
        hidden: Iterable[nn.Parameter],
        others: Optimizer,
        lr: NonNegative,
        momentum: Probability = 0.95,
        nesterov: bool = True,
        weight_decay: NonNegative = 0.0,
    ):
        super().__init__(hidden, {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay})
        self.others = others
        self.param_groups += others.param_groups
        self._share()

    def _share(self) -> None:
        """One state and the same groups for both, so that schedules and checkpoints see all parameters."""
        self.others.state, self.others.param_groups = self.state, self.param_groups[1:]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._share()

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group = self.param_groups[0]
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(weight.grad)
            average = state["momentum_buffer"].lerp_(weight.grad, 1 - group["momentum"])
            update = weight.grad.lerp(average, group["momentum"]) if group["nesterov"] else average
            matrix = orthogonalize(update.flatten(1))
            rate = group["lr"] * max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.add_(matrix.view_as(weight), alpha=-rate)
        self.others.step()
        return loss


def orthogonalize(matrix: Tensor) -> Tensor:
    """The nearest matrix with singular values of 1, roughly: bfloat16 [rows, columns], with values from 0.7 to 1.2.

    A Newton–Schulz iteration with coefficients for speed, in bfloat16, which is exact enough.
    """
    x = matrix.bfloat16()
    if tall := x.shape[0] > x.shape[1]:
        x = x.T
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    return x.T if tall else x


def split(parameters: Iterable[nn.Parameter]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The weights between the first and the last layer, and all other parameters, from those of a network in order."""
    known = list(parameters)
    hidden = [parameter for parameter in known if parameter.ndim > 1][1:-1]
    ids = set(map(id, hidden))
    return hidden, [parameter for parameter in known if id(parameter) not in ids]
