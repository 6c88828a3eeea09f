"""Check a configuration without training."""

from typing import Any

import torch

from emnist.checks import validate
from emnist.data.module import DataModule
from emnist.models import build_model
from emnist.runs.config import RunConfig
from emnist.training.distillation import build_teachers
from emnist.training.init import find_source, fine_tuning


def preflight(config: dict[str, Any]) -> None:
    """Raises UserError if run-level keys, data, augmentation, model, its start or its teachers are invalid."""
    validate(RunConfig, config)
    data = DataModule(**config["data"], augmentation=config["augmentation"], seed=config["seed"])
    build_teachers(config, data)
    classes = data.dataset.classes
    source = find_source(config["init"]) if config.get("init") else None
    with torch.device("meta"):  # shapes only
        network = build_model(num_classes=len(classes), image_shape=data.dataset.image_shape, **config["model"])
        if source is not None:
            fine_tuning(network, config["model"], classes, source, config["init"])
