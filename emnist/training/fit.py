import logging
import math
import os
import platform
import subprocess
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from torch import Tensor

import emnist
from emnist.figures import run as figures
from emnist.checks import directory, whole
from emnist.training.classifier import Classifier, Diverged
from emnist.training.console import first_process, quiet_lightning
from emnist.data.module import DataModule
from emnist.errors import UserError, describe
from emnist.training.hardware import choose_precision, describe_device, hide_absent_gpu, use_threads
from emnist.training.metrics import FIGURES, EpochMetrics
from emnist.models import build_model
from emnist.training.progress import ProgressBar
from emnist.training.recorder import AtomicCheckpointIO, Recorder
from emnist.runs.folder import PARTS, RunFolder, load_run

log = logging.getLogger(__name__)

LIBRARIES = ("torch", "lightning", "torchmetrics", "hydra-core", "numpy")
CHECKOUT = Path(__file__).resolve().parents[2] / ".git"


# What the run folder and the figures rely on, and so is not open to choice.
FIXED: dict[str, Any] = {
    "logger": False,  # the recorder writes metrics.csv and TensorBoard
    "enable_checkpointing": True,  # through the recorder
    "enable_model_summary": False,
    "enable_progress_bar": False,  # there is one among the callbacks
    "num_sanity_val_steps": 0,
    "check_val_every_n_epoch": 1,
    "val_check_interval": 1.0,
    "limit_val_batches": 1.0,
    "min_epochs": None,
    "max_steps": -1,
    "max_time": None,
    "fast_dev_run": False,
}


def fit(cfg: DictConfig, path: Path, resume: bool = False, progress_bar: bool = True) -> dict[str, Any]:
    """Train as `cfg` says, test with the best epoch, and leave everything about the run in the folder `path`.

    With `resume` it goes on after the last finished epoch of the run in the folder; a finished run's result
    is returned at once. Without, the folder may not hold a run. Returns what result.json holds. Raises
    UserError for what the configuration can't be. An error is left in failure.json until the run is resumed.
    """
    folder = RunFolder(path)
    if not resume and (folder.result.exists() or folder.last.exists()):
        raise UserError(f"{path} holds a run already: go on with it by resume={path}, or choose another folder")
    if (result := folder.read_result()) is not None:
        log.info("finished already")
        return result
    folder.failure.unlink(missing_ok=True)
    try:
        return train_and_test(cfg, folder, progress_bar)
    except Exception as error:
        with suppress(Exception):  # the disk may be what is full
            folder.write_json("failure.json", {"error": describe(error), "config": plain(cfg)})
        raise


def plain(cfg: DictConfig) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))


def check(config: dict[str, Any]) -> None:
    """Raises UserError for values of the run itself that can't be; the parts check their own."""
    if unknown := sorted(config.keys() - PARTS):
        raise UserError(f"{unknown[0]}: no such key; python -m emnist.train --help lists them")
    whole("trainer.max_epochs", config["trainer"]["max_epochs"])
    whole("seed", config["seed"], least=0, most=2**32 - 1)
    for key in ("threads", "patience"):
        if config[key] is not None:
            whole(key, config[key])


def train_and_test(cfg: DictConfig, folder: RunFolder, progress_bar: bool) -> dict[str, Any]:
    config, code = plain(cfg), commit()
    check(config)
    config["data"]["root"] = os.path.abspath(directory("data.root", config["data"]["root"]))
    if first_process():
        folder.clean()
        folder.write_text("config.yaml", OmegaConf.to_yaml(config))

    quiet_lightning()
    use_threads(config["threads"])
    hide_absent_gpu()
    L.seed_everything(config["seed"], verbose=False)
    data = DataModule(**config["data"], augmentation=config["augmentation"], seed=config["seed"])
    log.info("data: %s; training on %s", data.dataset.describe(), data.describe_fold())
    classes = data.dataset.classes
    network = build_model(num_classes=len(classes), **config["model"])
    classifier = Classifier(
        network,
        len(classes),
        config["optimizer"],
        config["scheduler"],
        config["regularization"],
        evaluated=data.evaluated,
        seed=config["seed"],
        about={"model": config["model"], "classes": list(classes), "mean": data.mean, "std": data.std},
    )
    recorder = Recorder(folder)
    trainer = build_trainer(config, recorder, early_stopping="val" in data.evaluated, progress_bar=progress_bar)
    parameters = sum(p.numel() for p in network.parameters())
    log.info("%s of %s parameters in %s", config["model"]["name"], f"{parameters:,}", trainer.precision)

    try:
        trainer.fit(classifier, data, ckpt_path=str(folder.last) if folder.last.exists() else None)
        stopped = recorder.stopped or "max_epochs"
    except Diverged:
        stopped = "diverged"
        log.warning("diverged in epoch %d: the loss is no longer finite", len(recorder.rows) + 1)
    if not trainer.is_global_zero:
        return {}

    device = trainer.strategy.root_device
    logits = None if stopped == "diverged" and not recorder.rows else predict_test_set(folder, data, device)
    result = {
        **final_figures(logits, data.dataset.test_labels),
        "val_accuracy": recorder.best.get("val_accuracy"),
        "best_epoch": recorder.best_epoch,
        "epochs": len(recorder.rows),
        "stopped": stopped,
        "parameters": parameters,
        "duration_s": round(recorder.seconds, 3),
        "images_per_s": recorder.images_per_s,
        "data": {
            "split": data.dataset.split,
            "description": data.dataset.describe(),
            "official": data.dataset.official,
            "train": len(data.train_indices),
            "val": len(data.val_indices),
            "test": len(data.dataset.test_labels),
            "fingerprint": data.dataset.fingerprint,
        },
        "config": config,
        "versions": {
            "emnist": emnist.__version__,
            "commit": code,
            "python": platform.python_version(),
            **{name: version(name) for name in LIBRARIES},
        },
        "device": {**describe_device(device), "precision": trainer.precision},
    }
    pngs = draw_figures(recorder, data, logits)
    for name, png in pngs.items():
        folder.write_bytes(f"figures/{name}.png", png)
    recorder.finish(pngs, result, network)
    # Last, since a result that exists says that the run is complete.
    folder.write_json("result.json", result)
    log.debug("test accuracy %s, validation accuracy %s", result["test_accuracy"], result["val_accuracy"])
    return result


