"""What training produces, and that it is reproducible and honest."""

import csv
import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import emnist
from emnist.data.module import DataModule
from emnist.inference.calibration import fit_temperature
from emnist.models import build_model
from emnist.runs.folder import RunFolder
from emnist.training.classifier import Classifier
from emnist.training.metrics import EpochMetrics
from tests.fixtures.jobs import train_in
from tests.fixtures.real_data import real_data


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(RunFolder(folder).last, weights_only=True)["state_dict"]


def test_result_is_complete(trained):
    result = trained.read_result()
    assert result.stopped == "max_epochs"
    assert result.epochs == 3
    assert 1 <= result.best_epoch <= 3
    assert result.parameters == 8 * 9 + 16 + 8 * 16 * 9 + 32 + 16 * 49 * 47 + 47
    assert result.duration_s > 0
    assert result.images_per_s > 0
    assert result.config["model"]["filters"] == [8, 16]
    assert result.config["scheduler"]["T_max"] == 3  # resolved
    assert {"python", "torch", "lightning"} <= result.versions.keys()
    assert result.device["type"] == "cpu"
    data = result.data
    assert data.split == "glyphs"
    assert data.official is False
    assert (data.train, data.val, data.test) == (47 * 32, 47 * 8, 47 * 10)
    assert len(data.fingerprint) == 64
    metrics = ("test_accuracy", "test_loss", "test_top3_accuracy", "test_macro_f1", "test_ece", "val_accuracy")
    assert all(0 <= getattr(result, name) < 10 for name in metrics)
    assert result.test_balanced_accuracy == pytest.approx(result.test_accuracy)  # as many images of each class
    assert data.image_shape == (1, 28, 28)


def test_one_row_an_epoch(trained):
    result = trained.read_result()
    rows = list(csv.DictReader(trained.metrics.open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for part in ("train", "val", "test"):
        for metric in ("loss", "accuracy", "top3_accuracy", "macro_f1", "ece", "balanced_accuracy"):
            assert all(np.isfinite(float(row[f"{part}_{metric}"])) for row in rows)
    rates = [float(row["lr"]) for row in rows]
    assert rates == pytest.approx([0.001, 0.00075, 0.00025])  # the cosine over three epochs, as trained with
    best = max(rows, key=lambda row: float(row["val_accuracy"]))
    assert int(best["epoch"]) == result.best_epoch
    assert float(best["val_accuracy"]) == result.val_accuracy


def test_the_rate_of_every_step_is_that_of_the_schedule(small, tmp_path, monkeypatch):
    seen: list[float] = []
    step = Classifier.optimizer_step

    def noting(self, *arguments, **others):
        seen.append(self.optimizer.param_groups[0]["lr"])
        step(self, *arguments, **others)

    monkeypatch.setattr(Classifier, "optimizer_step", noting)
    train_in(tmp_path, *small, "scheduler=onecycle", "trainer.max_epochs=2", "+trainer.limit_train_batches=4")
    optimizer = torch.optim.SGD([torch.zeros(1)])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.001, total_steps=8)
    expected = []
    for _ in range(8):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert seen == expected
    assert [row["lr"] for row in RunFolder(tmp_path).read_metrics()] == [expected[0], expected[4]]


def test_predictions_give_the_test_accuracy(trained, characters):
    with np.load(trained.predictions) as saved:
        label, predicted, probabilities = saved["label"], saved["predicted"], saved["probabilities"]
    assert np.array_equal(label, characters.test_labels.numpy())
    assert probabilities.shape == (470, 47)
    assert np.array_equal(probabilities.argmax(1), predicted)
    assert (label == predicted).mean() == pytest.approx(trained.read_result().test_accuracy)


def test_the_temperature_is_that_of_the_validation_fold(trained, characters):
    result = trained.read_result()
    data = DataModule(**result.config["data"], augmentation={"name": "none"}, seed=0)
    classifier = emnist.load_run(trained.path)
    logits = classifier.logits(data.dataset.train_images[data.val_indices])
    labels = data.dataset.train_labels[data.val_indices]
    assert classifier.temperature == result.temperature == pytest.approx(fit_temperature(logits, labels))
    assert 0.1 < result.temperature < 10
    uncalibrated, calibrated = (
        EpochMetrics(47)(classifier.logits(characters.test_images) / t, characters.test_labels)["ece"]
        for t in (1, result.temperature)
    )
    assert result.test_ece == pytest.approx(uncalibrated, abs=1e-6)
    assert result.test_calibrated_ece == pytest.approx(calibrated, abs=1e-6)
    with np.load(trained.predictions) as saved:
        assert np.allclose(saved["probabilities"], classifier.predict(characters.test_images))


def test_without_validation_there_is_no_temperature(small, tmp_path):
    result = train_in(tmp_path, *small, "data.fold=null", "trainer.max_epochs=1")
    assert result.temperature is None
    assert result.test_calibrated_ece is None
    assert emnist.load_run(tmp_path).temperature == 1


def test_figures_are_pictures(trained):
    for name in ("curves", "confusion", "predictions", "mistakes", "explanations"):
        content = trained.figure(name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 10_000


@pytest.mark.parametrize("kind", ["random", "cutmix"])
def test_a_run_that_augments_shows_examples(kind, small, tmp_path):
    result = train_in(tmp_path, *small, f"augmentation={kind}", "trainer.max_epochs=1")
    assert (tmp_path / "figures/augmented.png").read_bytes().startswith(b"\x89PNG")
    assert result.test_accuracy > 1 / 47
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0}).Reload()
    assert "figures/augmented" in events.Tags()["images"]
    movement = RunFolder(tmp_path).read_augmentation()
    assert movement.moved > 0
    assert movement.images <= movement.among <= result.data.train


