"""What a run leaves behind, and that it means what it says."""

import csv
import dataclasses
import json
import os

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import emnist
from emnist.data.sources.glyphs import load_glyphs
from emnist.errors import UserError
from emnist.models import build_model
from emnist.runs.folder import RunFolder
from tests.conftest import configure, real_data, train_in


@pytest.fixture(scope="module")
def run(tmp_path_factory, glyphs):
    """A finished run of a small CNN: its folder and its result."""
    folder = tmp_path_factory.mktemp("run")
    cnn = ["model=cnn", "model.filters=[8,16]", "model.kernel_sizes=[3,3]", "model.dropout=0.1"]
    return folder, train_in(folder, *glyphs, *cnn, "trainer.max_epochs=3", "trainer.accelerator=cpu")


@pytest.fixture(scope="module")
def characters(glyphs):
    root = glyphs[1].removeprefix("data.root=")
    data = load_glyphs(root, 0, 40, 10)
    return data.test_images, data.test_labels


def test_result_is_complete(run):
    folder, result = run
    assert json.loads((folder / "result.json").read_text()) == result
    assert result["stopped"] == "max_epochs"
    assert result["epochs"] == 3
    assert 1 <= result["best_epoch"] <= 3
    assert result["parameters"] == 8 * 9 + 16 + 8 * 16 * 9 + 32 + 16 * 49 * 47 + 47
    assert result["duration_s"] > 0
    assert result["images_per_s"] > 0
    assert result["config"]["model"]["filters"] == [8, 16]
    assert result["config"]["scheduler"]["T_max"] == 3  # resolved
    assert {"python", "torch", "lightning"} <= result["versions"].keys()
    assert result["device"]["type"] == "cpu"
    data = result["data"]
    assert data["split"] == "glyphs"
    assert data["official"] is False
    assert (data["train"], data["val"], data["test"]) == (47 * 32, 47 * 8, 47 * 10)
    assert len(data["fingerprint"]) == 64
    for name in ("test_accuracy", "test_loss", "test_top3_accuracy", "test_macro_f1", "test_ece", "val_accuracy"):
        assert 0 <= result[name] < 10


def test_one_row_an_epoch(run):
    folder, result = run
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for part in ("train", "val", "test"):
        for figure in ("loss", "accuracy", "top3_accuracy", "macro_f1", "ece"):
            assert all(np.isfinite(float(row[f"{part}_{figure}"])) for row in rows)
    rates = [float(row["lr"]) for row in rows]
    assert rates == pytest.approx([0.001, 0.00075, 0.00025])  # the cosine over three epochs, as trained with
    best = max(rows, key=lambda row: float(row["val_accuracy"]))
    assert int(best["epoch"]) == result["best_epoch"]
    assert float(best["val_accuracy"]) == result["val_accuracy"]


def test_predictions_give_the_test_accuracy(run, characters):
    folder, result = run
    with np.load(folder / "predictions.npz") as saved:
        label, predicted, probabilities = saved["label"], saved["predicted"], saved["probabilities"]
    assert np.array_equal(label, characters[1].numpy())
    assert probabilities.shape == (470, 47)
    assert np.array_equal(probabilities.argmax(1), predicted)
    assert (label == predicted).mean() == pytest.approx(result["test_accuracy"])


def test_figures_are_pictures(run):
    folder, _ = run
    for name in ("curves", "confusion", "predictions", "mistakes"):
        content = (folder / "figures" / f"{name}.png").read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 10_000


def test_tensorboard_has_scalars_images_and_hyperparameters(run):
    folder, result = run
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0}).Reload()
    tags = events.Tags()
    accuracies = events.Scalars("accuracy/test")
    assert [event.step for event in accuracies] == [1, 2, 3]
    assert accuracies[result["best_epoch"] - 1].value == pytest.approx(result["test_accuracy"], abs=0.01)
    assert {f"{figure}/{part}" for figure in ("loss", "accuracy") for part in ("train", "val", "test")} <= set(
        tags["scalars"]
    )
    assert {"figures/curves", "figures/confusion", "figures/predictions", "figures/mistakes"} <= set(tags["images"])
    assert events.Scalars("final/test_accuracy")[0].value == pytest.approx(result["test_accuracy"])
    hparams = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"model.filters" in hparams


def test_nothing_half_written_stays(run):
    folder, _ = run
    assert not list(folder.rglob("*.tmp"))
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_loaded_run_predicts_as_it_did(run, characters):
    folder, _ = run
    images, _ = characters
    classifier = emnist.load_run(folder)
    probabilities = classifier.predict(images)
    assert probabilities.dtype == torch.float32
    assert len(classifier.classes) == 47
    assert torch.allclose(probabilities.sum(1), torch.ones(470), atol=1e-5)
    with np.load(folder / "predictions.npz") as saved:
        assert np.array_equal(saved["probabilities"], probabilities.numpy())
    assert torch.equal(classifier.predict(images.numpy()), probabilities)
    flipped = classifier.predict(images.flip(2))
    assert torch.equal(classifier.predict(images.numpy()[:, :, ::-1]), flipped)