@cache  # what runs is what was imported, whatever is checked out since
def commit() -> str | None:
    """The commit of the code that runs, with `-dirty` where files differ from it; None outside a checkout."""
    if not CHECKOUT.exists():
        return None
    command = ["git", "-C", str(CHECKOUT.parent), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def build_trainer(config: dict[str, Any], recorder: Recorder, early_stopping: bool, progress_bar: bool) -> L.Trainer:
    arguments = dict(config["trainer"])
    if fixed := sorted(arguments.keys() & {*FIXED, "callbacks", "plugins"}):
        raise UserError(f"trainer.{fixed[0]}: set by this project, not open to choice")
    arguments["precision"] = choose_precision(arguments["precision"], arguments["accelerator"])
    callbacks: list[Callback] = [recorder]
    if early_stopping and (patience := config["patience"]) is not None:
        callbacks.append(EarlyStopping("val_accuracy", mode="max", patience=patience))
    if progress_bar and Console().is_terminal:
        callbacks.append(ProgressBar())
    plugins: list[Any] = [AtomicCheckpointIO()]
    try:
        trainer = L.Trainer(**arguments, **FIXED, callbacks=callbacks, plugins=plugins)
    except Exception as error:  # Lightning has a dozen ways to refuse a value
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        raise UserError(f"trainer.strategy={arguments['strategy']}: spawned processes keep what they learn; choose ddp")
    if trainer.world_size > 1 and HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        raise UserError(f"trainer.devices={arguments['devices']}: one device a job in a multirun")
    return trainer


def predict_test_set(folder: RunFolder, data: DataModule, device: torch.device) -> Tensor:
    """Logits of the test set from the best epoch, as the classifier comes back from the folder.

    Writes predictions.npz.
    """
    logits = load_run(folder.path, device).logits(data.dataset.test_images)
    folder.write_arrays(
        "predictions.npz",
        label=data.dataset.test_labels.numpy(),
        predicted=logits.argmax(1).numpy(),
        probabilities=logits.softmax(1).numpy(),
    )
    return logits


def final_figures(logits: Tensor | None, labels: Tensor) -> dict[str, float | None]:
    """test_loss, test_accuracy and the rest; all None where the run diverged before an epoch was over."""
    if logits is None:
        return dict.fromkeys(f"test_{name}" for name in FIGURES)
    # One process has come this far, so there are no others to synchronise with.
    figures = EpochMetrics(logits.shape[1], synchronize=False)(logits, labels)
    return {f"test_{name}": value if math.isfinite(value) else None for name, value in figures.items()}


def draw_figures(recorder: Recorder, data: DataModule, logits: Tensor | None) -> dict[str, bytes]:
    """The figures of the run that there is data for, as PNG files."""
    drawn: dict[str, Figure] = {}
    about = data.dataset.describe()
    if recorder.rows:
        drawn["curves"] = figures.curves(recorder.rows, recorder.best_epoch, f"Measured on {about}")
    if logits is not None:
        classes = list(data.dataset.classes)
        images, labels = data.dataset.test_images.numpy(), data.dataset.test_labels.numpy()
        probabilities = logits.softmax(1).numpy()
        predicted = probabilities.argmax(1)
        title = f"Test accuracy {(predicted == labels).mean():.2%} of {len(labels):,} test images\n{about}"
        drawn["confusion"] = figures.confusion(labels, predicted, classes, title)
        drawn["predictions"] = figures.predictions(images, labels, predicted, classes, title)
        drawn["mistakes"] = figures.mistakes(images, labels, predicted, probabilities, classes, title)
    return {name: figures.png(figure) for name, figure in drawn.items()}
