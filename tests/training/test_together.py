"""Runs that are trained together, on stacked weights, against the same runs alone."""

import csv
import re
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import emnist
from emnist.data.module import DataModule
from emnist.runs.folder import RunFolder
from emnist.runs.result import Result
from emnist.training import fit
from emnist.training.job import JobFailed, run_together
from emnist.training.recorder import Recorder
from emnist.training.together import Member, gather
from tests.fixtures.configuration import configure
from tests.fixtures.jobs import train_in
from tests.fixtures.resuming import Killed, die_in, same_runs

EPOCHS = 4
BASE = ["model=mlp", "model.hidden_layers=2", "model.neurons=16", f"trainer.max_epochs={EPOCHS}", "threads=1"]
BASE += ["trainer.accelerator=cpu", "trainer.precision=32-true", "model.dropout=0.2"]
RUNS = {
    "sgd": ["optimizer=sgd", "scheduler=step", "scheduler.step_size=2", "regularization=l1", "model.dropout=[0.25,0]"],
    "adam": ["scheduler=plateau", "scheduler.patience=0", "optimizer.lr=0.01", "regularization=l2", "data.fold=1"],
    "rmsprop": ["optimizer=rmsprop", "scheduler=onecycle", "augmentation=affine", "model.dropout=0", "data.fold=2"],
    "early": ["optimizer.lr=0", "patience=1"],
    "wild": ["optimizer=sgd", "optimizer.lr=1e30", "model.dropout=0"],
}
RUNS["adam"] += ["model.dropout=[0,0.5]", "seed=1"]
RUNS["rmsprop"] += ["seed=7"]


@cache  # composing takes 60 ms
def configured(*overrides: str) -> dict:
    return OmegaConf.to_container(configure(*overrides), resolve=True)  # type: ignore[return-value]


def write(folder: Path, runs: dict[str, list[str]]) -> list[Path]:
    """A folder for each of these runs, with its configuration."""
    for name, overrides in runs.items():
        RunFolder(folder / name).write_config(configured(*BASE, *overrides))
    return [folder / name for name in runs]


def result_of(path: Path) -> Result:
    result = RunFolder(path).read_result()
    assert result is not None
    return result


def rows(path: Path) -> np.ndarray:
    return np.loadtxt(path / "metrics.csv", delimiter=",", skiprows=1, ndmin=2)


def files(path: Path) -> set[str]:
    names = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    return {re.sub(r"(tfevents).*", r"\1", name) for name in names}


@pytest.fixture(scope="module")
def runs(glyphs) -> dict[str, list[str]]:
    return {name: [*glyphs, *overrides] for name, overrides in RUNS.items()}


@pytest.fixture(scope="module")
def together(tmp_path_factory, runs) -> Path:
    """The folder of all runs, trained together. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("together")
    run_together(write(folder, runs))
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory, runs) -> Path:
    """The folder of the same runs, trained by Lightning one after another. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("alone")
    for name, overrides in runs.items():
        train_in(folder / name, *BASE, *overrides)
    return folder


@pytest.fixture
def without_figures(monkeypatch) -> None:
    """They take longer than these runs."""
    monkeypatch.setattr(fit, "draw_figures", lambda *_: {})


def close(a: Path, b: Path) -> None:
    """Assert that two runs are equal but for what rounding makes of their metrics."""
    one, other = result_of(a), result_of(b)
    for key in ("best_epoch", "epochs", "stopped", "parameters", "data", "config"):
        assert getattr(one, key) == getattr(other, key), key
    np.testing.assert_allclose(rows(a), rows(b), rtol=1e-3, atol=3e-3)
    for key in ("test_loss", "test_accuracy", "test_top3_accuracy", "test_macro_f1", "test_ece", "val_accuracy"):
        assert getattr(one, key) == pytest.approx(getattr(other, key), abs=3e-3), key


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "early"])
def test_each_run_is_as_alone(together, alone, name):
    """Other optimizers, schedules, penalties, dropout, augmentation, folds, seeds and early stopping."""
    close(together / name, alone / name)
    header = [next(csv.reader((folder / name / "metrics.csv").open())) for folder in (together, alone)]
    assert header[0] == header[1]
    assert files(together / name) == files(alone / name)
    predictions = [RunFolder(folder / name).read_predictions("label", "probabilities") for folder in (together, alone)]
    for a, b in zip(*predictions, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3)


@pytest.mark.usefixtures("without_figures")
def test_every_kind_of_augmentation_is_as_alone(glyphs, tmp_path):
    """Those that mix labels are never trained together: see tests/study/test_together.py."""
    kinds = ["elastic", "perspective", "stroke", "blur", "noise", "erasing", "combined", "random"]
    runs = {kind: [*glyphs, f"augmentation={kind}", "trainer.max_epochs=1"] for kind in kinds}
    run_together(write(tmp_path / "together", runs))
    for kind, overrides in runs.items():
        train_in(tmp_path / "alone" / kind, *BASE, *overrides)
        assert result_of(tmp_path / "together" / kind).together == len(kinds)
        close(tmp_path / "together" / kind, tmp_path / "alone" / kind)


