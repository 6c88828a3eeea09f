"""Whole epochs on a GPU: the training step is captured in a CUDA graph once and replayed for every batch.

The step of a small network is up to a hundred small kernels. Launching them one by one takes the CPU longer than the
GPU takes to compute them; a replay launches all of them at once.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.optim import Optimizer

from emnist.data.batches import Batches
from emnist.data.module import DataModule
from emnist.errors import describe
from emnist.runs.config import TrainerConfig
from emnist.training.checkpoints import fit_loop
from emnist.training.classifier import Classifier

log = logging.getLogger(__name__)

KEYS = {*TrainerConfig.model_fields, "precision", "accelerator", "devices", "strategy"}  # of `trainer`
PRECISIONS = ("32-true", "bf16-mixed")
WARM_UP = 3  # steps, as torch's documentation of CUDA graphs has them


class Captured:
    """Trains a classifier for whole epochs with the steps that Lightning's loop would take.

    All that a step reads and writes has its place on the device: the order of the epoch, the number of the batch in it,
    the learning rates, the logits of all batches and the sum of the losses. A replay needs nothing from the CPU, and
    nothing waits for the device within an epoch. A graph has one size of batch, so a last batch that is smaller takes a
    step by plain calls; no image is left out.

    Without a GPU, and where the capture fails, all steps are plain calls. `bf16` says whether networks compute in it.
    """

    def __init__(self, classifier: Classifier, bf16: bool):
        self.classifier, self.bf16 = classifier, bf16
        self.batches: Batches | None = None
        self.settings: list[dict[str, Any]] = []  # of the capture

    def run_epoch(self, batches: Batches) -> tuple[Tensor, Tensor, Tensor]:
        """Train on all batches.

        Returns the logits float32 [N, classes], which stay until the next epoch, the labels [N], and the sum of the
        losses of the steps.
        """
        if self.batches is not batches:
            self._place(batches)
        order = batches.order()
        whole = self.order.numel()
        self.order.copy_(order[:whole].view_as(self.order))
        with torch.autocast(self.device.type, enabled=False), self._on_device():
            if self.can_capture and self.settings != (now := self._settings()):
                self.settings = now
                self._capture()
            self.row.zero_()
            self.loss_sum.zero_()
            self.generator.manual_seed(batches.augmentation_seed())
            for _ in range(len(self.order)):
                self.replay()
            if whole < len(order):
                self.logits[whole:] = self._step(order[whole:])
        return self.logits, batches.labels[order], self.loss_sum

    def count_steps(self, checkpoint: dict[str, Any]) -> None:
        """Write the steps into a checkpoint of Lightning, whose loop has counted epochs."""
        assert self.batches is not None
        epochs, steps = checkpoint["epoch"] + 1, len(self.batches)
        checkpoint["global_step"] = epochs * steps
        state, counted = checkpoint["loops"]["fit_loop"], fit_loop(epochs, steps)
        for part in ("state_dict", "batch_progress", "automatic_optimization.optim_progress"):
            state[f"epoch_loop.{part}"] = counted[f"epoch_loop.{part}"]

    def _place(self, batches: Batches) -> None:
        self.batches, self.device = batches, batches.images.device
        steps, size = batches.samples // batches.batch_size, batches.batch_size
        self.order = torch.zeros(steps, size, dtype=torch.int64, device=self.device)
        self.row = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.logits = torch.zeros(batches.samples, self.classifier.num_classes, device=self.device)
        self.loss_sum = torch.zeros((), device=self.device)
        self.rates = [torch.zeros((), device=self.device) for _ in self.classifier.optimizer.param_groups]
        self.generator = batches.augmentation_generator()
        self.replay: Callable[[], None] = self._next
        self.can_capture = self.device.type == "cuda" and steps > 0

    def _next(self) -> None:
        """The step on the batch that `row` points to."""
        index = self.order.index_select(0, self.row)[0]
        logits = self._step(index)
        self.logits[: self.order.numel()].view(*self.order.shape, -1).index_copy_(0, self.row, logits.unsqueeze(0))
        self.row += 1

    def _step(self, index: Tensor) -> Tensor:
        """Train on the images at `index`, int64 [B]; returns their logits float32 [B, classes]."""
        assert self.batches is not None
        images, labels = self.batches.take(index, self.generator)
        # The cache of autocast would keep the weights that were cast in the capture.
        with torch.autocast(self.device.type, torch.bfloat16, self.bf16, cache_enabled=False):
            logits = self.classifier(images)
            loss = self.classifier.training_loss(logits, labels, images)
        self.classifier.optimizer.zero_grad()
        loss.backward()
        self.classifier.optimizer.step()
        self.loss_sum += loss.detach()
        return logits.detach()

    @contextmanager
    def _on_device(self) -> Iterator[None]:
        """The optimizer with learning rates and counts of steps on the device, where a replay reads them.

        Scheduler and checkpoints see it as it was.
        """
        optimizer = self.classifier.optimizer
        before = [dict(group) for group in optimizer.param_groups]
        try:
            for group, rate in zip(optimizer.param_groups, self.rates, strict=True):
                group["lr"] = rate.fill_(group["lr"])
                if "capturable" in group:
                    group["capturable"] = self.device.type == "cuda"
            if self.device.type == "cuda":
                for state in optimizer.state.values():
                    if "step" in state:
                        state["step"] = state["step"].to(self.device)
            yield
        finally:
            for group, old in zip(optimizer.param_groups, before, strict=True):
                group.update(old)

    def _settings(self) -> list[dict[str, Any]]:
        """What a graph has as constants, such as the momentum; where a scheduler changes it, the next is captured."""
        groups = self.classifier.optimizer.param_groups
        return [{key: value for key, value in group.items() if key not in ("params", "lr")} for group in groups]

    def _capture(self) -> None:
        """Capture `_next` to replay it.

        Steps by plain calls come first, in which libraries choose their algorithms and the optimizer makes its state.
        """
        default = torch.cuda.default_generators[self.device.index]
        state, stream, side = default.clone_state(), torch.cuda.current_stream(), torch.cuda.Stream()
        with self.undone():
            try:
                side.wait_stream(stream)
                with torch.cuda.stream(side):
                    for _ in range(WARM_UP):
                        self.row.zero_()
                        self._next()
                graph = torch.cuda.CUDAGraph()
                if self.batches is not None and self.batches.augmentation is not None:
                    graph.register_generator_state(self.generator)
                with torch.cuda.graph(graph, stream=side):
                    self._next()
                self.replay = graph.replay
            except Exception as error:  # of any kind: what is not the capture's fault is raised again without it
                log.info("the steps are not captured in a CUDA graph: %s", describe(error))
                self.replay, self.can_capture = self._next, False
                # After a capture that failed, a generator still takes itself to be in it and draws no numbers.
                default.graphsafe_set_state(state)
                self.generator = torch.Generator(self.device)
            finally:
                torch.cuda.set_stream(stream)  # which a capture that failed leaves out
                stream.wait_stream(side)
                default.set_state(state.get_state())

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Weights, running statistics and the state of the optimizer are afterwards as they were, at the same place."""
        kept = [(tensor, tensor.clone()) for tensor in self._changing()]
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor in self._changing():
                    tensor.zero_()  # where the optimizer's state begins that was made in between
                for tensor, value in kept:
                    tensor.copy_(value)
            self.classifier.optimizer.zero_grad()

    def _changing(self) -> list[Tensor]:
        """What steps change, apart from the buffers of this object."""
        states = self.classifier.optimizer.state.values()
        state = [value for state in states for value in state.values() if isinstance(value, Tensor)]
        return [*self.classifier.network.state_dict().values(), *state]


