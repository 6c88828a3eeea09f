import shutil

import numpy as np
import pytest

import emnist
from emnist.data.folds import stratified_folds
from emnist.errors import UserError
from emnist.inference.out_of_fold import out_of_fold
from emnist.runs.folder import RunFolder
from tests.fixtures.runs import change_result


def copied(run: RunFolder, path, old: str = "", new: str = ""):
    """A copy of a finished run, with something else in its result."""
    folder = RunFolder(shutil.copytree(run.path, path))
    change_result(folder.result, old, new)
    return folder.path, folder.read_result()


def test_the_validation_folds_of_the_runs(trained, characters, tmp_path):
    other = copied(trained, tmp_path / "other", '"fold": 0', '"fold": 3')
    found = out_of_fold([(trained.path, trained.read_result()), other])
    assert (found.folds, found.of) == ([0, 3], 5)
    fold = stratified_folds(characters.train_labels.numpy(), 5, 0)
    assert np.array_equal(found.indices, np.flatnonzero((fold == 0) | (fold == 3)))
    expected = emnist.load_run(trained.path).predict(characters.train_images[found.indices])
    assert np.allclose(found.probabilities, expected, atol=1e-6)


def test_runs_of_one_fold_are_averaged(trained, characters, tmp_path):
    result = trained.read_result()
    other = copied(trained, tmp_path / "other", f'"temperature": {result.temperature}', '"temperature": 100.0')
    found = out_of_fold([(trained.path, result), other])
    images = characters.train_images[found.indices]
    both = [emnist.load_run(folder).predict(images) for folder in (trained.path, other[0])]
    assert np.allclose(found.probabilities, (both[0] + both[1]) / 2, atol=1e-6)


def test_a_run_on_all_images(trained, tmp_path):
    with pytest.raises(UserError, match=r"all: trained on all images \(data.fold=null\), so it has not left out any"):
        out_of_fold([copied(trained, tmp_path / "all", '"fold": 0', '"fold": null')])
