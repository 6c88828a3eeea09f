"""Whole epochs by plain calls on a CPU, which are the steps that a GPU replays, beside Lightning's loop."""

import json
import logging

import pytest
import torch

from emnist.runs.folder import RunFolder
from emnist.training import fit
from emnist.training.captured import train_whole_epochs, why_not_optimizer
from emnist.training.optimization import build_optimizer
from emnist.training.recorder import Recorder
from tests.fixtures.jobs import train_in
from tests.fixtures.resuming import Killed, die_in, same_runs


@pytest.fixture
def whole_epochs(monkeypatch):
    def use(config, trainer, classifier, data):
        train_whole_epochs(trainer, classifier, data)

    def switch(on: bool) -> None:
        monkeypatch.setattr(fit, "capture_steps", use if on else lambda *_: None)

    return switch


def checkpoint(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


EXACT = ["optimizer.lr=0.0078125", "scheduler=step", "scheduler.step_size=1"]  # rates without a rounding error in 32-bit


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer=adam"],
        ["optimizer=adam", "optimizer.fused=null", "trainer.precision=32-true"],
        ["optimizer=sgd", "optimizer.momentum=0.5", "augmentation=affine"],
        ["optimizer=rmsprop", "optimizer.momentum=0.5", "regularization=l2", "data.batch_size=47"],
    ],
)
def test_whole_epochs_are_the_steps_of_lightning(small, tmp_path, whole_epochs, overrides):
    for on in (False, True):
        whole_epochs(on)
        train_in(tmp_path / str(on), *small, *overrides, *EXACT)
    same_runs(tmp_path / "False", tmp_path / "True")