def capture_steps(config: dict[str, Any], trainer: L.Trainer, classifier: Classifier, data: DataModule) -> None:
    """Let the run train whole epochs with a graph, as `trainer.compile` says; where it can't, log why, but on a CPU."""
    if config["trainer"].get("compile") == "off" or trainer.strategy.root_device.type == "cpu":
        return
    if reason := why_not(config, trainer, classifier, data):
        log.info("the steps are not captured in a CUDA graph: %s", reason)
    else:
        train_whole_epochs(trainer, classifier, data)


def train_whole_epochs(trainer: L.Trainer, classifier: Classifier, data: DataModule) -> None:
    data.whole_epochs = True
    classifier.automatic_optimization = False
    classifier.captured = Captured(classifier, trainer.precision == "bf16-mixed")


def why_not(config: dict[str, Any], trainer: L.Trainer, classifier: Classifier, data: DataModule) -> str | None:
    """What in this run no graph can have, or has not been made for; None if there is nothing."""
    device = trainer.strategy.root_device
    if device.type != "cuda":
        return f"trainer.accelerator={device.type} has none"
    if not isinstance(trainer.strategy, SingleDeviceStrategy):
        return f"trainer.strategy={config['trainer']['strategy']}, which is not for one device"
    if others := sorted(config["trainer"].keys() - KEYS):
        return f"trainer.{others[0]} is set"
    if trainer.precision not in PRECISIONS:
        return f"trainer.precision={trainer.precision} is none of {', '.join(PRECISIONS)}"
    if data.augmentation is not None and data.augmentation.on_cpu:
        return f"augmentation.name={config['augmentation']['name']}"
    if classifier.tuning is not None and classifier.tuning.unfreeze_epoch is not None:
        return "init.unfreeze_epoch trains other weights later"
    if config["scheduler"].get("interval", "epoch") != "epoch":
        return f"scheduler.interval={config['scheduler']['interval']}"
    if classifier.average is not None:
        return f"averaging.name={config['averaging']['name']}"
    if classifier.teachers is not None:
        return f"loss.name={config['loss']['name']}"
    return why_not_optimizer(classifier.optimizer)


def why_not_optimizer(optimizer: Optimizer) -> str | None:
    """Whether its state starts at zero and its step reads all, the learning rate too, from the device.

    In torch 2.11 to 2.14 those are Adam, AdamW and RMSprop, the last not one weight at a time, and the fused SGD. With
    `dampening`, the first step of SGD is not one from a momentum of zero.
    """
    name, has = type(optimizer).__name__, optimizer.defaults
    if name == "SGD":
        return None if has["fused"] and not has["dampening"] else "optimizer.name=SGD takes fused=true and dampening=0"
    if name not in ("Adam", "AdamW", "RMSprop"):
        return f"optimizer.name={name} is none of Adam, AdamW, RMSprop, SGD"
    if has["foreach"] is False or has["differentiable"]:
        return f"optimizer.name={name} takes neither foreach=false nor differentiable=true"
    return None
