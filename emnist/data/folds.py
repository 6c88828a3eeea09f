import numpy as np

from emnist.checks import whole
from emnist.errors import UserError


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Deal the samples into folds: the fold of each, int64 [N], a function of the labels and `seed` only.

    Every class is shuffled and dealt out in turn, each class starting where the one before stopped, so that
    the folds differ by at most one sample in every class and at most one in all.
    """
    smallest = np.bincount(labels)[np.unique(labels)].min()
    if whole("data.folds", folds, least=2) > smallest:
        raise UserError(f"data.folds={folds}: choose from 2 to {smallest}, the size of the smallest class")
    whole("data.fold_seed", seed, least=0, most=2**32 - 1)
    random = np.random.RandomState(seed)  # its stream is frozen, unlike that of numpy's newer generators
    shuffled = random.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold = np.empty(len(labels), np.int64)
    fold[by_class] = np.arange(len(labels)) % folds
    return fold
