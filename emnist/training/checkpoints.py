"""How checkpoints are written and read during training, with Lightning's Trainer and without."""

import io
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, EarlyStopping

from emnist.inference.load import read_checkpoint
from emnist.runs.checksums import write_listed
from emnist.training.classifier import Classifier


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints are written whole or not at all, and loading one runs no code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path, storage_options=None) -> None:
        # Through memory, since torch reports a full disk as an error that doesn't mention it.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_listed(Path(path), buffer.getbuffer())

    def load_checkpoint(self, path, map_location="cpu", weights_only=True) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location)


def weights_checkpoint(classifier: Classifier, epochs: int, steps: int) -> dict[str, Any]:
    """What Lightning would write as best.ckpt after so many epochs of so many steps."""
    checkpoint: dict[str, Any] = {
        "epoch": epochs - 1,
        "global_step": epochs * steps,
        "pytorch-lightning_version": L.__version__,
        "state_dict": {key: value.clone() for key, value in classifier.state_dict().items()},  # may be part of a stack
    }
    classifier.on_save_checkpoint(checkpoint)
    return checkpoint


def resumable_checkpoint(classifier: Classifier, epochs: int, steps: int, callbacks: list[Callback]) -> dict[str, Any]:
    """What Lightning would write as last.ckpt, and can resume."""
    return weights_checkpoint(classifier, epochs, steps) | {
        "loops": {"fit_loop": fit_loop(epochs, steps)},
        "callbacks": {callback.state_key: callback.state_dict() for callback in callbacks},
        "optimizer_states": [classifier.optimizer.state_dict()],
        "lr_schedulers": [],  # the classifier's own
    }


def early_stopping(patience: int, accuracies: list[float]) -> EarlyStopping:
    """Lightning's callback in its state after epochs with these validation accuracies."""
    callback = EarlyStopping("val_accuracy", mode="max", patience=patience)
    best = max(range(len(accuracies)), key=accuracies.__getitem__)
    callback.best_score, callback.wait_count = torch.tensor(accuracies[best]), len(accuracies) - 1 - best
    if callback.wait_count >= patience:
        callback.stopped_epoch = len(accuracies) - 1
    return callback


@cache
def _trainer() -> L.Trainer:
    with warnings.catch_warnings(action="ignore"):  # of a GPU that it doesn't use
        return L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False)


def fit_loop(epochs: int, steps: int) -> dict[str, Any]:
    """The state of Lightning's loop when it writes the checkpoint of an epoch, which it completes afterwards."""
    loop = _trainer().fit_loop
    batches = loop.epoch_loop.batch_progress
    optimizer = loop.epoch_loop.automatic_optimization.optim_progress.optimizer
    for progress in (batches, optimizer.step, optimizer.zero_grad):
        for name in vars(progress.total):
            setattr(progress.total, name, epochs * steps)
            setattr(progress.current, name, steps)
    batches.is_last_batch = True
    loop.epoch_loop._batches_that_stepped = epochs * steps
    for counts in (loop.epoch_progress.total, loop.epoch_progress.current):
        for name in vars(counts):
            setattr(counts, name, epochs)
        counts.completed = epochs - 1
    return loop.state_dict()
