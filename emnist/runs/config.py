"""The configuration of one run: its keys, what holds for the run as a whole, and its flat form."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from emnist.checks import STRICT, Count, Index, Seed

MOST_VIEWS = 8  # those of emnist/inference/views.py


class TrainerConfig(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")  # the rest are arguments of Lightning's Trainer

    max_epochs: Count
    compile: Literal["auto", "off"] = "auto"  # as in runs before version 0.7


class Evaluation(BaseModel):
    """How the best epoch is tested."""

    model_config = STRICT

    views: Annotated[int, Field(ge=0, le=MOST_VIEWS)] = 0


class RunConfig(BaseModel):
    """The top-level keys of conf/train.yaml; each group checks its own keys when it is built."""

    model_config = STRICT

    data: dict[str, Any]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]
    regularization: dict[str, Any]
    augmentation: dict[str, Any]
    init: dict[str, Any] = {}  # empty, as in runs before version 0.6: fresh weights
    loss: dict[str, Any] = {}  # empty, as in runs before version 0.7: cross-entropy
    averaging: dict[str, Any] = {}  # empty, likewise: none
    evaluation: Evaluation = Evaluation()
    trainer: TrainerConfig
    seed: Seed
    patience: Count | None
    threads: Count | None


class Split(BaseModel):
    """The keys of `data` that split and batch the images; the others are arguments of their source."""

    model_config = STRICT

    batch_size: Count
    folds: Annotated[int, Field(ge=2)]
    fold: Index | None
    fold_seed: Seed
    sampling: Literal["natural", "balanced"] = "natural"
    per_class: Count | None = None


def is_run_config(config: Any) -> bool:
    """Whether this mapping has all keys of a run's configuration, and so is not another program's."""
    required = {key for key, field in RunConfig.model_fields.items() if field.is_required()}
    return hasattr(config, "keys") and config.keys() >= required


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, bool | int | float | str]:
    """{"model": {"name": "cnn"}} → {"model.name": "cnn"}; what TensorBoard has no type for becomes text."""
    flat: dict[str, bool | int | float | str] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, bool | int | float | str) else str(value)
    return flat
