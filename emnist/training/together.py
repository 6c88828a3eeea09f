"""Train several MLPs of one shape at once, on stacked weights, so that every layer is one batched matmul.

A step of one MLP is mostly overhead. Each run keeps its own images, order of batches, dropout, schedule, penalty and
early stopping, and leaves the files that it would leave alone: each step is equal but for the last bits of rounding.
"""

import time
from collections.abc import Callable, Sequence
from typing import cast

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from emnist.data.augmentation import Mixing
from emnist.data.batches import EVALUATION_BATCH, Batches, with_channels
from emnist.inference.load import read_checkpoint
from emnist.models.mlp import MLP
from emnist.models.stacked import StackedMLP
from emnist.runs.folder import RunFolder
from emnist.runs.result import DIVERGED
from emnist.training.checkpoints import AtomicCheckpointIO, early_stopping, resumable_checkpoint, weights_checkpoint
from emnist.training.fit import Training, finish
from emnist.training.hardware import choose_precision


class Member:
    """One of the runs that are trained together."""

    def __init__(self, training: Training, device: torch.device):
        self.training, self.device, self.recorder = training, device, training.recorder
        self.classifier = training.classifier.to(device)
        assert self.classifier.average is None  # trained alone
        assert self.classifier.teachers is None  # likewise
        training.data.place(device)
        self.batches = training.data.train_batches(lambda: self.epochs)
        self.classifier.start_schedule(len(self.batches))
        self.evaluated = dict(zip(training.data.evaluated, training.data.val_dataloader(), strict=True))
        self.generator = torch.Generator(device)  # of dropout
        self.max_epochs: int = training.config["trainer"]["max_epochs"]
        self.patience: int | None = training.config["patience"] if "val" in self.evaluated else None
        self.diverged = False
        self.error: Exception | None = None
        if self.recorder.folder.last.exists():
            self.resume()

    @property
    def epochs(self) -> int:
        """Finished so far."""
        return len(self.recorder.rows)

    @property
    def lr(self) -> float:
        return self.classifier.optimizer.param_groups[0]["lr"]

    @property
    def stopped(self) -> str | None:
        """Why training is over, if it is."""
        if self.error is not None:
            return "failed"
        if self.diverged:
            return DIVERGED
        return self.recorder.stopped or ("max_epochs" if self.epochs >= self.max_epochs else None)

    def resume(self) -> None:
        """Continue from last.ckpt, whether it was written here or by Lightning."""
        checkpoint = read_checkpoint(self.recorder.folder.last, self.device)
        self.classifier.load_state_dict(checkpoint["state_dict"])
        self.classifier.optimizer.load_state_dict(checkpoint["optimizer_states"][0])
        self.classifier.on_load_checkpoint(checkpoint)
        self.recorder.load_state_dict(checkpoint["callbacks"][self.recorder.state_key])
        self.recorder.logger.info("resumed after epoch %d", self.epochs)

    def step(self) -> None:
        """One step of the optimizer, with the gradient of the penalty added to that of the loss."""
        if self.classifier.penalty is not None:
            self.classifier.penalty.add_gradient()
        self.classifier.optimizer.step()
        self.classifier.end_step()

    def is_finite(self) -> bool:
        return all(bool(tensor.isfinite().all()) for tensor in self.classifier.network.state_dict().values())

    def end_epoch(self, metrics: dict[str, float], lr: float, seconds: float, train_seconds: float) -> None:
        """Schedule, early stopping, and all that a run writes after an epoch."""
        recorder, folder, classifier = self.recorder, self.recorder.folder, self.classifier
        classifier.step_scheduler(metrics.get("val_loss", metrics["train_loss"]))
        callbacks: list[Callback] = [recorder]
        stop = False
        if self.patience is not None:
            accuracies = [row["val_accuracy"] for row in (*recorder.rows, metrics)]
            stopping = early_stopping(self.patience, accuracies)
            stop = stopping.wait_count >= self.patience
            callbacks.insert(0, stopping)
        recorder.train_seconds += train_seconds
        recorder.images += self.batches.samples
        improved = recorder.add_epoch(metrics, lr, seconds, stop, self.max_epochs)
        recorder.tensorboard.log_epoch(self.epochs, metrics, lr, seconds)
        steps, checkpoints = len(self.batches), AtomicCheckpointIO()
        if improved:
            checkpoints.save_checkpoint(weights_checkpoint(classifier, self.epochs, steps), folder.best)
        folder.write_metrics(recorder.rows)
        checkpoints.save_checkpoint(resumable_checkpoint(classifier, self.epochs, steps, callbacks), folder.last)