def test_bf16_leaves_augmented_images_as_they_are_alone(glyphs):
    config = configured(*BASE, *glyphs, "augmentation=affine", "trainer.precision=bf16-mixed")
    data = DataModule(**config["data"], augmentation=config["augmentation"], seed=config["seed"])
    data.place(torch.device("cpu"))
    batches = data.train_batches(lambda: 0)
    index = batches.order()[: batches.batch_size].unsqueeze(0)
    with torch.autocast("cpu", torch.bfloat16):
        images, _ = gather([batches], index, [batches.augmentation_generator()])
    alone, _ = next(iter(batches))
    torch.testing.assert_close(images[0], alone.flatten(1))


@pytest.mark.usefixtures("without_figures")
def test_each_trains_on_its_own_few_images(glyphs, tmp_path):
    few = [*glyphs, "data.per_class=5", "trainer.max_epochs=2", "loss.label_smoothing=0.3", "optimizer=muon"]
    runs = {f"seed{seed}": [*few, f"seed={seed}"] for seed in (0, 1)}
    run_together(write(tmp_path / "together", runs))
    for name, overrides in runs.items():
        train_in(tmp_path / "alone" / name, *BASE, *overrides)
        close(tmp_path / "together" / name, tmp_path / "alone" / name)
    means = [emnist.load_run(tmp_path / "together" / name).mean for name in runs]
    assert means[0] != means[1]  # of the images that were drawn


def test_how_many_were_trained_together(together, alone):
    assert {result_of(together / name).together for name in RUNS} == {len(RUNS)}
    assert {result_of(alone / name).together for name in RUNS} == {1}


def test_one_that_stops_early_or_diverges_stops_alone(together, alone):
    assert {name: (result_of(together / name).stopped, result_of(together / name).epochs) for name in RUNS} == {
        **dict.fromkeys(("sgd", "adam", "rmsprop"), ("max_epochs", EPOCHS)),
        "early": ("early_stopping", 2),
        "wild": ("diverged", 0),
    }
    assert result_of(together / "wild").test_accuracy is None
    assert files(together / "wild") == files(alone / "wild")


def test_each_run_has_its_own_log(together):
    log = (together / "adam" / "train.log").read_text()
    assert [int(epoch) for epoch in re.findall(r"epoch (\d)/4", log)] == [1, 2, 3, 4]
    assert "training on 1,504, validating on 376" in log


def test_checkpoints_are_lightnings(together, alone):
    def shape(value: object) -> object:
        """The structure of a checkpoint, without what comes from rounding or time.

        Lightning starts its validation loop anew in every epoch, and never reads why it stopped.
        """
        if isinstance(value, dict):
            left_out = r"rows|best_score|stopping_reason.*|epoch_loop\.val_loop\.batch_progress"
            return {key: shape(part) for key, part in value.items() if not re.fullmatch(left_out, str(key))}
        if isinstance(value, list | tuple):
            return [shape(part) for part in value]
        return type(value) if isinstance(value, float) else (value.shape if isinstance(value, torch.Tensor) else value)

    for name in ("sgd", "adam", "early"):
        for checkpoint in ("best", "last"):
            ours, lightnings = (
                torch.load(folder / name / "checkpoints" / f"{checkpoint}.ckpt", weights_only=True)
                for folder in (together, alone)
            )
            assert all(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in ours["state_dict"].values())
            loops, expected = ours.pop("loops", {}), lightnings.pop("loops")
            assert shape(loops) == shape({name: expected[name] for name in loops})  # the other loops never ran
            assert shape(ours) == shape(lightnings)


def test_a_run_can_be_loaded(together, characters):
    classifier = emnist.load_run(together / "adam")
    predictions = RunFolder(together / "adam").read_predictions("probabilities")
    assert predictions is not None
    expected = classifier.predict(characters.test_images)
    torch.testing.assert_close(expected, torch.from_numpy(predictions[0]), rtol=0, atol=1e-6)


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_bits_of_a_run_do_not_depend_on_the_others(runs, tmp_path, precision):
    def train(*names: str) -> Path:
        folder = tmp_path / str(len(names))
        short = [f"trainer.precision={precision}", "trainer.max_epochs=2"]
        run_together(write(folder, {name: [*runs[name], *short] for name in names}))
        return folder

    two, three = train("adam", "rmsprop"), train("adam", "rmsprop", "sgd")
    for name in ("adam", "rmsprop"):
        same_runs(two / name, three / name)
        for file in ("metrics.csv", "predictions.npz"):
            assert (two / name / file).read_bytes() == (three / name / file).read_bytes()


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(
    ("kind", "where", "times"),
    [
        (Member, "end_epoch", 1),  # nothing written yet
        (Member, "end_epoch", 4),  # one run is an epoch ahead of the others
        (RunFolder, "write_metrics", 5),  # between the best and the last checkpoint
        (Recorder, "finish", 1),  # trained, but the result not written
        (Recorder, "finish", 2),  # some have a result
    ],
)
def test_killed_and_resumed_they_end_the_same(together, runs, tmp_path, monkeypatch, kind, where, times):
    paths = write(tmp_path, {name: runs[name] for name in ("adam", "rmsprop", "early")})
    with monkeypatch.context() as patch:
        die_in(patch, kind, where, times)
        with pytest.raises(Killed):
            run_together(paths)
    run_together(paths)
    for path in paths:
        same_runs(path, together / path.name)
        one, other = result_of(path), result_of(together / path.name)
        assert (one.test_loss, one.best_epoch, one.stopped) == (other.test_loss, other.best_epoch, other.stopped)


