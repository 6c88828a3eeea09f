"""Which runs of a study are trained together, as one stacked MLP."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from emnist.runs.config import TrainerConfig
from emnist.study.planning import PlannedRun

# Where a network more saves nothing: on one core of an AMD EPYC an epoch of one of 5, 8, 16 and 25 MLPs takes
# 0.41, 0.37, 0.33 and 0.31 s, alone 0.6 s.
AUTO = 25
STACKABLE = {"mlp"}  # batched convolutions of this size are slower than one after another; see docs/speed.md
MIXING = {"mixup", "cutmix"}  # augmentations that make shares of classes of the labels, which a stack has no place for
PRECISIONS = {"auto", "32-true", "bf16-mixed"}
ACCELERATORS = {"auto", "cpu", "gpu", "cuda"}


def groups(runs: Sequence[PlannedRun], together: Literal["auto", "off"] | int) -> Iterator[list[PlannedRun]]:
    """The runs in groups that can be trained together, at most `together` in one; the others each alone."""
    limit = AUTO if together == "auto" else 0 if together == "off" else together
    waiting: dict[str, list[PlannedRun]] = {}
    for run in runs:
        if not limit or not is_stackable(run.config):
            yield [run]
            continue
        group = waiting.setdefault(_shape(run.config), [])
        group.append(run)
        if len(group) == limit:
            yield waiting.pop(_shape(run.config))
    yield from waiting.values()


def is_stackable(config: dict[str, Any]) -> bool:
    """Whether a run with this configuration can be trained together with others of its shape."""
    trainer = config["trainer"]
    return (
        config["model"]["name"] in STACKABLE
        and config["augmentation"].get("name") not in MIXING
        and not config.get("init")  # parts at other rates, or frozen
        and config.get("averaging", {}).get("name", "none") == "none"  # a second set of weights
        and config.get("loss", {}).get("name") != "distill"  # of networks that see the images
        and trainer.keys() <= {*TrainerConfig.model_fields, "precision", "accelerator", "devices", "strategy"}
        and trainer.get("precision") in PRECISIONS
        and trainer.get("accelerator") in ACCELERATORS
        and (trainer.get("devices"), trainer.get("strategy")) == (1, "auto")
    )


def _shape(config: dict[str, Any]) -> str:
    """What runs have in common that are trained together."""
    model = {key: value for key, value in config["model"].items() if key != "dropout"}
    data = {key: value for key, value in config["data"].items() if key != "fold"}
    trainer = {key: value for key, value in config["trainer"].items() if key != "max_epochs"}
    loss = config.get("loss")
    return json.dumps([model, data, config["data"]["fold"] is None, trainer, loss, config["threads"]], sort_keys=True)
