import logging
import time
from collections.abc import Callable
from typing import Any, cast

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from torch import nn

from emnist.runs.folder import RunFolder
from emnist.runs.result import Result
from emnist.training.classifier import Classifier, Diverged
from emnist.training.tensorboard import TensorBoardLog

log = logging.getLogger(__name__)


class Stopped(Exception):
    """`after_epoch` ended the training, which can be resumed."""


class Recorder(Checkpoint):
    """Records each finished epoch: metrics.csv, TensorBoard, a line in the log, best and last checkpoint.

    The best epoch is the first with the highest validation accuracy; without validation, the last. The state of
    this callback is part of last.ckpt, so a resumed run continues where that epoch ended. Lightning calls
    Checkpoint callbacks last, when all other metrics and states of the epoch are final. Runs that are trained together
    have no Trainer and call `add_epoch` themselves.
    """

    STATE = ("rows", "best_epoch", "seconds", "train_seconds", "images", "stopped")

    def __init__(self, folder: RunFolder, logger: logging.Logger = log):
        self.folder, self.logger = folder, logger
        self.tensorboard = TensorBoardLog(folder)
        self.rows: list[dict[str, float]] = []  # of metrics.csv
        self.best_epoch: int | None = None  # epochs count from 1
        self.seconds = 0.0  # training and evaluation, over all sessions
        self.train_seconds = 0.0  # training alone
        self.images = 0  # trained on
        self.stopped: str | None = None
        self.after_epoch: AfterEpoch | None = None  # asked after each epoch but the last whether to go on

    @property
    def best(self) -> dict[str, float]:
        """The row of the best epoch; empty before the first."""
        return {} if self.best_epoch is None else self.rows[self.best_epoch - 1]

    @property
    def images_per_s(self) -> float | None:
        """Training images per second over all epochs, without evaluation."""
        return round(self.images / self.train_seconds, 1) if self.rows else None

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in self.STATE:
            setattr(self, name, state_dict[name])
        self.tensorboard.resumed_after = len(self.rows)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.rows:
            self.logger.info("resumed after epoch %d", len(self.rows))
        self.clock = time.perf_counter()
        if self.stopped:  # resumed after early stopping, which Lightning doesn't remember
            trainer.should_stop = True

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.epoch_start = time.perf_counter()
        self.lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.train_end = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        now = time.perf_counter()
        seconds, self.clock = now - self.clock, now  # including the checkpoints of the epoch before
        self.train_seconds += self.train_end - self.epoch_start
        self.images += cast(Classifier, pl_module).images_in_epoch
        improved = self.add_epoch(metrics, self.lr, seconds, trainer.should_stop, trainer.max_epochs)
        if trainer.is_global_zero:
            self.tensorboard.log_epoch(len(self.rows), metrics, self.lr, seconds)
        if improved:
            trainer.save_checkpoint(self.folder.best, weights_only=True)
        if trainer.is_global_zero:
            self.folder.write_metrics(self.rows)
        trainer.save_checkpoint(self.folder.last)
        is_last = self.stopped is not None or len(self.rows) == trainer.max_epochs
        if self.after_epoch is not None and not is_last and not self.after_epoch(self):
            raise Stopped

    def add_epoch(
        self, metrics: dict[str, float], lr: float, seconds: float, stop: bool, max_epochs: int | None
    ) -> bool:
        """Add a finished epoch, after which training stops early if `stop`. Returns whether it is the best so far."""
        epoch = len(self.rows) + 1
        row = {"epoch": epoch, "lr": lr, **metrics}
        improved = "val_accuracy" not in row or row["val_accuracy"] > self.best.get("val_accuracy", -1)
        self.rows.append(row)
        if improved:
            self.best_epoch = epoch
        if stop:
            self.stopped = "early_stopping"
        self.seconds += seconds
        parts = [
            f"{part} loss {row[f'{part}_loss']:.4f} acc {row[f'{part}_accuracy']:.2%}"
            for part in ("train", "val")
            if f"{part}_loss" in row
        ]
        self.logger.info("epoch %d/%s  %s  %.1f s", epoch, max_epochs, "  ".join(parts), seconds)
        return improved

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        if isinstance(exception, Diverged):
            self.seconds += time.perf_counter() - self.clock
        if isinstance(exception, KeyboardInterrupt):
            self.logger.warning("interrupted; to resume: python -m emnist.train resume=%s", self.folder.path)

    def finish(self, figures: dict[str, bytes], result: Result, network: nn.Module) -> None:
        """Hand the outcome of the run to TensorBoard; see `TensorBoardLog.finish`."""
        self.tensorboard.finish(figures, result, network)


AfterEpoch = Callable[[Recorder], bool]
