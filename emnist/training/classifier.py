import math
from typing import TYPE_CHECKING

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from emnist.data.batches import Batches
from emnist.seeding import mix
from emnist.training.averaging import build_average
from emnist.training.distillation import Teachers
from emnist.training.init import FineTuning
from emnist.training.loss import build_loss
from emnist.training.metrics import EpochMetrics
from emnist.training.optimization import build_optimizer, build_scheduler
from emnist.training.regularization import build_penalty

if TYPE_CHECKING:
    from emnist.training.captured import Captured

STEPS_BETWEEN_CHECKS = 50  # of the loss on a GPU, where reading it waits for all queued kernels


class Diverged(Exception):
    """The loss became infinite or NaN, which ends a run with a result."""


class Classifier(L.LightningModule):
    """Trains a network that maps images to logits: loss plus penalty, metrics once an epoch.

    Labels are classes, int64 [B], or where an augmentation has mixed them, the share of each class, float [B, classes].

    `optimizer`, `scheduler`, `regularization`, `loss` and `averaging` are the arguments of `build_optimizer`,
    `build_scheduler`, `build_penalty`, `build_loss` and `build_average`; `evaluated` names the loaders of the
    validation loop ("val", "test"); `about` is stored in every checkpoint: what `load_run` needs beside the weights.
    `tuning` is None for fresh weights.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        optimizer: dict,
        scheduler: dict,
        regularization: dict,
        evaluated: list[str],
        seed: int,
        about: dict,
        tuning: FineTuning | None = None,
        loss: dict | None = None,
        averaging: dict | None = None,
        teachers: Teachers | None = None,
    ):
        super().__init__()
        # Channels last trains the CNN 1.5 times faster in bf16 and 1.2 times in 32-bit, on two cores.
        self.network = network.to(memory_format=torch.channels_last)
        self.penalty = build_penalty(network, **regularization)
        self.loss, self.teachers = build_loss(**loss or {}), teachers
        if tuning is None:
            self.optimizer = build_optimizer(network.parameters(), **optimizer)
        else:
            self.optimizer = tuning.build_optimizer(**optimizer)
            tuning.begin_epoch(0)  # before DistributedDataParallel looks at what is trained
        self.tuning = tuning
        self.schedule, self.each_step = scheduler, scheduler.get("interval") == "step"
        self.scheduler: LRScheduler | None = None  # until `start_schedule`
        self.average = build_average(self.network, **averaging or {})
        self.num_classes, self.metrics = num_classes, EpochMetrics(num_classes)
        self.captured: Captured | None = None  # trains whole epochs where steps can be captured
        self.evaluated, self.seed, self.about = evaluated, seed, about
        self.outputs: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in ("train", *evaluated)}

    @property
    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.network.parameters())

    def forward(self, images: Tensor) -> Tensor:
        """float [B, C, H, W] → logits float32 [B, num_classes]."""
        return self.network(images).float()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer

    def setup(self, stage: str) -> None:
        trainer = self.trainer
        steps = int(trainer.estimated_stepping_batches) // (trainer.max_epochs or 1) if self.each_step else 1
        self.start_schedule(steps)

    def on_fit_start(self) -> None:
        if self.average is not None:
            self.average.network.to(self.device)
        if self.teachers is not None:
            self.teachers.to(self.device)

    def start_schedule(self, steps: int) -> None:
        """Build the scheduler for epochs of so many steps. Raises UserError if its arguments are invalid."""
        self.scheduler = build_scheduler(self.optimizer, steps=steps, **self.schedule)
        if self.tuning is not None:
            self.tuning.check_rates(self.optimizer, self.schedule["name"])

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self.dropout_seed(self.current_epoch, self.global_rank))
        if self.tuning is not None:
            self.tuning.begin_epoch(self.current_epoch)
        self.loss_sum = torch.zeros((), device=self.device)

    def dropout_seed(self, epoch: int, rank: int = 0) -> int:
        """Dropout masks depend on seed and epoch alone, so a resumed run draws the same ones."""
        return mix(self.seed, epoch, 1 + rank)

    def training_step(self, batch: tuple[Tensor, Tensor] | Batches, batch_idx: int) -> Tensor | None:
        if isinstance(batch, Batches):
            self.train_whole_epoch(batch)
            return None
        images, labels = batch
        logits = self(images)
        loss = self.training_loss(logits, labels, images)
        self.outputs["train"].append((logits.detach(), labels))
        self.loss_sum += loss.detach()  # stays non-finite once it is
        if self.device.type == "cpu" or batch_idx % STEPS_BETWEEN_CHECKS == 0:
            self.stop_if_diverged()
        return loss

    def training_loss(self, logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        """The mean over the batch, plus the penalty; the images are for the teachers."""
        loss = self.loss(logits, labels)
        if self.teachers is not None:
            loss = self.teachers.teach(loss, logits, images)
        return loss if self.penalty is None else loss + self.penalty()

    def optimizer_step(self, *args, **kwargs) -> None:
        super().optimizer_step(*args, **kwargs)
        self.end_step()

    def end_step(self) -> None:
        """What follows each step of the optimizer."""
        if self.scheduler is not None and self.each_step:
            self.scheduler.step()
        if self.average is not None:
            self.average.update(self.network)

    def train_whole_epoch(self, batches: Batches) -> None:
        assert self.captured is not None
        logits, labels, self.loss_sum = self.captured.run_epoch(batches)
        self.outputs["train"].append((logits, labels))
        self.stop_if_diverged()  # waits for the device, so that the time of an epoch is that of its steps

    def stop_if_diverged(self) -> None:
        # Over all ranks: one that stopped alone would leave the others waiting for its gradients.
        loss = self.trainer.strategy.reduce(self.loss_sum.clone(), reduce_op="sum")
        if not loss.isfinite():
            raise Diverged

    def on_validation_epoch_start(self) -> None:
        # The last step of an epoch can ruin the weights without showing in its own loss.
        self.stop_if_diverged()
        if not all(tensor.isfinite().all() for tensor in self.network.state_dict().values()):
            raise Diverged

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        images, labels = batch
        network = self.network if self.average is None else self.average.network
        self.outputs[self.evaluated[dataloader_idx]].append((network(images).float(), labels))

    def on_validation_epoch_end(self) -> None:
        for name in self.evaluated:
            loss = self._log_metrics(name)["loss"]
            if name == "val" and not math.isfinite(loss):
                raise Diverged

    def on_train_epoch_end(self) -> None:
        metrics = self._log_metrics("train")
        # Stepped here, since Lightning steps ReduceLROnPlateau only after the checkpoint is written.
        watched = self.trainer.callback_metrics.get("val_loss")  # never the test loss
        self.step_scheduler(metrics["loss"] if watched is None else watched.item())

    def step_scheduler(self, watched: float) -> None:
        """End an epoch for a scheduler that is stepped by epochs, with the loss that ReduceLROnPlateau watches."""
        if self.each_step:
            return
        if isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(watched)
        elif self.scheduler is not None:
            self.scheduler.step()

    def _log_metrics(self, name: str) -> dict[str, float]:
        logits, labels = map(torch.cat, zip(*self.outputs[name], strict=True))
        self.outputs[name].clear()
        if name == "train":
            self.images_in_epoch = len(labels) * self.trainer.world_size
        metrics = self.metrics(logits, labels)
        self.log_dict({f"{name}_{metric}": value for metric, value in metrics.items()})
        return metrics

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["about"] = self.about
        if self.captured is not None:
            self.captured.count_steps(checkpoint)
        if self.scheduler is not None:
            checkpoint["scheduler"] = self.scheduler.state_dict()
        if self.average is not None:
            trained = checkpoint["state_dict"]
            checkpoint["state_dict"] = {f"network.{k}": v for k, v in self.average.network.state_dict().items()}
            if "optimizer_states" in checkpoint:  # last.ckpt, which a resumed run reads
                checkpoint["trained"] = trained
                checkpoint["averaged_steps"] = self.average.steps

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        if self.scheduler is not None:
            self.scheduler.load_state_dict(checkpoint["scheduler"])
        if self.average is not None:
            averaged = {k.removeprefix("network."): v for k, v in checkpoint["state_dict"].items()}
            self.average.network.load_state_dict(averaged)
            self.average.steps = checkpoint["averaged_steps"]
            checkpoint["state_dict"] = checkpoint["trained"]  # which Lightning loads next
