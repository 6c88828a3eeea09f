"""The torch part of a job: build, train, test the best epoch, write the artifacts."""

import logging
import os
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch

from emnist.checks import directory, validate
from emnist.data.batches import normalize
from emnist.data.module import DataModule
from emnist.inference.device import describe_device
from emnist.models import build_model
from emnist.models.compact import Compact
from emnist.runs.config import RunConfig
from emnist.runs.folder import RunFolder
from emnist.runs.provenance import versions
from emnist.runs.result import DIVERGED, DataSummary, Origin, Result
from emnist.training.captured import capture_steps
from emnist.training.classifier import Classifier, Diverged
from emnist.training.console import first_process, quiet_lightning
from emnist.training.distillation import build_teachers, find_teachers
from emnist.training.evaluation import augmented_movement, draw_figures, test_best_epoch, test_metrics
from emnist.training.hardware import hide_absent_gpu, use_threads
from emnist.training.init import Source, find_source, fine_tuning, seen_in_training
from emnist.training.recorder import AfterEpoch, Recorder, Stopped
from emnist.training.trainer import build_trainer

log = logging.getLogger(__name__)

FITTED = 5000  # training images at most that a whitening stem is fitted to: 0.1 s


@dataclass
class Training:
    """What a run needs to be trained: data, network and the record of its epochs."""

    config: dict[str, Any]
    data: DataModule
    classifier: Classifier
    recorder: Recorder
    code: dict[str, str | None]  # versions

    @property
    def folder(self) -> RunFolder:
        return self.recorder.folder


def fit(
    config: dict[str, Any], folder: RunFolder, progress_bar: bool = False, after_epoch: AfterEpoch | None = None
) -> Result | None:
    """Train with the resolved configuration and leave all artifacts of the run in `folder`.

    If the folder holds last.ckpt, training continues after that epoch. Returns the result; None if `after_epoch`
    stopped the run, and in the secondary processes of a distributed run. Raises UserError if the configuration is
    invalid.
    """
    set_up_process(config)
    training = prepare(config, folder)
    data, recorder = training.data, training.recorder
    recorder.after_epoch = after_epoch
    trainer = build_trainer(config, recorder, early_stopping="val" in data.evaluated, progress_bar=progress_bar)
    log.debug("training in %s", trainer.precision)
    capture_steps(config, trainer, training.classifier, data)
    try:
        stopped = train(trainer, training.classifier, data, recorder)
    except Stopped:
        log.info("stopped after epoch %d; resume=%s trains the rest", len(recorder.rows), folder.path)
        return None
    if not trainer.is_global_zero:
        return None
    return finish(training, stopped, trainer.strategy.root_device, trainer.precision)


def set_up_process(config: dict[str, Any]) -> None:
    """Threads, devices and the output of libraries. Raises UserError if a run-level key is invalid."""
    validate(RunConfig, config)
    quiet_lightning()
    use_threads(config["threads"])
    hide_absent_gpu()


def prepare(config: dict[str, Any], folder: RunFolder, log: logging.Logger = log) -> Training:
    """Load the data and build the network. Raises UserError if the configuration is invalid."""
    validate(RunConfig, config)
    config["data"]["root"] = os.path.abspath(directory("data.root", config["data"]["root"]))
    code = versions()
    if folder.last.exists():
        folder.verify(folder.best)  # now, not when all epochs are trained
    source = find_source(config["init"], folder.last) if config.get("init") else None
    find_teachers(config.get("loss", {}))  # whose sha256 is written with the configuration
    if first_process():
        folder.clean()
        folder.write_config(config)
    L.seed_everything(config["seed"], verbose=False)
    data = DataModule(**config["data"], augmentation=config["augmentation"], seed=config["seed"])
    log.info("data: %s; training on %s", data.dataset.describe(), data.describe_fold())
    seen = None if source is None else seen_in_training(source, config["data"], data.dataset.fingerprint)
    for line in [*data.warnings(), *([seen] if seen else [])]:
        log.warning(line)
    if source is not None:  # the features of an image are then those that they were
        data.mean, data.std = source.classifier.mean, source.classifier.std
    classifier = build_classifier(config, data, source)
    log.info("%s with %s parameters", config["model"]["name"], f"{classifier.parameter_count:,}")
    if classifier.tuning is not None and not folder.last.exists():
        known, classes = len(classifier.tuning.known), len(data.dataset.classes)
        about = classifier.about["init"]
        log.info("init: %s, epoch %d; the head knows %d of %d classes", about["run"], about["epoch"], known, classes)
        opens, epochs = classifier.tuning.unfreeze_epoch, config["trainer"]["max_epochs"]
        if opens is not None and opens >= epochs:
            log.warning("init.unfreeze_epoch=%d: training ends before, after trainer.max_epochs=%d", opens, epochs)
    return Training(config, data, classifier, Recorder(folder, log), code)