def test_a_run_that_does_not_has_none(trained):
    assert not trained.figure("augmented").exists()
    assert trained.read_augmentation() is None


def test_nothing_half_written_stays(trained):
    assert not list(trained.path.rglob("*.tmp"))
    assert {path.name for path in trained.best.parent.iterdir()} == {"best.ckpt", "last.ckpt", "checksums.json"}


def test_same_seed_same_bits(small, tmp_path):
    first, again, other = (
        train_in(tmp_path / name, *small, "augmentation=affine", f"seed={seed}")
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert (tmp_path / "first/metrics.csv").read_bytes() == (tmp_path / "again/metrics.csv").read_bytes()
    assert all(
        torch.equal(a, b) for a, b in zip(*(weights(tmp_path / n).values() for n in ("first", "again")), strict=True)
    )
    assert first.test_loss == again.test_loss != other.test_loss


def test_without_a_fold_all_is_trained_on_and_the_last_epoch_counts(small, tmp_path):
    result = train_in(tmp_path, *small, "data.fold=null", "scheduler=plateau", "patience=1")
    assert result.data.train == 47 * 40
    assert result.data.val == 0
    assert result.val_accuracy is None
    assert result.best_epoch == result.epochs == 3
    assert "val_loss" not in (tmp_path / "metrics.csv").read_text()


def test_the_test_images_choose_nothing(small, tmp_path, monkeypatch):
    """With other test labels the same epoch is best, with the same weights."""
    from emnist.data.sources import glyphs as source

    honest = train_in(tmp_path / "honest", *small, "scheduler=plateau", "patience=1")
    load = source._load

    def shuffled(*arguments):
        data = load(*arguments)
        return dataclasses.replace(data, test_labels=data.test_labels.flip(0))

    monkeypatch.setattr(source, "_load", shuffled)
    misled = train_in(tmp_path / "misled", *small, "scheduler=plateau", "patience=1")
    assert misled.test_accuracy < honest.test_accuracy
    assert misled.best_epoch == honest.best_epoch
    for name, weight in weights(tmp_path / "honest").items():
        assert torch.equal(weight, weights(tmp_path / "misled")[name])


def test_stops_early_without_improvement(small, tmp_path):
    result = train_in(tmp_path, *small, "optimizer.lr=0", "trainer.max_epochs=9", "patience=2")
    assert result.stopped == "early_stopping"
    assert result.epochs < 9


def test_divergence_is_a_result(small, tmp_path):
    result = train_in(tmp_path, *small, "optimizer=sgd", "optimizer.lr=1e30", "model.batch_norm=false")
    assert result.stopped == "diverged"
    assert result.epochs == 0
    assert result.test_accuracy is None
    assert result.best_epoch is None
    assert RunFolder(tmp_path).read_result() == result


def test_after_divergence_the_best_epoch_is_tested(small, tmp_path):
    """A rate that grows a thousandfold an epoch: the first epoch is fine, a later one isn't."""
    rising = ["optimizer=sgd", "optimizer.lr=0.01", "scheduler=step", "scheduler.step_size=1", "scheduler.gamma=1e20"]
    result = train_in(tmp_path, *small, *rising, "model.batch_norm=false")
    assert result.stopped == "diverged"
    assert result.epochs >= 1
    assert result.test_accuracy > 0
    assert emnist.load_run(tmp_path).predict(torch.zeros(1, 28, 28, dtype=torch.uint8)).isfinite().all()


def test_weights_ruined_by_the_last_step_of_an_epoch_count_as_diverged(small, tmp_path):
    """One step an epoch: its loss is finite, the weights after it aren't."""
    rate = ["optimizer=sgd", "optimizer.lr=1e38", "data.batch_size=10000"]
    result = train_in(tmp_path, *small, *rate, "model.batch_norm=false", "regularization=none")
    assert (result.stopped, result.epochs) == ("diverged", 0)
    assert not (tmp_path / "checkpoints/best.ckpt").exists()


def test_images_per_second_count_what_was_trained_on(small, tmp_path):
    result = train_in(tmp_path, *small, "+trainer.limit_train_batches=2", "data.batch_size=64")
    seen = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["callbacks"]["Recorder"]["images"]
    assert seen == 3 * 2 * 64
    assert result.images_per_s >= seen / result.duration_s


def test_precision_can_be_chosen(small, tmp_path):
    assert train_in(tmp_path, *small, "trainer.precision=32-true").device["precision"] == "32-true"


def test_threads(small, tmp_path):
    before = torch.get_num_threads()
    assert train_in(tmp_path / "one", *small, "threads=1", "trainer.max_epochs=1").device["threads"] == 1
    train_in(tmp_path / "all", *small, "trainer.max_epochs=1")
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("model", ["mlp", "cnn", "resnet", "vgg5_spinal", "wavemix_lite"])
def test_two_steps_of_training_change_every_weight(model, glyphs, tmp_path):
    overrides = [*glyphs, f"model={model}", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
    if model == "resnet":
        overrides += ["model.filters=[4,8,8]", "model.kernel_size=3", "model.blocks=[1,1,1]"]
    elif model == "vgg5_spinal":
        overrides += ["model.filters=[4,8]", "model.convolutions=[1,2]", "model.neurons=16"]
    elif model == "wavemix_lite":
        overrides += ["model.channels=8", "model.blocks=2"]
    train_in(tmp_path, *overrides, "optimizer.lr=0.5", "trainer.precision=32-true")
    torch.manual_seed(0)
    about = torch.load(tmp_path / "checkpoints/best.ckpt", weights_only=True)["about"]
    fresh = build_model(num_classes=47, **about["model"])
    trained = {k.removeprefix("network."): v for k, v in weights(tmp_path).items()}
    for name, parameter in fresh.named_parameters():
        assert not torch.equal(parameter, trained[name]), name


@real_data
def test_an_mlp_reads_real_handwriting(tmp_path):
    result = train_in(tmp_path, "model=mlp", "trainer.max_epochs=3", f"data.root={os.environ['EMNIST_ROOT']}")
    assert result.test_accuracy > 0.6
