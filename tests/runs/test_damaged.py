"""A file of a run with a few bytes changed is named, or is read as it was; and what is said to do about it works."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import emnist
from emnist.atomic import write_bytes
from emnist.errors import UserError
from emnist.inference import load
from emnist.inference.load import read_checkpoint
from emnist.reporting.write import write_report
from emnist.runs import checksums
from emnist.runs.folder import RunFolder
from emnist.training import checkpoints
from tests.fixtures.damage import flipped
from tests.fixtures.jobs import train_in
from tests.fixtures.resuming import Killed, die_in, same, same_runs

READERS = {  # what is read from each file
    "best": lambda folder: loaded(folder.path),
    "last": lambda folder: read_checkpoint(folder.last),
    "metrics": lambda folder: folder.read_metrics(),
    "predictions": lambda folder: folder.read_predictions("label", "predicted", "probabilities"),
    "validation": lambda folder: folder.read_validation(),
    "augmentation": lambda folder: folder.read_augmentation(),
    "result": lambda folder: folder.read_result(),
    "checksums": lambda folder: [loaded(folder.path), read_checkpoint(folder.last)],
}
REMEDIES = {  # what is to be deleted before the run is resumed
    "best": ["checkpoints", "result.json"],
    "last": ["checkpoints/last.ckpt"],
    "metrics": ["result.json"],
    "predictions": ["result.json"],
    "validation": ["result.json"],
    "result": ["result.json"],
    "checksums": ["checkpoints/checksums.json"],
}


@pytest.fixture(scope="module")
def augmented(small, tmp_path_factory) -> RunFolder:
    """A finished run that has all files. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("augmented")
    train_in(folder, *small, "augmentation=affine", "trainer.max_epochs=2")
    return RunFolder(folder)


def loaded(path: Path) -> dict:
    """All that a network's answers depend on."""
    classifier = emnist.load_run(path)
    about = {name: getattr(classifier, name) for name in ("classes", "mean", "std", "temperature")}
    return about | dict(classifier.network.state_dict())


