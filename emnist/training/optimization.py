"""Optimizers and schedulers by their names in torch: a file in conf/ is all that a new one takes."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from emnist.checks import number
from emnist.errors import UserError


def build_optimizer(parameters: Iterable[torch.nn.Parameter], name: str, **arguments) -> Optimizer:
    """The class `name` of torch.optim with these arguments, or UserError."""
    if "lr" in arguments:
        number("optimizer.lr", arguments["lr"])
    return _build("optimizer", torch.optim, name, Optimizer, parameters, arguments)


def build_scheduler(optimizer: Optimizer, name: str | None, **arguments) -> LRScheduler | None:
    """The class `name` of torch.optim.lr_scheduler with these arguments, None for none, or UserError."""
    if name is None:
        return None
    parts = "scheduler", torch.optim.lr_scheduler, name, LRScheduler
    # A trial on another optimizer, since some wrong values show only after an epoch.
    trial = _build(*parts, torch.optim.SGD([torch.zeros(1)], lr=1.0), arguments)
    try:
        trial.optimizer.step()
        trial.step(*[0.0] if isinstance(trial, ReduceLROnPlateau) else [])
    except Exception as error:
        raise _refused("scheduler", name, arguments, error) from error
    return _build(*parts, optimizer, arguments)


def _build(group: str, module, name: str, kind: type, subject: Any, arguments: dict) -> Any:
    found = getattr(module, str(name), None)
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise UserError(f"{group}.name={name}: no such class in {module.__name__}")
    build: Any = found
    try:
        return build(subject, **arguments)
    except Exception as error:  # torch has a dozen ways to refuse a value
        raise _refused(group, name, arguments, error) from error


def _refused(group: str, name: str, arguments: dict, error: Exception) -> UserError:
    given = ", ".join(f"{group}.{key}={value}" for key, value in arguments.items())
    return UserError(f"{group}.name={name} doesn't take {given} ({' '.join(str(error).split())})")
