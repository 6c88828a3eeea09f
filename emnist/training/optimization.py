"""Optimizers and schedulers by their names in torch: a new one of torch's needs a file in conf/ and no code."""

from collections.abc import Iterable
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from emnist.checks import STRICT, NonNegative, construct, validate
from emnist.errors import UserError
from emnist.training.muon import Muon, split

LENGTHS = ("T_max", "step_size", "total_steps")  # arguments of schedulers that are numbers of epochs


class Stepping(BaseModel):
    model_config = STRICT

    interval: Literal["epoch", "step"] = "epoch"


class OptimizerArguments(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)  # torch checks the others

    lr: NonNegative | None = None


def build_optimizer(
    parameters: Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]], name: str, **arguments
) -> Optimizer:
    """The class `name` of torch.optim for parameters, or groups of them, with these arguments.

    Muon is our own, for the parameters of a network in their order, with `others`, the arguments of the optimizer of
    those that it is not for. Raises UserError if the class does not accept the arguments.
    """
    if name == "Muon":
        return _muon(parameters, **arguments)
    return _optimizer("optimizer", parameters, name, arguments)


def _muon(parameters: Iterable[Any], others: dict[str, Any] | None = None, **arguments) -> Muon:
    known = list(parameters)
    if isinstance(known[0], dict):
        raise UserError("optimizer.name=Muon: not with init, whose parts have groups of their own; choose another")
    if not isinstance(others, dict) or "name" not in others:
        raise UserError(f"optimizer.others={others}: give the name and the arguments of an optimizer")
    hidden, rest = split(known)
    if not hidden:
        raise UserError("optimizer.name=Muon: the network has no weights between its first and its last layer")
    arguments_of_others = {key: value for key, value in others.items() if key != "name"}
    beside = _optimizer("optimizer.others", rest, others["name"], arguments_of_others)
    return construct("optimizer", Muon, hidden, beside, **arguments)


def _optimizer(group: str, parameters: Iterable[Any], name: str, arguments: dict[str, Any]) -> Optimizer:
    validate(OptimizerArguments, arguments, f"{group}.")
    return _build(group, torch.optim, name, Optimizer, parameters, arguments)


def build_scheduler(
    optimizer: Optimizer, name: str | None, interval: str = "epoch", steps: int = 1, **arguments
) -> LRScheduler | None:
    """The class `name` of torch.optim.lr_scheduler with these arguments, None without a name.

    With `interval` step it is stepped after each of the `steps` of an epoch, and the arguments in LENGTHS, which are
    numbers of epochs, are multiplied by them. The highest rates of OneCycleLR are those of the optimizer.

    Raises UserError if it does not accept the arguments.
    """
    validate(Stepping, {"interval": interval}, "scheduler.")
    if name is None:
        return None
    if interval == "step":
        if name == "ReduceLROnPlateau":
            raise UserError("scheduler.interval=step: ReduceLROnPlateau watches a loss that is known once an epoch")
        arguments |= {key: steps * arguments[key] for key in LENGTHS if isinstance(arguments.get(key), int)}
    parts = "scheduler", torch.optim.lr_scheduler, name, LRScheduler
    # A trial step on another optimizer, since some invalid values raise only there.
    trial = _build(*parts, torch.optim.SGD([torch.zeros(1)], lr=1.0), _with_peak(name, [1.0], arguments))
    try:
        trial.optimizer.step()
        trial.step(*[0.0] if isinstance(trial, ReduceLROnPlateau) else [])
    except Exception as error:
        raise _refused("scheduler", name, arguments, error) from error
    return _build(*parts, optimizer, _with_peak(name, [group["lr"] for group in optimizer.param_groups], arguments))


def _with_peak(name: str, rates: list[float], arguments: dict[str, Any]) -> dict[str, Any]:
    return {"max_lr": rates, **arguments} if name == "OneCycleLR" else arguments


def _build(group: str, module, name: str, kind: type, subject: Any, arguments: dict) -> Any:
    found = getattr(module, str(name), None)
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise UserError(f"{group}.name={name}: no such class in {module.__name__}")
    build: Any = found
    try:
        return build(subject, **arguments)
    except Exception as error:  # torch raises various exceptions for invalid values
        raise _refused(group, name, arguments, error) from error


def _refused(group: str, name: str, arguments: dict, error: Exception) -> UserError:
    given = ", ".join(f"{group}.{key}={value}" for key, value in arguments.items())
    return UserError(f"{group}.name={name} does not accept {given} ({' '.join(str(error).split())})")
