"""Lightning's Trainer as a run needs it."""

from typing import Any

import lightning as L
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.callbacks import Callback, EarlyStopping
from rich.console import Console

from emnist.errors import UserError
from emnist.training.checkpoints import AtomicCheckpointIO
from emnist.training.hardware import choose_precision
from emnist.training.progress import ProgressBar
from emnist.training.recorder import Recorder

# Arguments that the run folder and the figures rely on, so they are not configurable.
FIXED: dict[str, Any] = {
    "logger": False,  # the recorder writes metrics.csv and TensorBoard events
    "enable_checkpointing": True,  # by the recorder
    "enable_model_summary": False,
    "enable_progress_bar": False,  # replaced by a callback
    "num_sanity_val_steps": 0,
    "check_val_every_n_epoch": 1,
    "val_check_interval": 1.0,
    "limit_val_batches": 1.0,
    "min_epochs": None,
    "max_steps": -1,
    "max_time": None,
    "fast_dev_run": False,
}
SPAWNING = ("spawn", "fork", "notebook")  # last word in the names of strategies that start workers from this process


def build_trainer(config: dict[str, Any], recorder: Recorder, early_stopping: bool, progress_bar: bool) -> L.Trainer:
    """The Trainer for `config["trainer"]`. Raises UserError for arguments that it, or this project, does not accept."""
    arguments = {key: value for key, value in config["trainer"].items() if key != "compile"}
    if fixed := sorted(arguments.keys() & {*FIXED, "callbacks", "plugins"}):
        raise UserError(f"trainer.{fixed[0]}: set by this project and not configurable")
    if str(arguments.get("strategy")).rpartition("_")[2] in SPAWNING:
        strategy = arguments["strategy"]
        raise UserError(f"trainer.strategy={strategy}: spawn-based strategies don't return trained weights; choose ddp")
    arguments["precision"] = choose_precision(arguments["precision"], arguments["accelerator"])
    callbacks: list[Callback] = [recorder]
    if early_stopping and (patience := config["patience"]) is not None:
        callbacks.append(EarlyStopping("val_accuracy", mode="max", patience=patience))
    if progress_bar and Console().is_terminal:
        callbacks.append(ProgressBar())
    try:
        trainer = L.Trainer(**arguments, **FIXED, callbacks=callbacks, plugins=[AtomicCheckpointIO()])
    except Exception as error:  # Lightning raises various exceptions for invalid values
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    if trainer.world_size > 1 and HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        raise UserError(f"trainer.devices={arguments['devices']}: a multirun trains each job on one device")
    if trainer.world_size > 1 and config.get("init", {}).get("unfreeze_epoch") is not None:
        # DistributedDataParallel adds up the gradients of what is trained in the first epoch, and of nothing else.
        raise UserError(f"trainer.devices={arguments['devices']}: init.unfreeze_epoch takes one device")
    return trainer
