import numpy as np
import pytest

from emnist.data.folds import stratified_folds
from emnist.errors import UserError

LABELS = np.random.RandomState(1).permutation(np.repeat(np.arange(47), np.arange(47) + 30))  # unbalanced


def test_folds_are_disjoint_and_complete():
    fold = stratified_folds(LABELS, 5, seed=0)
    assert fold.shape == LABELS.shape  # each sample has one fold
    assert set(fold) == set(range(5))


def test_folds_are_stratified():
    fold = stratified_folds(LABELS, 5, seed=0)
    counts = np.array([np.bincount(LABELS[fold == k], minlength=47) for k in range(5)])
    assert (counts.max(0) - counts.min(0)).max() <= 1
    assert np.ptp(counts.sum(1)) <= 1


def test_folds_depend_on_the_seed_only():
    fold = stratified_folds(LABELS, 5, seed=0)
    np.random.seed(123)
    assert np.array_equal(fold, stratified_folds(LABELS.copy(), 5, seed=0))
    assert not np.array_equal(fold, stratified_folds(LABELS, 5, seed=1))


def test_folds_are_the_same_everywhere():
    """Frozen, so that a figure measured on a fold stays comparable."""
    assert stratified_folds(np.array([0, 1] * 6), 3, seed=0).tolist() == [2, 1, 0, 1, 1, 2, 0, 2, 1, 0, 2, 0]


@pytest.mark.parametrize("folds", [1, 31])
def test_impossible_numbers_of_folds(folds):
    with pytest.raises(UserError, match=f"data.folds={folds}: choose "):
        stratified_folds(LABELS, folds, seed=0)