@pytest.mark.parametrize("images", [torch.zeros(3, 28, 28), torch.zeros(3, 27, 28, dtype=torch.uint8)])
def test_loaded_run_refuses_other_images(run, images):
    with pytest.raises(ValueError, match=r"give uint8 \[N, 28, 28\]"):
        emnist.load_run(run[0]).predict(images)


def test_checkpoint_of_a_stranger_runs_no_code(small, tmp_path):
    class Attack:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "owned"),))

    for name in ("best", "last"):
        path = tmp_path / "checkpoints" / f"{name}.ckpt"
        path.parent.mkdir(exist_ok=True)
        torch.save({"state_dict": {}, "about": Attack()}, path)
    with pytest.raises(UserError, match="best.ckpt: not a checkpoint of this project"):
        emnist.load_run(tmp_path)
    with pytest.raises(UserError, match="last.ckpt: not a checkpoint of this project"):
        train_in(tmp_path, *small, resume=True)
    assert not (tmp_path / "owned").exists()


def test_no_run_to_load(tmp_path):
    with pytest.raises(UserError, match="not the folder of a run with a finished epoch"):
        emnist.load_run(tmp_path)


def weights(folder) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_same_seed_same_bits(small, tmp_path):
    first, again, other = (
        train_in(tmp_path / name, *small, "augmentation=affine", f"seed={seed}")
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert (tmp_path / "first/metrics.csv").read_bytes() == (tmp_path / "again/metrics.csv").read_bytes()
    assert all(
        torch.equal(a, b) for a, b in zip(*(weights(tmp_path / n).values() for n in ("first", "again")), strict=True)
    )
    assert first["test_loss"] == again["test_loss"] != other["test_loss"]


def test_without_a_fold_all_is_trained_on_and_the_last_epoch_counts(small, tmp_path):
    result = train_in(tmp_path, *small, "data.fold=null", "scheduler=plateau", "patience=1")
    assert result["data"]["train"] == 47 * 40
    assert result["data"]["val"] == 0
    assert result["val_accuracy"] is None
    assert result["best_epoch"] == result["epochs"] == 3
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
    assert misled["test_accuracy"] < honest["test_accuracy"]
    assert misled["best_epoch"] == honest["best_epoch"]
    for name, weight in weights(tmp_path / "honest").items():
        assert torch.equal(weight, weights(tmp_path / "misled")[name])


def test_stops_early_without_improvement(small, tmp_path):
    result = train_in(tmp_path, *small, "optimizer.lr=0", "trainer.max_epochs=9", "patience=2")
    assert result["stopped"] == "early_stopping"
    assert result["epochs"] < 9


def test_divergence_is_a_result(small, tmp_path):
    result = train_in(tmp_path, *small, "optimizer=sgd", "optimizer.lr=1e30", "model.batch_norm=false")
    assert result["stopped"] == "diverged"
    assert result["epochs"] == 0
    assert result["test_accuracy"] is None
    assert result["best_epoch"] is None
    assert json.loads((tmp_path / "result.json").read_text()) == result


def test_after_divergence_the_best_epoch_is_tested(small, tmp_path):
    """A rate that grows a thousandfold an epoch: the first epoch is fine, a later one isn't."""
    rising = ["optimizer=sgd", "optimizer.lr=0.01", "scheduler=step", "scheduler.step_size=1", "scheduler.gamma=1e20"]
    result = train_in(tmp_path, *small, *rising, "model.batch_norm=false")
    assert result["stopped"] == "diverged"
    assert result["epochs"] >= 1
    assert result["test_accuracy"] > 0
    assert emnist.load_run(tmp_path).predict(torch.zeros(1, 28, 28, dtype=torch.uint8)).isfinite().all()


def test_precision_can_be_chosen(small, tmp_path):
    assert train_in(tmp_path, *small, "trainer.precision=32-true")["device"]["precision"] == "32-true"


def test_a_finished_run_is_not_run_again(small, tmp_path):
    first = train_in(tmp_path, *small)
    before = (tmp_path / "checkpoints/last.ckpt").stat().st_mtime_ns
    assert train_in(tmp_path, *small, resume=True) == first
    assert (tmp_path / "checkpoints/last.ckpt").stat().st_mtime_ns == before


def test_a_failure_is_recorded_until_the_run_is_taken_up_again(small, tmp_path):
    failure = RunFolder(tmp_path).failure
    with pytest.raises(UserError):
        train_in(tmp_path, *small, "model.activation=tan")
    content = json.loads(failure.read_text())
    assert "model.activation=tan: unknown" in content["error"]
    assert content["config"]["model"]["activation"] == "tan"
    train_in(tmp_path, *small)
    assert not failure.exists()
    with pytest.raises(UserError, match="holds a run already"):
        train_in(tmp_path, *small)
    assert not failure.exists()  # that is no failure of the run in it


def test_threads(small, tmp_path):
    before = torch.get_num_threads()
    assert train_in(tmp_path / "one", *small, "threads=1", "trainer.max_epochs=1")["device"]["threads"] == 1
    train_in(tmp_path / "all", *small, "trainer.max_epochs=1")
    assert torch.get_num_threads() == before


def test_a_folder_that_holds_a_run_is_not_taken_over(small, tmp_path):
    train_in(tmp_path, *small)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="holds a run already: go on with it by resume="):
        train_in(tmp_path, *small, "seed=3")
    (tmp_path / "result.json").unlink()  # as if it had been interrupted
    with pytest.raises(UserError, match="holds a run already"):
        train_in(tmp_path, *small, "seed=3")
    assert all(path.read_bytes() == content for path, content in before.items() if path.name != "result.json")


