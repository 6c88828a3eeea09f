import numpy as np
import pytest

from emnist.data.folds import assign_groups, grouped_folds, held_out, stratified_folds
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


def test_a_class_of_one_image():
    with pytest.raises(UserError, match="data.folds: a class has a single training image, .* data.fold=null"):
        stratified_folds(np.array([0, 0, 1]), 2, seed=0)


def writers(count: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups of writers who each wrote another number of samples, of some classes more than of others."""
    random = np.random.RandomState(seed)
    groups = np.repeat(np.arange(count), random.randint(5, 60, count))
    habits = random.dirichlet(np.full(10, 2.0), count)
    labels = np.array([random.choice(10, p=habits[group]) for group in groups])
    return labels, groups


def test_groups_stay_in_one_fold_and_the_folds_alike():
    labels, groups = writers()
    fold = grouped_folds(labels, groups, 5, seed=0)
    assert all(len(np.unique(fold[groups == group])) == 1 for group in range(60))
    counts = np.array([np.bincount(labels[fold == k], minlength=10) for k in range(5)])
    shares = counts / counts.sum(0)
    assert abs(shares - 0.2).max() < 0.1
    assert np.ptp(counts.sum(1)) / len(labels) < 0.03
    random = np.random.RandomState(0).randint(0, 5, 60)[groups]
    at_random = np.array([np.bincount(labels[random == k], minlength=10) for k in range(5)])
    assert shares.std() < (at_random / at_random.sum(0)).std() / 2


def test_groups_of_one_are_as_samples():
    fold = grouped_folds(LABELS, np.arange(len(LABELS)), 5, seed=0)
    counts = np.array([np.bincount(LABELS[fold == k], minlength=47) for k in range(5)])
    assert (counts.max(0) - counts.min(0)).max() <= 1


def test_grouped_folds_depend_on_the_seed_and_not_on_the_names():
    labels, groups = writers()
    fold = grouped_folds(labels, groups, 5, seed=0)
    assert np.array_equal(fold, grouped_folds(labels, np.array([f"w{g:03d}" for g in groups]), 5, seed=0))
    assert not np.array_equal(fold, grouped_folds(labels, groups, 5, seed=1))


def test_grouped_folds_are_the_same_everywhere():
    labels, groups = np.array([0, 1, 0, 1, 1, 0, 0, 1]), np.array([0, 0, 1, 1, 2, 2, 3, 3])
    assert grouped_folds(labels, groups, 2, seed=0).tolist() == [1, 1, 0, 0, 0, 0, 1, 1]


def test_too_few_groups():
    with pytest.raises(UserError, match="data.folds=5: choose from 2 to 3, the number of groups"):
        grouped_folds(np.arange(30) % 2, np.arange(30) % 3, 5, seed=0)


def test_held_out_share():
    chosen = held_out(LABELS, None, 0.2, seed=0)
    counts, all_of = np.bincount(LABELS[chosen]), np.bincount(LABELS)
    assert np.array_equal(counts, np.round(0.2 * all_of))
    assert np.array_equal(chosen, held_out(LABELS, None, 0.2, seed=0))
    assert not np.array_equal(chosen, held_out(LABELS, None, 0.2, seed=1))
    assert held_out(np.array([0, 0, 1, 1]), None, 0.01, seed=0).sum() == 2  # one of each at least
    assert held_out(np.array([0, 0, 1, 1]), None, 0.99, seed=0).sum() == 2  # and not all


def test_held_out_share_of_groups():
    labels, groups = writers()
    chosen = held_out(labels, groups, 0.2, seed=0)
    assert not np.isin(groups[chosen], groups[~chosen]).any()
    assert abs(np.bincount(labels[chosen]) / np.bincount(labels) - 0.2).max() < 0.1
    with pytest.raises(UserError, match="all images are of one group"):
        held_out(labels, np.zeros_like(groups), 0.2, seed=0)


@pytest.mark.parametrize(
    ("share", "message"), [(0.2, "for testing; set a larger"), (0.9, "for training; set a smaller")]
)
def test_a_share_too_small_for_whole_groups(share, message):
    labels, groups = np.arange(12) % 3, np.arange(12) // 6
    with pytest.raises(UserError, match=f"data.test_share={share}: none of the 2 groups would be {message} share"):
        held_out(labels, groups, share, seed=0)
    assert held_out(labels, groups, 0.5, seed=0).sum() == 6


def test_classes_of_one_image_are_for_training():
    assert held_out(np.array([0, 0, 1]), None, 0.2, seed=0).tolist().count(True) == 1
    assert not held_out(np.array([0, 0, 1]), None, 0.2, seed=0)[2]
    with pytest.raises(UserError, match="data.test_share: every class has a single image"):
        held_out(np.arange(3), None, 0.2, seed=0)


def test_parts_need_not_be_equal():
    labels, groups = writers(200)
    part = assign_groups(labels, groups, np.array([0.6, 0.3, 0.1]), seed=0)
    assert abs(np.bincount(part) / len(part) - [0.6, 0.3, 0.1]).max() < 0.01
