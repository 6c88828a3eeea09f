import copy
import re
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import nn

from emnist.data.module import DataModule
from emnist.errors import UserError
from emnist.inference.load import TrainedClassifier, load_run
from emnist.runs.folder import RunFolder
from emnist.runs.identity import cell_id
from emnist.training.distillation import Teachers, build_teachers
from emnist.training.recorder import Recorder
from tests.fixtures.configuration import configure
from tests.fixtures.jobs import train_in
from tests.fixtures.resuming import Killed, die_in, same_runs


def taught(run: object, *overrides: str) -> list[str]:
    return ["loss=distill", f"loss.teachers=['{run}']", *overrides]


def configured(*overrides: str) -> dict:
    return OmegaConf.to_container(configure(*overrides), resolve=True)  # type: ignore[return-value]


def built(overrides: list[str]):
    config = configured(*overrides)
    return build_teachers(config, DataModule(**config["data"], augmentation=config["augmentation"], seed=0))


def test_the_loss_is_that_of_the_definition():
    torch.manual_seed(0)
    networks = [nn.Sequential(nn.Flatten(), nn.Linear(4, 3)) for _ in range(2)]
    classifiers = [TrainedClassifier(networks[0], ("a", "b", "c"), 0.5, 2.0)]
    classifiers += [TrainedClassifier(networks[1], ("a", "b", "c"), 0.1, 0.25)]
    teachers = Teachers(classifiers, mean=0.3, std=0.5, weight=0.25, temperature=3.0)
    pixels, logits, loss = torch.rand(5, 1, 2, 2), torch.randn(5, 3), torch.tensor(1.5)
    one = (networks[0]((pixels - 0.5) / 2) / 3).softmax(1)
    other = (networks[1]((pixels - 0.1) / 0.25) / 3).softmax(1)
    mean, student = (one + other) / 2, (logits / 3).softmax(1)
    divergence = (mean * (mean / student).log()).sum(1).mean()
    found = teachers.teach(loss, logits, (pixels - 0.3) / 0.5)
    torch.testing.assert_close(found, 0.75 * loss + 0.25 * 9 * divergence)


def test_teachers_without_weight_change_no_bit(small, trained_small, tmp_path):
    result = train_in(tmp_path, *small, *taught(trained_small, "loss.weight=0"))
    assert (tmp_path / "metrics.csv").read_bytes() == (trained_small / "metrics.csv").read_bytes()
    (teacher,) = result.teachers
    assert teacher.run == str(trained_small)
    assert [teacher.sha256] == result.config["loss"]["sha256"]
    assert teacher.epoch == RunFolder(trained_small).read_result().best_epoch


def test_a_network_becomes_like_its_teacher_and_can_be_resumed(small, trained_small, characters, tmp_path, monkeypatch):
    overrides = [*small, *taught(trained_small, "loss.weight=1", "seed=5")]
    train_in(tmp_path / "taught", *overrides)
    train_in(tmp_path / "alone", *small, "seed=5")
    teacher, pupil, alone = (load_run(path) for path in (trained_small, tmp_path / "taught", tmp_path / "alone"))
    shares = [one.logits(characters.test_images).softmax(1) for one in (teacher, pupil, alone)]
    close, far = (F.kl_div(other.log(), shares[0], reduction="batchmean") for other in shares[1:])
    assert close < far
    with monkeypatch.context() as patch:
        die_in(patch, Recorder, "on_validation_start", 3)
        with pytest.raises(Killed):
            train_in(tmp_path / "resumed", *overrides)
    train_in(tmp_path / "resumed", *overrides, resume=True)
    same_runs(tmp_path / "taught", tmp_path / "resumed")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.fold=1"], "trained on images that validate this run (data.fold=1); give runs of the same"),
        (["data.folds=4"], "trained on images that validate this run (data.fold=0)"),
        (["data.fold_seed=9"], "trained on images that validate this run"),
        (["data.train_per_class=30"], "trained on other data"),
        (["data.train_per_class=30", "data.fold=null"], "trained on other data"),
        (["loss.weight=2"], "loss.weight=2: must be less than or equal to 1"),
        (["loss.temperature=0"], "loss.temperature=0: must be greater than 0"),
        (["loss.teachers=[nowhere]"], "loss.teachers=nowhere: no such folder or file"),
        (["loss.teachers=[]"], "loss.teachers is missing: give the folders of finished runs"),
        (["loss.sha256=[abc]"], "not the networks with the loss.sha256 of this run"),
    ],
)
def test_who_is_no_teacher(small, trained_small, overrides, message):
    with pytest.raises(UserError, match=re.escape(message)):
        built([*small, *taught(trained_small), *overrides])


def test_without_validation_every_fold_may_teach(small, trained_small):
    teachers, origins = built([*small, *taught(trained_small), "data.fold=null"])
    assert len(teachers.networks) == len(origins) == 1


def test_unfinished_runs_and_those_that_started_from_others_do_not_teach(small, finished):
    run = RunFolder(finished)
    result = run.read_result()
    run.write_result(result.model_copy(update={"config": {**result.config, "init": {"run": "somewhere"}}}))
    with pytest.raises(UserError, match="started from a network that may have seen other images"):
        built([*small, *taught(finished)])
    run.result.unlink()
    with pytest.raises(UserError, match="not the folder of a finished run"):
        built([*small, *taught(finished)])


def test_a_cell_is_named_by_the_networks_and_not_by_their_paths(small, trained_small, tmp_path):
    moved = Path(shutil.copytree(trained_small, tmp_path / "moved"))
    configs = [configured(*small, *taught(path)) for path in (trained_small, moved)]
    for config in configs:
        build_teachers(config, DataModule(**config["data"], augmentation=config["augmentation"], seed=0))
    assert cell_id(configs[0]) == cell_id(configs[1])
    other = copy.deepcopy(configs[0])
    other["loss"]["sha256"] = ["abc"]
    assert cell_id(other) != cell_id(configs[0]) != cell_id(configured(*small))
