"""Check a configuration without training."""

from typing import Any

import torch

from emnist.checks import validate
from emnist.data.module import DataModule
from emnist.models import build_model
from emnist.runs.config import RunConfig


def preflight(config: dict[str, Any]) -> None:
    """Raises UserError if the run-level keys, the data, the augmentation or the model of a run are invalid."""
    validate(RunConfig, config)
    data = DataModule(**config["data"], augmentation=config["augmentation"], seed=config["seed"])
    with torch.device("meta"):  # shapes only
        build_model(num_classes=2, image_shape=data.dataset.image_shape, **config["model"])
