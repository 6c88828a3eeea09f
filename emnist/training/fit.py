"""The torch part of a job: build, train, test the best epoch, write the artifacts."""

import logging
import os
from typing import Any

import lightning as L

from emnist.checks import directory, validate
from emnist.data.module import DataModule
from emnist.inference.device import describe_device
from emnist.models import build_model
from emnist.runs.config import RunConfig
from emnist.runs.folder import RunFolder
from emnist.runs.provenance import versions
from emnist.runs.result import DIVERGED, DataSummary, Result
from emnist.training.classifier import Classifier, Diverged
from emnist.training.console import first_process, quiet_lightning
from emnist.training.evaluation import draw_figures, predict_test_set, test_metrics
from emnist.training.hardware import hide_absent_gpu, use_threads
from emnist.training.recorder import Recorder
from emnist.training.trainer import build_trainer

log = logging.getLogger(__name__)


def fit(config: dict[str, Any], folder: RunFolder, progress_bar: bool = False) -> Result | None:
    """Train with the resolved configuration and leave all artifacts of the run in `folder`.

    If the folder holds last.ckpt, training continues after that epoch. Returns the result, None in the secondary
    processes of a distributed run. Raises UserError if the configuration is invalid.
    """
    validate(RunConfig, config)
    config["data"]["root"] = os.path.abspath(directory("data.root", config["data"]["root"]))
    code = versions()
    if first_process():
        folder.clean()
        folder.write_config(config)

    quiet_lightning()
    use_threads(config["threads"])
    hide_absent_gpu()
    L.seed_everything(config["seed"], verbose=False)
    data = DataModule(**config["data"], augmentation=config["augmentation"], seed=config["seed"])
    log.info("data: %s; training on %s", data.dataset.describe(), data.describe_fold())
    classifier = build_classifier(config, data)
    recorder = Recorder(folder)
    trainer = build_trainer(config, recorder, early_stopping="val" in data.evaluated, progress_bar=progress_bar)
    parameters = classifier.parameter_count
    log.info("%s with %s parameters in %s", config["model"]["name"], f"{parameters:,}", trainer.precision)

    stopped = train(trainer, classifier, data, recorder)
    if not trainer.is_global_zero:
        return None

    device = trainer.strategy.root_device
    logits = predict_test_set(folder, data, device) if recorder.rows else None  # None: diverged in the first epoch
    result = Result(
        **test_metrics(logits, data.dataset.test_labels),
        val_accuracy=recorder.best.get("val_accuracy"),
        best_epoch=recorder.best_epoch,
        epochs=len(recorder.rows),
        stopped=stopped,
        parameters=parameters,
        duration_s=round(recorder.seconds, 3),
        images_per_s=recorder.images_per_s,
        data=DataSummary(
            split=data.dataset.split,
            description=data.dataset.describe(),
            official=data.dataset.official,
            train=len(data.train_indices),
            val=len(data.val_indices),
            test=len(data.dataset.test_labels),
            fingerprint=data.dataset.fingerprint,
        ),
        config=config,
        versions=code,
        device={**describe_device(device), "precision": trainer.precision},
    )
    figures = draw_figures(recorder, data, logits)
    for name, png in figures.items():
        folder.write_figure(name, png)
    recorder.finish(figures, result, classifier.network)
    folder.write_result(result)  # last: a result that exists says that the run is complete
    log.debug("test accuracy %s, validation accuracy %s", result.test_accuracy, result.val_accuracy)
    return result


def build_classifier(config: dict[str, Any], data: DataModule) -> Classifier:
    """The network with its loss, optimizer and schedule. Raises UserError if the configuration is invalid."""
    classes = data.dataset.classes
    return Classifier(
        build_model(num_classes=len(classes), **config["model"]),
        len(classes),
        config["optimizer"],
        config["scheduler"],
        config["regularization"],
        evaluated=data.evaluated,
        seed=config["seed"],
        about={"model": config["model"], "classes": list(classes), "mean": data.mean, "std": data.std},
    )


def train(trainer: L.Trainer, classifier: Classifier, data: DataModule, recorder: Recorder) -> str:
    """Run all epochs that are left; returns why training stopped: max_epochs, early_stopping or diverged."""
    last = recorder.folder.last
    try:
        trainer.fit(classifier, data, ckpt_path=str(last) if last.exists() else None)
    except Diverged:
        log.warning("diverged in epoch %d: the loss is infinite or NaN", len(recorder.rows) + 1)
        return DIVERGED
    return recorder.stopped or "max_epochs"