def killed_after_two_epochs(patch: pytest.MonkeyPatch, train) -> None:
    with patch.context() as inner:
        die_in(inner, Recorder, "add_epoch", 3)
        with pytest.raises(Killed):
            train()


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
def test_lightning_resumes_what_was_trained_together(together, runs, tmp_path, monkeypatch, name):
    (path,) = write(tmp_path, {name: runs[name]})
    killed_after_two_epochs(monkeypatch, lambda: run_together([path]))
    train_in(path, *BASE, *runs[name], resume=True)
    assert "resumed after epoch 2" in RunFolder(path).log.read_text()
    assert (rows(path)[:2] == rows(together / name)[:2]).all()
    close(path, together / name)


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
def test_what_lightning_trained_is_resumed_together(alone, runs, tmp_path, monkeypatch, name):
    path = tmp_path / name
    killed_after_two_epochs(monkeypatch, lambda: train_in(path, *BASE, *runs[name]))
    run_together([path])
    assert "resumed after epoch 2" in RunFolder(path).log.read_text()
    assert (rows(path)[:2] == rows(alone / name)[:2]).all()
    close(path, alone / name)


@pytest.mark.usefixtures("without_figures")
def test_stopped_early_and_killed_before_the_result(together, alone, runs, tmp_path):
    """Either way of training knows that the other had stopped."""
    for source in (together, alone):
        path = Path(shutil.copytree(source / "early", tmp_path / source.name))
        RunFolder(path).result.unlink()
    train_in(tmp_path / together.name, *BASE, *runs["early"], resume=True)
    run_together([tmp_path / alone.name])
    for source in (together, alone):
        result = result_of(tmp_path / source.name)
        assert (result.stopped, result.epochs) == ("early_stopping", 2)


def test_a_finished_run_is_left_as_it_is(together, runs, tmp_path):
    paths = [Path(shutil.copytree(together / name, tmp_path / name)) for name in ("adam", "early")]
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    run_together(paths)
    assert before == {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}


@pytest.mark.usefixtures("without_figures")
def test_one_that_cannot_be_trained_fails_alone(together, runs, tmp_path):
    broken = {"unknown": [*runs["adam"], "optimizer.lr=-1"], "damaged": runs["adam"], "adam": runs["adam"]}
    paths = write(tmp_path, broken)
    RunFolder(tmp_path / "damaged").last.parent.mkdir()
    RunFolder(tmp_path / "damaged").last.write_bytes(b"not a checkpoint")
    with pytest.raises(JobFailed, match="optimizer.lr=-1"):
        run_together(paths)
    failure = RunFolder(tmp_path / "unknown").read_failure()
    assert failure is not None
    assert failure.error == "optimizer.lr=-1: must be greater than or equal to 0"
    assert failure.config["optimizer"]["lr"] == -1
    assert "error: optimizer.lr=-1" in (tmp_path / "unknown" / "train.log").read_text()
    failure = RunFolder(tmp_path / "damaged").read_failure()
    assert failure is not None
    assert "last.ckpt" in failure.error
    same_runs(tmp_path / "adam", together / "adam")
    for path, overrides in (("unknown", runs["adam"]), ("damaged", runs["adam"])):
        shutil.rmtree(tmp_path / path)
        write(tmp_path, {path: overrides})
    run_together(paths)
    assert not list(tmp_path.rglob("failure.json"))
    same_runs(tmp_path / "unknown", together / "adam")


@pytest.mark.usefixtures("without_figures")
def test_folds_may_differ_in_size(runs, tmp_path):
    """1,880 images in three folds, and all of them: each size is a stack of its own."""
    short = [*runs["sgd"], "trainer.max_epochs=1"]
    folds = {f"fold{fold}": [*short, "data.folds=3", f"data.fold={fold}"] for fold in range(3)}
    run_together(write(tmp_path, {**folds, "all": [*short, "data.fold=null"]}))
    sizes = {name: result_of(tmp_path / name).data.train for name in (*folds, "all")}
    assert sorted(sizes.values()) == [1253, 1253, 1254, 1880]
    together = {name: result_of(tmp_path / name).together for name in sizes}
    assert together == {name: 2 if size == 1253 else 1 for name, size in sizes.items()}
    assert result_of(tmp_path / "all").val_accuracy is None