def test_weights_ruined_by_the_last_step_of_an_epoch_count_as_diverged(small, tmp_path):
    """One step an epoch: its loss is finite, the weights after it aren't."""
    rate = ["optimizer=sgd", "optimizer.lr=1e38", "data.batch_size=10000"]
    result = train_in(tmp_path, *small, *rate, "model.batch_norm=false", "regularization=none")
    assert (result["stopped"], result["epochs"]) == ("diverged", 0)
    assert not (tmp_path / "checkpoints/best.ckpt").exists()


def test_images_per_second_count_what_was_trained_on(small, tmp_path):
    result = train_in(tmp_path, *small, "+trainer.limit_train_batches=2", "data.batch_size=64")
    seen = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["callbacks"]["Recorder"]["images"]
    assert seen == 3 * 2 * 64
    assert result["images_per_s"] >= seen / result["duration_s"]


@pytest.mark.parametrize("model", ["mlp", "cnn", "resnet"])
def test_two_steps_of_training_change_every_weight(model, glyphs, tmp_path):
    overrides = [*glyphs, f"model={model}", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
    if model == "resnet":
        overrides += ["model.filters=[4,8,8]", "model.kernel_size=3", "model.blocks=[1,1,1]"]
    train_in(tmp_path, *overrides, "optimizer.lr=0.5", "trainer.precision=32-true")
    torch.manual_seed(0)
    about = torch.load(tmp_path / "checkpoints/best.ckpt", weights_only=True)["about"]
    fresh = build_model(num_classes=47, **about["model"])
    trained = {k.removeprefix("network."): v for k, v in weights(tmp_path).items()}
    for name, parameter in fresh.named_parameters():
        assert not torch.equal(parameter, trained[name]), name


def test_experiments_are_the_reports():
    best = configure("experiment=mlp_best")
    assert (best.model.hidden_layers, best.model.neurons, best.model.activation) == (3, 128, "elu")
    assert (best.optimizer.name, best.optimizer.lr, best.optimizer.momentum) == ("SGD", 0.1, 0)
    assert (best.scheduler.name, best.scheduler.step_size, best.scheduler.gamma) == ("StepLR", 10, 0.5)
    assert (best.regularization.name, best.regularization.strength) == ("l1", 1e-5)
    assert best.model.dropout == [0.25, 0.25, 0]
    baseline = configure("experiment=mlp_baseline")
    assert (baseline.optimizer.name, baseline.optimizer.lr, baseline.scheduler.name) == ("Adam", 0.1, None)
    assert (baseline.regularization.strength, baseline.model.dropout) == (1e-5, [0.25, 0.25, 0])
    cnn = configure("experiment=cnn_best")
    assert (cnn.model.filters, cnn.model.kernel_sizes, cnn.model.activation) == ([32, 64, 128], [5, 5, 3], "leaky")
    first = configure("experiment=cnn_baseline")
    assert (first.model.filters, first.model.kernel_sizes, first.model.activation) == ([32, 64], [3, 3], "relu")
    assert (first.model.dropout, cnn.model.dropout) == (0.5, 0)
    resnet = configure("experiment=resnet_best")
    assert (resnet.model.blocks, resnet.model.filters, resnet.model.kernel_size) == ([2, 2, 2], [64, 128, 256], 5)
    assert (resnet.model.activation, resnet.model.dropout) == ("leaky", 0)
    for config in (cnn, first, resnet):
        assert (config.optimizer.name, config.model.batch_norm) == ("Adam", True)
        assert (config.scheduler.name, config.regularization.name) == ("CosineAnnealingLR", "none")


@real_data
def test_an_mlp_reads_real_handwriting(tmp_path):
    result = train_in(tmp_path, "model=mlp", "trainer.max_epochs=3", f"data.root={os.environ['EMNIST_ROOT']}")
    assert result["test_accuracy"] > 0.6