def plain(value: object) -> object:
    """What `same` compares."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def file_of(folder: RunFolder, name: str) -> Path:
    return folder.best.with_name("checksums.json") if name == "checksums" else getattr(folder, name)


def as_before_0_7(path: Path) -> RunFolder:
    """The folder without any checksum."""
    folder = RunFolder(path)
    file_of(folder, "checksums").unlink(missing_ok=True)
    if folder.result.exists():
        content = json.loads(folder.result.read_text())
        del content["checksums"], content["sha256"]
        folder.result.write_text(json.dumps(content))
    return folder


def silent(folder: RunFolder, name: str, count: int) -> int:
    """How many of so many damaged variants of a file are read as something else."""
    path, read = file_of(folder, name), READERS[name]
    whole, expected, named = path.read_bytes(), plain(read(folder)), 0
    wrong: list[bytes] = []
    for damaged in flipped(whole, count):
        path.write_bytes(damaged)
        try:
            same(plain(read(RunFolder(folder.path))), expected)
        except UserError as error:
            named += path.name in str(error) and "\n" not in str(error)
        except AssertionError:
            wrong.append(damaged)
    path.write_bytes(whole)
    assert named > count / 3
    return len(wrong)


@pytest.mark.parametrize("name", READERS)
def test_no_damaged_file_is_read_as_something_else(augmented, tmp_path, name):
    folder = RunFolder(shutil.copytree(augmented.path, tmp_path / "run"))
    assert silent(folder, name, 150) == 0


@pytest.mark.parametrize("name", ["best", "last"])
def test_nor_is_a_checkpoint_from_before_there_were_checksums(augmented, tmp_path, name):
    folder = as_before_0_7(shutil.copytree(augmented.path, tmp_path / "run"))
    assert silent(folder, name, 150) == 0


def test_the_checkpoint_of_an_unfinished_run(augmented, tmp_path):
    folder = RunFolder(shutil.copytree(augmented.path, tmp_path / "run"))
    folder.result.unlink()
    assert silent(folder, "best", 50) == 0


def test_a_checkpoint_of_another_run_is_not_taken_for_its_own(augmented, trained, tmp_path):
    folder = RunFolder(shutil.copytree(augmented.path, tmp_path / "run"))
    shutil.copy(trained.best, folder.best)
    for _ in range(2):
        with pytest.raises(UserError, match="best.ckpt: damaged"):
            emnist.load_run(folder.path)
        folder.result.unlink(missing_ok=True)


@pytest.mark.parametrize("name", REMEDIES)
def test_what_is_said_to_do_helps(small, trained_small, tmp_path, name):
    folder = RunFolder(shutil.copytree(trained_small, tmp_path / "run"))
    if name in ("last", "checksums"):  # which a finished run doesn't need
        folder.result.unlink()
    path = file_of(folder, name)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=path.name) as error:
        READERS[name](folder)
    for each in REMEDIES[name]:
        assert Path(each).name in str(error.value).partition("delete")[2] or "delete it" in str(error.value)
        if (folder.path / each).is_dir():
            shutil.rmtree(folder.path / each)
        else:
            (folder.path / each).unlink()
    result = train_in(folder.path, *small, resume=True)
    same_runs(trained_small, folder.path)
    whole = RunFolder(trained_small)
    assert result.test_loss == whole.read_result().test_loss
    for one, other in zip(READERS["predictions"](folder), READERS["predictions"](whole), strict=True):
        assert np.array_equal(one, other)


def test_best_is_looked_at_before_the_rest_is_trained(small, finished):
    folder = RunFolder(finished)
    folder.result.unlink()
    for spoil in (lambda: folder.best.write_bytes(b"half"), folder.best.unlink):
        spoil()
        with pytest.raises(UserError, match=r"best.ckpt: .*; delete .*checkpoints and result.json, then .*resume="):
            train_in(finished, *small, resume=True)


def test_folders_without_checksums_load_resume_and_are_reported(small, trained_small, tmp_path):
    folder = as_before_0_7(shutil.copytree(trained_small, tmp_path / "runs" / "run"))
    same(loaded(folder.path), loaded(trained_small))
    write_report([tmp_path / "runs"], tmp_path / "report")
    assert train_in(folder.path, *small, resume=True).checksums == {}
    folder.result.unlink()
    assert train_in(folder.path, *small, resume=True).checksums.keys() == RunFolder(trained_small).checksums().keys()
    same_runs(trained_small, folder.path)


def test_a_run_that_an_older_version_has_resumed(small, trained_small, tmp_path, monkeypatch):
    """It writes checkpoints, but no list of them, and a result without checksums."""
    folder = RunFolder(tmp_path)
    with monkeypatch.context() as patch:
        die_in(patch, RunFolder, "write_metrics", 2)
        with pytest.raises(Killed):
            train_in(tmp_path, *small)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_listed", write_bytes)
        die_in(patch, RunFolder, "write_result", 1)
        with pytest.raises(Killed):
            train_in(tmp_path, *small, resume=True)
    with pytest.raises(UserError, match="if a version before 0.7 wrote it, delete checksums.json instead"):
        read_checkpoint(folder.last)
    file_of(folder, "checksums").unlink()
    train_in(tmp_path, *small, resume=True)
    same_runs(trained_small, tmp_path)
    as_before_0_7(tmp_path)
    checksums.Checksums(files={"best.ckpt": ["0" * 64]}).write(file_of(folder, "checksums"))
    same(loaded(tmp_path), loaded(trained_small))


def test_a_checkpoint_elsewhere_is_not_taken_for_that_of_the_run(trained_small, trained, tmp_path):
    """Such as one that was kept in another folder of the run."""
    folder = RunFolder(shutil.copytree(trained_small, tmp_path / "run"))
    (folder.path / "kept").mkdir()
    kept = shutil.copy(trained.best, folder.path / "kept")
    same(read_checkpoint(Path(kept)), read_checkpoint(trained.best))


@pytest.mark.parametrize("listed", [True, False])
def test_a_file_that_may_not_be_read_is_not_to_be_deleted(trained_small, tmp_path, monkeypatch, listed):
    folder = RunFolder(shutil.copytree(trained_small, tmp_path / "run"))
    if not listed:
        as_before_0_7(folder.path)

    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checksums, "sha256", denied)
    monkeypatch.setattr(load, "_check_parts", denied)
    with pytest.raises(UserError, match=r"best.ckpt: can't be read \(Permission denied\)$"):
        emnist.load_run(folder.path)


def test_nor_is_one_that_is_whole_but_does_not_load(trained_small, monkeypatch):
    def full(*_, **__) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(UserError) as error:
        emnist.load_run(trained_small)
    assert "delete" not in str(error.value)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("name", ["best", "last"])
def test_killed_between_the_list_and_the_checkpoint(small, trained_small, tmp_path, monkeypatch, listed, name):
    """Three times, so that what was listed for the next has never been written."""
    folder, write, left = RunFolder(tmp_path), checksums.write_bytes, [1, 0, 0]

    def dying(path, content):
        if path.stem == name:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(checksums, "write_bytes", dying)
        while left:
            with pytest.raises(Killed):
                train_in(tmp_path, *small, resume=True)
            left.pop(0)
            assert read_checkpoint(folder.last)["epoch"] == 0
            loaded(tmp_path)
            if not listed:
                as_before_0_7(tmp_path)
    train_in(tmp_path, *small, resume=True)
    same_runs(trained_small, tmp_path)
