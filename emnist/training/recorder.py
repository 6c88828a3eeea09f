import io
import logging
import struct
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from emnist.atomic import write_atomically
from emnist.training.classifier import Classifier, Diverged
from emnist.errors import UserError
from emnist.runs.identity import flatten
from emnist.runs.folder import RunFolder, read_checkpoint

log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that exist are whole, and loading one runs no code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path, storage_options=None) -> None:
        # Through memory, since torch turns a full disk into an error that doesn't say so.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(Path(path), lambda file: file.write(buffer.getbuffer()))

    def load_checkpoint(self, path, map_location="cpu", weights_only=True) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location)


class Recorder(Checkpoint):
    """Writes down each finished epoch: metrics.csv, TensorBoard scalars, a line in the log, best and last checkpoint.

    The best epoch is the first with the highest validation accuracy; without validation, the last. What
    this callback remembers travels in last.ckpt, so a resumed run goes on where that epoch ended. Being a
    Checkpoint it is called last, when every other figure and state of the epoch is settled.
    """

    REMEMBERED = ("rows", "best_epoch", "seconds", "train_seconds", "images", "stopped")

    def __init__(self, folder: RunFolder):
        self.folder = folder
        self.rows: list[dict[str, float]] = []  # of metrics.csv
        self.best_epoch: int | None = None  # epochs count from 1
        self.seconds = 0.0  # training and evaluation, over all sittings
        self.train_seconds = 0.0  # training alone
        self.images = 0  # trained on
        self.stopped: str | None = None
        self.resumed_after = 0  # epochs
        self.writer: SummaryWriter | None = None

    @property
    def best(self) -> dict[str, float]:
        """The row of the best epoch; empty before the first."""
        return {} if self.best_epoch is None else self.rows[self.best_epoch - 1]

    @contextmanager
    def writing_events(self) -> Iterator[SummaryWriter]:
        """TensorBoard's writer, flushed at the end.

        It drops what an earlier sitting wrote of epochs that didn't get as far as their checkpoint. Raises
        UserError where the folder can't take more.
        """
        try:
            if self.writer is None:
                self.writer = SummaryWriter(str(self.folder.path), purge_step=self.resumed_after + 1)
            yield self.writer
            self.writer.flush()
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"{self.folder.path}: can't be written ({reason}); make room there") from error

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.REMEMBERED}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in self.REMEMBERED:
            setattr(self, name, state_dict[name])
        self.resumed_after = len(self.rows)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.rows:
            log.info("resumed after epoch %d", len(self.rows))
        self.clock = time.perf_counter()
        if self.stopped:  # resumed after early stopping, which Lightning doesn't remember
            trainer.should_stop = True

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.epoch_start = time.perf_counter()
        self.lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.train_end = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        figures = {name: value.item() for name, value in trainer.callback_metrics.items()}
        epoch = trainer.current_epoch + 1
        row = {"epoch": epoch, "lr": self.lr, **figures}
        improved = "val_accuracy" not in row or row["val_accuracy"] > self.best.get("val_accuracy", -1)
        self.rows.append(row)
        if improved:
            self.best_epoch = epoch
        if trainer.should_stop:
            self.stopped = "early_stopping"
        now = time.perf_counter()
        seconds, self.clock = now - self.clock, now  # with the checkpoints of the epoch before
        self.seconds += seconds
        self.train_seconds += self.train_end - self.epoch_start
        self.images += cast(Classifier, pl_module).images_in_epoch

        if trainer.is_global_zero:
            with self.writing_events() as writer:
                for name, value in figures.items():
                    part, figure = name.split("_", 1)  # val_accuracy → accuracy/val: train, val and test side by side
                    writer.add_scalar(f"{figure}/{part}", value, epoch)
                writer.add_scalar("lr", self.lr, epoch)
                writer.add_scalar("seconds", seconds, epoch)
        if improved:
            trainer.save_checkpoint(self.folder.best, weights_only=True)
        if trainer.is_global_zero:
            self.folder.write_csv("metrics.csv", self.rows)
        trainer.save_checkpoint(self.folder.last)
        parts = [
            f"{part} loss {row[f'{part}_loss']:.4f} acc {row[f'{part}_accuracy']:.2%}"
            for part in ("train", "val")
            if f"{part}_loss" in row
        ]
        log.info("epoch %d/%s  %s  %.1f s", epoch, trainer.max_epochs, "  ".join(parts), seconds)

    @property
    def images_per_s(self) -> float | None:
        """Training images a second over all epochs, evaluation left out."""
        return round(self.images / self.train_seconds, 1) if self.rows else None

    def finish(self, figures: dict[str, bytes], result: dict[str, Any], network: nn.Module) -> None:
        """Give TensorBoard figures (PNG files), hyperparameters with the final metrics, graph, and a card in words."""
        final = ("test_accuracy", "test_loss", "val_accuracy")
        metrics = {f"final/{name}": result[name] for name in final if result[name] is not None}
        # Without the experiment summary that add_hparams writes, TensorBoard's table has the columns of all runs.
        _, start, end = hparams(flatten(result["config"]), metrics)
        with self.writing_events() as writer:
            for name, png in figures.items():
                image = Summary.Image(encoded_image_string=png, colorspace=3)
                image.width, image.height = struct.unpack(">II", png[16:24])
                summary = Summary(value=[Summary.Value(tag=f"figures/{name}", image=image)])
                writer._get_file_writer().add_summary(summary, self.best_epoch)
            config = (self.folder.path / "config.yaml").read_text()
            writer.add_text("run", card(result, config), self.best_epoch)
            draw_graph(writer, network)
            for summary in (start, end):
                writer._get_file_writer().add_summary(summary)
            for name, value in metrics.items():
                writer.add_scalar(name, value, self.best_epoch)
            writer.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        if isinstance(exception, Diverged):
            self.seconds += time.perf_counter() - self.clock
        if isinstance(exception, KeyboardInterrupt):
            log.warning("interrupted; go on with: python -m emnist.train resume=%s", self.folder.path)


def draw_graph(writer: SummaryWriter, network: nn.Module) -> None:
    image = torch.zeros(1, 1, 28, 28, device=next(network.parameters()).device)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*deprecated")  # which torch itself uses here
        writer.add_graph(network.eval(), image)


def card(result: dict[str, Any], config: str) -> str:
    """What a run was and came to, in Markdown."""
    figures = {key: value for key, value in result.items() if not isinstance(value, dict)}
    rows = "\n".join(f"| {key} | {'–' if value is None else value} |" for key, value in figures.items())
    heading = f"**{result['config']['model']['name']}** on {result['data']['description']}"
    return f"{heading}\n\n| | |\n| --- | --- |\n{rows}\n\n```yaml\n{config}```"
