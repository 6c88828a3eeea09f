"""Which runs of a study are trained together, and that such a study ends the same whatever happens to it."""

import copy
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emnist.runs.folder import RunFolder
from emnist.study.planning import PlannedRun
from emnist.study.together import AUTO, groups
from tests.fixtures.commands import environment, run_command
from tests.fixtures.studies import CONFIG, NEURONS, cells_of, metrics_of, plan_of, results_of, write_study


def planned(number: int, **changes) -> PlannedRun:
    """A run of an MLP with these keys, such as model__neurons=8."""
    config = copy.deepcopy(CONFIG)
    config["trainer"] |= {"accelerator": "cpu", "precision": "32-true"}
    for key, value in changes.items():
        group, _, name = key.partition("__")
        if name:
            config[group][name] = value
        else:
            config[group] = value
    return PlannedRun(Path(str(number)), (), config)


def sizes(runs: list[PlannedRun], together="auto") -> list[int]:
    found = [[int(run.path.name) for run in group] for group in groups(runs, together)]
    assert sorted(number for group in found for number in group) == list(range(len(runs)))
    return sorted((len(group) for group in found), reverse=True)


@pytest.mark.parametrize(
    ("together", "expected"), [("auto", [AUTO, AUTO, 10]), (50, [50, 10]), (7, [7] * 8 + [4]), (1, [1] * 60)]
)
def test_a_group_has_a_limit(together, expected):
    assert sizes([planned(i) for i in range(60)], together) == expected


def test_together_can_be_switched_off():
    assert sizes([planned(i) for i in range(3)], "off") == [1, 1, 1]


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": {"name": "SGD", "lr": 0.1}},
        {"scheduler": {"name": None}},
        {"regularization": {"name": "l1", "strength": 1e-5}},
        {"augmentation": {"name": "none"}},
        {"augmentation": {"name": "random", "count": 2}},
        {"model__dropout": 0},
        {"data__fold": 3},
        {"seed": 8},
        {"patience": None},
        {"trainer__max_epochs": 3},
    ],
)
def test_what_may_differ_within_a_group(changes):
    assert sizes([planned(0), planned(1, **changes)]) == [2]


