"""Start from a trained network: copy its weights, keep parts of it as they are, train parts at other rates."""

import hashlib
import json
import math
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from emnist.checks import Index, NonNegative, construct
from emnist.errors import UserError
from emnist.inference.load import TrainedClassifier, classifier_in, read_checkpoint
from emnist.runs.folder import RunFolder
from emnist.training.optimization import build_optimizer

HELD_OUT = ("fold", "folds", "fold_seed", "groups")  # keys of `data` that say which images are held out
FREE = {"dropout"}  # keys of `model` that may differ from the trained network's: they have no weights


@dataclass(frozen=True)
class Source:
    """A trained network to start from."""

    classifier: TrainedClassifier
    model: dict[str, Any]  # its configuration
    origin: dict[str, Any]  # run, sha256 and epoch


class FineTuning:
    """Starts a network with the weights of a trained one, and says which parts of it are trained when, and how fast.

    The head is always trained, at the rate of the optimizer. With `head` auto, a class that the trained network knows
    by the same name starts with its row of weights; all other rows are new. `lr_factor` is one factor on the rate of
    all blocks below the head, or one per block, from the input on.

    With `freeze` features these blocks stay as they are: their weights are fixed, and they compute as in evaluation,
    without dropout and with the running statistics of their batch norm. After `unfreeze_epoch` epochs they are trained,
    too, from the head downwards, one more every `unfreeze_every` epochs, or all at once with 0 (gradual unfreezing,
    Howard and Ruder, 2018).

    `run` and `sha256` are those of `source`. Raises ValueError for values that don't suit the network.
    """

    def __init__(
        self,
        network: nn.Module,
        classes: tuple[str, ...],
        source: Source,
        run: str,
        sha256: str,
        head: Literal["auto", "new"] = "auto",
        freeze: Literal["none", "features"] = "none",
        lr_factor: NonNegative | list[NonNegative] = 1,
        unfreeze_epoch: Index | None = None,
        unfreeze_every: Index = 1,
    ):
        self.network = network
        features = self.features
        self.lr_factors = lr_factor if isinstance(lr_factor, list) else [lr_factor] * len(features)
        if len(self.lr_factors) != len(features):
            raise ValueError(
                f"lr_factor={lr_factor}: {len(self.lr_factors)} values for {len(features)} blocks below the head; "
                "give one number, or one per block"
            )
        if unfreeze_epoch is not None and freeze == "none":
            raise ValueError(f"unfreeze_epoch={unfreeze_epoch}: nothing is frozen; add init.freeze=features")
        if unfreeze_epoch is None and unfreeze_every != 1:
            raise ValueError(f"unfreeze_every={unfreeze_every}: nothing is unfrozen; add init.unfreeze_epoch")
        self.freeze, self.unfreeze_epoch, self.unfreeze_every = freeze, unfreeze_epoch, unfreeze_every
        *trained, trained_head = cast(Any, source.classifier.network).blocks
        for block, own in zip(trained, features, strict=True):
            # In their order: dropout, which may differ, counts in the names of an MLP's layers.
            for value, tensor in zip(block.state_dict().values(), own.state_dict().values(), strict=True):
                if value.shape != tensor.shape:
                    raise ValueError(f"run={run}: its network takes images of another size or number of channels")
                tensor.copy_(value)
        old, new = _linear(trained_head), _linear(self.head)
        names = source.classifier.classes if head == "auto" and old.in_features == new.in_features else ()
        self.known = [name for name in classes if name in names]  # classes that keep their row
        here, there = [classes.index(name) for name in self.known], [names.index(name) for name in self.known]
        if self.known:
            with torch.no_grad():
                new.weight[here], new.bias[here] = old.weight[there], old.bias[there]

    @property
    def features(self) -> list[nn.Module]:
        """The blocks below the head, from the input on; anew each time, since sync_batchnorm exchanges layers."""
        return cast(Any, self.network).blocks[:-1]

    @property
    def head(self) -> nn.Module:
        return cast(Any, self.network).blocks[-1]

    def build_optimizer(self, **arguments) -> Optimizer:
        """One group of parameters per block, the head's first; those of frozen blocks get no gradient."""
        blocks = [self.head, *self.features]
        optimizer = build_optimizer([{"params": list(block.parameters())} for block in blocks], **arguments)
        for group, factor in zip(optimizer.param_groups, [1, *self.lr_factors], strict=True):
            group["lr"] *= factor
        return optimizer

    def check_rates(self, optimizer: Optimizer, scheduler: str | None) -> None:
        """Raises UserError if the scheduler of that name has set other rates than those that `lr_factor` asks for."""
        head, *rates = [group["lr"] for group in optimizer.param_groups]
        for rate, factor in zip(rates, self.lr_factors, strict=True):
            if not math.isclose(rate, factor * head):
                raise UserError(
                    f"init.lr_factor={factor}: scheduler.name={scheduler} has one learning rate for all parts"
                )

    def begin_epoch(self, epoch: int) -> None:
        """Freeze and unfreeze for an epoch; epochs count from 0."""
        features = self.features
        frozen = len(features) - self.trained_blocks(epoch)
        for i, block in enumerate(features):
            block.requires_grad_(i >= frozen).train(i >= frozen)

    def trained_blocks(self, epoch: int) -> int:
        """How many blocks below the head are trained."""
        if self.freeze == "none":
            return len(self.features)
        if self.unfreeze_epoch is None or epoch < self.unfreeze_epoch:
            return 0
        if self.unfreeze_every == 0:
            return len(self.features)
        return min(1 + (epoch - self.unfreeze_epoch) // self.unfreeze_every, len(self.features))


def find_source(init: dict[str, Any], last: Path | None = None) -> Source:
    """The trained network that `init.run` names; `init` gets its absolute path and its sha256.

    If `last` exists, the run is resumed from this checkpoint of its own and needs the other no more. Raises UserError
    if there is no network, or another than the one with `init.sha256`.
    """
    if last is not None and last.exists():
        checkpoint, source = _read(last)
        origin = checkpoint["about"]["init"]
        init |= {"run": origin["run"], "sha256": origin["sha256"]}  # a study's job comes without the latter
        return replace(source, origin=origin)
    source = find_network(init.get("run"), "init.run")
    run, sha256 = init["run"], source.origin["sha256"]
    if init.get("sha256") not in (None, sha256):
        raise UserError(f"init.run={run}: not the network with init.sha256={init['sha256']}, but that with {sha256}")
    init |= {"run": os.path.abspath(Path(run).expanduser()), "sha256": sha256}
    return replace(source, origin={**source.origin, "run": init["run"]})


def find_network(run: object, key: str) -> Source:
    """The best network of the run, or that in the checkpoint, with this path. Raises UserError, naming the key."""
    path = _checkpoint_of(run, key)
    _, source = _read_once(path, (path.stat().st_mtime_ns, path.stat().st_size))
    return source


def fine_tuning(
    network: nn.Module, model: dict[str, Any], classes: tuple[str, ...], source: Source, init: dict[str, Any]
) -> FineTuning:
    """The fresh network, with configuration `model`, started from `source` as `init` says.

    Raises UserError if the networks differ in more than their head, or if a key of `init` is invalid.
    """
    check_model(model, source.model, source.origin["run"])
    return construct("init", FineTuning, network, classes, source, **init)


def holds_out_the_same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two configurations of `data`, for the same images, hold out the same ones for validation."""
    return all(a.get(key) == b.get(key) for key in HELD_OUT)


def seen_in_training(source: Source, data: dict[str, Any], fingerprint: str) -> str | None:
    """A warning if the network of `source` was trained on images of the fold that `data` holds out for validation.

    Known where the source is the folder of a finished run on the same images, those of `fingerprint`.
    """
    run = source.origin["run"]
    result = RunFolder(run).read_result() if Path(run).is_dir() else None
    if result is None or data["fold"] is None or result.data.fingerprint != fingerprint:
        return None
    if holds_out_the_same(result.config["data"], data):
        return None
    wanted = " ".join(f"data.{key}={data[key]}" for key in HELD_OUT if key in data)
    return (
        f"init.run={run}: trained on images of the fold held out here, so the validation accuracy is too high;"
        f" start from a run with {wanted}, or on other images"
    )


def _linear(head: nn.Module) -> nn.Linear:
    """The last layer."""
    return [module for module in head.modules() if isinstance(module, nn.Linear)][-1]


def check_model(model: dict[str, Any], trained: dict[str, Any], run: object) -> None:
    """Raises UserError if `model` is another network than the `trained` one of `run`, apart from head and dropout."""
    keys = [key for key in model.keys() | trained.keys() if key not in FREE]
    differing = [key for key in sorted(keys) if model.get(key) != trained.get(key)]
    if "name" in differing:
        differing = ["name"]
    if differing:
        needed = " ".join(_override(key, trained.get(key)) for key in differing)
        given = ", ".join(_override(key, model.get(key)) for key in differing)
        raise UserError(f"init.run={run}: its network has {needed}, not {given}; they may differ in the head only")


def _override(key: str, value: object) -> str:
    """As it is written on the command line: model=cnn, model.filters=[32,64]."""
    if key == "name":
        return f"model={value}"
    return f"model.{key}={value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}"


def _checkpoint_of(run: object, key: str) -> Path:
    if not isinstance(run, str) or not run or run == "???":
        example = "init=outputs/cnn/…" if key == "init.run" else f"{key}=[outputs/cnn/…]"
        raise UserError(f"{key} is missing: give the folder of a trained run, as in {example}")
    path = Path(run).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f"{key}={run}: no such folder or file; give a trained run, such as outputs/cnn/…")
    best = RunFolder(path).best
    if not best.is_file():
        raise UserError(f"{key}={run}: not the folder of a run with a finished epoch ({best} is missing)")
    return best


def _read(path: Path) -> tuple[dict[str, Any], Source]:
    checkpoint = read_checkpoint(path)
    classifier = classifier_in(checkpoint, path)
    origin = {"run": str(path), "sha256": _sha256(classifier), "epoch": checkpoint["epoch"] + 1}
    return checkpoint, Source(classifier, checkpoint["about"]["model"], origin)


@lru_cache(maxsize=8)  # the jobs of a multirun start from the same, the cells of a study from a few by turns
def _read_once(path: Path, stamp: tuple[int, int]) -> tuple[dict[str, Any], Source]:
    return _read(path)


def _sha256(classifier: TrainedClassifier) -> str:
    """Of all that a run takes from the network: its weights, its classes and its normalisation."""
    about = [classifier.classes, classifier.mean, classifier.std]
    digest = hashlib.sha256(json.dumps(about).encode())
    state: dict[str, Tensor] = classifier.network.state_dict()
    for tensor in state.values():
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