def train_together(members: Sequence[Member], fail: Callable[[RunFolder, Exception], None]) -> None:
    """Train runs until each has a result; `fail` is told of those that can't write theirs.

    They have one loss. They differ in fold, seed, learning rate, schedule, dropout, penalty, augmentation and patience
    at most.
    """
    left, device = list(members), members[0].device
    trainer = members[0].training.config["trainer"]
    precision = choose_precision(trainer["precision"], trainer["accelerator"])
    stack: StackedMLP | None = None
    clock = time.perf_counter()
    while left:
        over = [member for member in left if member.stopped is not None]
        for member in over:
            try:
                if member.error is not None:
                    raise member.error
                finish(member.training, str(member.stopped), device, precision, together=len(members))
            except Exception as error:
                fail(member.recorder.folder, error)
        if over or stack is None:
            left = [member for member in left if member not in over]
            networks = [cast(MLP, member.classifier.network) for member in left]
            stack = StackedMLP(networks, [member.generator for member in left]) if left else None
        if stack is not None:
            clock = train_epoch(left, stack, precision, clock)


def train_epoch(members: Sequence[Member], stack: StackedMLP, precision: str, clock: float) -> float:
    """One epoch of all members, recorded; `clock` and the value returned are when an epoch ended, in seconds."""
    start = time.perf_counter()
    rates = [member.lr for member in members]
    loaders = {name: [member.evaluated[name] for member in members] for name in members[0].evaluated}
    # The cache of autocast would keep the weights of the first step for the whole epoch.
    with torch.autocast(members[0].device.type, torch.bfloat16, precision == "bf16-mixed", cache_enabled=False):
        outputs = {"train": train(members, stack)}
        trained = time.perf_counter()
        outputs = {name: evaluate(batches, stack) for name, batches in loaders.items()} | outputs
    now = time.perf_counter()
    seconds, train_seconds = (now - clock) / len(members), (trained - start) / len(members)
    for i, (member, lr) in enumerate(zip(members, rates, strict=True)):
        metrics: dict[str, float] = {}
        for name, (logits, labels) in outputs.items():
            values = member.classifier.metrics(logits[i], labels[i])
            metrics |= {f"{name}_{metric}": value for metric, value in values.items()}
        if member.is_finite() and all(torch.tensor([metrics["train_loss"], metrics.get("val_loss", 0.0)]).isfinite()):
            try:
                member.end_epoch(metrics, lr, seconds, train_seconds)
            except Exception as error:  # such as a folder that can't be written
                member.error = error
        else:
            member.diverged = True
            member.recorder.seconds += seconds
    return now


def train(members: Sequence[Member], stack: StackedMLP) -> tuple[Tensor, Tensor]:
    """The steps of an epoch. Returns the logits [G, N, classes] of all steps, and the labels [G, N]."""
    stack.train()
    batches, loss = [member.batches for member in members], members[0].classifier.loss
    maps = [member.batches.augmentation_generator() for member in members]
    for member in members:
        member.generator.manual_seed(member.classifier.dropout_seed(member.epochs))
    outputs: list[tuple[Tensor, Tensor]] = []
    for index in torch.stack([loader.order() for loader in batches]).split(batches[0].batch_size, dim=1):
        images, labels = gather(batches, index, maps)
        logits = stack(images).float()
        # The mean of each network, added up: the gradient of one has no part of the others' losses.
        loss(logits.flatten(0, 1), labels.flatten(), reduction="sum").div(labels.shape[1]).backward()
        stack.share_gradients()
        for member in members:
            member.step()
        outputs.append((logits.detach(), labels))
    return together(outputs)


@torch.no_grad()
def evaluate(batches: Sequence[Batches], stack: StackedMLP) -> tuple[Tensor, Tensor]:
    """Logits [G, N, classes] and labels [G, N] of a set for each network."""
    stack.eval()
    outputs: list[tuple[Tensor, Tensor]] = []
    for index in torch.stack([loader.order() for loader in batches]).split(EVALUATION_BATCH, dim=1):
        images, labels = gather(batches, index)
        outputs.append((stack(images).float(), labels))
    return together(outputs)


def gather(batches: Sequence[Batches], index: Tensor, maps: Sequence[torch.Generator] = ()) -> tuple[Tensor, Tensor]:
    """Normalised images float [G, B, pixels], labels [G, B] at `index` [G, B], augmented by `maps` if there are any."""
    images, labels = batches[0].images, batches[0].labels
    x = with_channels(images.index_select(0, index.flatten())).float().unflatten(0, index.shape)
    for one, loader, generator in zip(x, batches, maps, strict=False):
        assert not isinstance(loader.augmentation, Mixing)  # those are trained alone
        if loader.augmentation is not None:
            with torch.autocast(x.device.type, enabled=False):  # maps in bf16 are up to 30 levels of grey off
                one.copy_(loader.augmentation(one, generator))
    moments = torch.tensor([(loader.mean, loader.std) for loader in batches], device=x.device)
    mean, std = moments.view(len(batches), 2, 1, -1, 1, 1).unbind(1)  # [G, 1, C, 1, 1]
    return x.sub_(255 * mean).mul_(1 / (255 * std)).flatten(2), labels[index]


def together(outputs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    logits, labels = zip(*outputs, strict=True)
    return torch.cat(logits, 1), torch.cat(labels, 1)
