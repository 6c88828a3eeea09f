import json
import logging
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, RichProgressBar
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from torch import Tensor

from emnist import figures
from emnist.checks import whole
from emnist.classifier import Classifier, Diverged
from emnist.console import print_result, quiet_lightning
from emnist.data.module import DataModule
from emnist.errors import UserError
from emnist.hardware import choose_precision, describe_device, hide_absent_gpu
from emnist.metrics import FIGURES, EpochMetrics
from emnist.models import build_model
from emnist.recorder import AtomicCheckpointIO, Recorder
from emnist.run_folder import RunFolder, load_run

log = logging.getLogger(__name__)

LIBRARIES = ("emnist", "torch", "lightning", "torchmetrics", "hydra-core", "numpy")


def fit(cfg: DictConfig, path: Path) -> dict[str, Any]:
    """Train as `cfg` says, test with the best epoch, and leave everything about the run in the folder `path`.

    Goes on after the last finished epoch if the folder has one; returns the result at once if the run was
    finished. Returns what result.json holds. Raises UserError for what the configuration can't be.
    """
    folder = RunFolder(path)
    if (result := folder.read_result()) is not None:
        log.info("finished already")
        print_result(result, path)
        return result
    config = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    if rank_zero_only.rank == 0:
        folder.clean()
        folder.write_text(".hydra/config.yaml", OmegaConf.to_yaml(config))  # resolved: a resume needs no environment

    quiet_lightning()
    hide_absent_gpu()
    L.seed_everything(whole("seed", config["seed"], least=0, most=2**32 - 1), verbose=False)
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
    trainer = build_trainer(config, recorder, early_stopping="val" in data.evaluated)
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
        **test_figures(logits, data.dataset.test_labels),
        "val_accuracy": recorder.best.get("val_accuracy"),
        "best_epoch": recorder.best_epoch,
        "epochs": len(recorder.rows),
        "stopped": stopped,
        "parameters": parameters,
        "duration_s": round(recorder.seconds, 3),
        "images_per_s": recorder.images_per_s(len(data.train_indices)),
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
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "device": {**describe_device(device), "precision": trainer.precision},
    }
    pngs = draw_figures(recorder, data, logits)
    for name, png in pngs.items():
        folder.write_bytes(f"figures/{name}.png", png)
    recorder.finish(pngs, result)
    folder.write_text("result.json", json.dumps(result, indent=2) + "\n")  # last: a result that exists is complete
    print_result(result, path)
    return result


def build_trainer(config: dict[str, Any], recorder: Recorder, early_stopping: bool) -> L.Trainer:
    arguments = dict(config["trainer"])
    whole("trainer.max_epochs", arguments["max_epochs"])
    arguments["precision"] = choose_precision(arguments["precision"], arguments["accelerator"])
    callbacks: list[Callback] = [recorder]
    if early_stopping and (patience := config["patience"]) is not None:
        callbacks.append(EarlyStopping("val_accuracy", mode="max", patience=whole("patience", patience)))
    if Console().is_terminal:
        callbacks.append(RichProgressBar(refresh_rate=10))
    try:
        return L.Trainer(
            **arguments,
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO()],
            logger=False,  # the recorder writes metrics.csv and TensorBoard
            enable_checkpointing=True,
            enable_progress_bar=Console().is_terminal,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error


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


def test_figures(logits: Tensor | None, labels: Tensor) -> dict[str, float | None]:
    """test_loss, test_accuracy and the rest; all None where the run diverged before an epoch was over."""
    if logits is None:
        return dict.fromkeys(f"test_{name}" for name in FIGURES)
    return {f"test_{name}": value for name, value in EpochMetrics(logits.shape[1])(logits, labels).items()}


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
        title = f"Test accuracy {(predicted == labels).mean():.2%} of {len(labels):,} test images ({about})"
        drawn["confusion"] = figures.confusion(labels, predicted, classes, title)
        drawn["predictions"] = figures.predictions(images, labels, predicted, classes, title)
        drawn["mistakes"] = figures.mistakes(images, labels, predicted, probabilities, classes, title)
    return {name: figures.png(figure) for name, figure in drawn.items()}