@pytest.mark.parametrize(
    "changes",
    [
        {"model__neurons": 8},
        {"model__hidden_layers": 2},
        {"model__activation": "relu"},
        {"model__batch_norm": False},
        {"data__batch_size": 64},
        {"data__root": "elsewhere"},
        {"data__fold": None},
        {"trainer__precision": "bf16-mixed"},
        {"threads": 3},
        {"loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
    ],
)
def test_what_may_not_differ_within_a_group(changes):
    assert sizes([planned(0), planned(1, **changes), planned(2), planned(3, **changes)]) == [2, 2]


@pytest.mark.parametrize(
    "changes",
    [
        {"model__name": "cnn"},
        {"augmentation": {"name": "mixup", "alpha": 0.2}},
        {"augmentation": {"name": "cutmix", "alpha": 1}},
        {"loss": {"name": "distill", "teachers": ["a"]}},
        {"averaging": {"name": "ema", "decay": 0.9, "warmup": True}},
        {"trainer__limit_train_batches": 5},
        {"trainer__precision": "16-mixed"},
        {"trainer__accelerator": "mps"},
        {"trainer__devices": 2},
        {"trainer__strategy": "ddp"},
    ],
)
def test_what_is_trained_alone(changes):
    """Other models, and arguments of Lightning's Trainer that only it knows."""
    assert sizes([planned(i, **changes) for i in range(3)]) == [1, 1, 1]


FACTORS = {
    "neurons": NEURONS,
    "rate": {"0.001": {"set": "optimizer.lr=0.001"}, "0.01": {"set": "optimizer.lr=0.01"}},
    "dropout": {"off": {"set": "model.dropout=0"}, "on": {"set": "model.dropout=0.2"}},
}


EPOCHS = ["trainer.max_epochs=5", "patience=null"]


def arguments(folder: Path, glyphs: list[str], **keys) -> list[str]:
    return [*write_study(folder, FACTORS, **keys), *glyphs, *EPOCHS]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, glyphs) -> Path:
    """The folder of a study whose runs are trained together: 4 cells, 2 folds. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("whole")
    code, _, err = run_command(folder, *arguments(folder, glyphs))
    assert code == 0, err
    return folder


def test_runs_of_one_shape_are_trained_together(whole):
    cells = cells_of(plan_of(whole))
    together = {path: result.together for path, result in results_of(whole).items()}
    assert together == {
        f"{cell}/fold{fold}_seed{fold}": 2 if cell == cells["8"] else 6 for cell in cells.values() for fold in (0, 1)
    }


@pytest.mark.parametrize("together", ["off", 3])
def test_how_many_are_trained_together_changes_no_result(whole, command, glyphs, tmp_path, together):
    code, _, err = command(*arguments(tmp_path, glyphs, together=together))
    assert code == 0, err
    most = max(result.together for result in results_of(tmp_path).values())
    assert most == (1 if together == "off" else 3)
    if together == "off":  # by Lightning, equal up to rounding
        for path, metrics in metrics_of(tmp_path).items():
            assert metrics[:3] == pytest.approx(metrics_of(whole)[path][:3], abs=0.01)
    else:
        assert metrics_of(tmp_path) == metrics_of(whole)


def test_two_workers_train_the_same(whole, command, glyphs, tmp_path):
    joblib = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    code, _, err = command(*arguments(tmp_path, glyphs, together=4), *joblib)
    assert code == 0, err
    assert err.splitlines()[-1] == "tiny: 8 of 8 runs done, 0 running, 0 failed"
    assert metrics_of(tmp_path) == metrics_of(whole)


def test_killed_and_resumed_it_ends_the_same(whole, command, glyphs, tmp_path):
    given = arguments(tmp_path, glyphs)
    process = subprocess.Popen(
        [sys.executable, "-m", "emnist.train", *given], cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.rglob("last.ckpt"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert len(results_of(tmp_path)) < len(results_of(whole))
    code, _, err = command(*given)
    assert code == 0, err
    assert any("resumed after" in log.read_text() for log in tmp_path.rglob("train.log"))
    assert metrics_of(tmp_path) == metrics_of(whole)


def test_a_value_that_cannot_be_trained_fails_alone(whole, command, glyphs, tmp_path):
    shutil.copytree(whole / "study", tmp_path / "study")
    factors = {"rate": {**FACTORS["rate"], "wrong": {"set": "optimizer.lr=-1"}, "0.1": {"set": "optimizer.lr=0.1"}}}
    given = [*write_study(tmp_path, factors), *glyphs, *EPOCHS]
    code, _, err = command(*given)
    assert code == 1
    failed = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 2
    assert all(line.endswith(": optimizer.lr=-1: must be greater than or equal to 0") for line in failed)
    assert err.splitlines()[-1] == "tiny: 6 of 8 runs done, 0 running, 2 failed"
    cells = cells_of(plan_of(tmp_path))
    assert RunFolder(tmp_path / "study" / cells["wrong"] / "fold0_seed0").read_failure() is not None
    assert results_of(tmp_path)[f"{cells['0.1']}/fold1_seed1"].together == 2


def test_images_and_study_can_be_anywhere(command, glyphs, tmp_path):
    """A study beside the working folder, whose images were elsewhere when its runs were interrupted."""
    study = write_study(tmp_path, {"rate": FACTORS["rate"]}, folds=[0])
    given = [*study, *glyphs, "hydra.sweep.dir=../beside"]
    assert command(*given)[0] == 0
    results = sorted((tmp_path.parent / "beside").rglob("result.json"))
    assert len(results) == 2
    for result in results:
        folder = RunFolder(result.parent)
        config = folder.read_config()
        config.data.root = "gone"
        folder.write_config(config)  # type: ignore[arg-type]
        shutil.rmtree(folder.last.parent)
        result.unlink()
    code, _, err = command(*given)
    assert code == 0, err
    assert sorted((tmp_path.parent / "beside").rglob("result.json")) == results
    assert not (tmp_path / "gone").exists()
    shutil.rmtree(tmp_path.parent / "beside")