def finish(training: Training, stopped: str, device: torch.device, precision: str, together: int = 1) -> Result:
    """Test the best epoch and write all artifacts of a trained run; `together` is how many shared its steps."""
    config, data, classifier, recorder = training.config, training.data, training.classifier, training.recorder
    folder = training.folder
    views = config.get("evaluation", {}).get("views", 0)
    tested = test_best_epoch(folder, data, device, views) if recorder.rows else None  # None: diverged in epoch 1
    if recorder.rows:  # again, since the file of a resumed run may be damaged
        folder.write_metrics(recorder.rows)
    if data.augmentation is not None:
        augmented_movement(data).write(folder.augmentation)
    result = Result(
        **test_metrics(tested, data.dataset.test_labels),
        temperature=tested.classifier.temperature if tested and tested.temperature is not None else None,
        views_temperature=tested.temperature if tested and views else None,
        val_accuracy=tested.val_accuracy if tested and views else recorder.best.get("val_accuracy"),
        best_epoch=recorder.best_epoch,
        epochs=len(recorder.rows),
        stopped=stopped,
        parameters=classifier.parameter_count,
        duration_s=round(recorder.seconds, 3),
        images_per_s=recorder.images_per_s,
        together=together,
        data=DataSummary(
            split=data.dataset.split,
            description=data.dataset.describe(),
            official=data.dataset.official,
            train=len(data.train_indices),
            val=len(data.val_indices),
            test=len(data.dataset.test_labels),
            fingerprint=data.dataset.fingerprint,
            image_shape=data.dataset.image_shape,
        ),
        init=Origin(**classifier.about["init"]) if "init" in classifier.about else None,
        teachers=[Origin(**origin) for origin in classifier.about.get("teachers", [])],
        config=config,
        versions=training.code,
        device={**describe_device(device), "precision": precision},
        checksums=folder.checksums(),
    )
    figures = draw_figures(recorder, data, tested)
    for name, png in figures.items():
        folder.write_figure(name, png)
    recorder.finish(figures, result, classifier.network)
    folder.write_result(result)  # last: a result that exists says that the run is complete
    recorder.logger.debug("test accuracy %s, validation accuracy %s", result.test_accuracy, result.val_accuracy)
    return result


def build_classifier(config: dict[str, Any], data: DataModule, source: Source | None = None) -> Classifier:
    """The network with its loss, optimizer and schedule. Raises UserError if the configuration is invalid."""
    classes, shape = data.dataset.classes, data.dataset.image_shape
    network = build_model(num_classes=len(classes), image_shape=shape, **config["model"])
    if isinstance(network, Compact):
        some = data.train_indices[:: -(-len(data.train_indices) // FITTED)]  # of all classes, if they are in order
        network.fit_stem(normalize(data.dataset.train_images[some], data.mean, data.std))
    about: dict[str, Any] = {
        "model": config["model"],
        "classes": list(classes),
        "mean": data.mean,
        "std": data.std,
        "image_shape": list(shape),
    }
    teachers, origins = build_teachers(config, data)
    if teachers is not None:
        about["teachers"] = origins
    tuning = None
    if source is not None:
        tuning = fine_tuning(network, config["model"], classes, source, config["init"])
        about["init"] = source.origin
    return Classifier(
        network,
        len(classes),
        config["optimizer"],
        config["scheduler"],
        config["regularization"],
        evaluated=data.evaluated,
        seed=config["seed"],
        about=about,
        tuning=tuning,
        loss=config.get("loss"),
        averaging=config.get("averaging"),
        teachers=teachers,
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
