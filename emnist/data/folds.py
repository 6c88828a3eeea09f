import numpy as np

from emnist.errors import UserError


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Fold of each sample, int64 [N], stratified by class; a function of the labels and `seed` only.

    Every class is shuffled and dealt out in turn, each class starting where the one before stopped, so that
    the folds differ by at most one sample in every class and at most one in total. Own code, so
    that no new version of a library assigns them differently. Raises UserError if a class has fewer samples than folds.
    """
    smallest = np.bincount(labels)[np.unique(labels)].min()
    if not 2 <= folds <= smallest:
        raise UserError(f"data.folds={folds}: choose from 2 to {smallest}, the size of the smallest class")
    random = np.random.RandomState(seed)  # its stream is frozen, unlike that of numpy's newer generators
    shuffled = random.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold = np.empty(len(labels), np.int64)
    fold[by_class] = np.arange(len(labels)) % folds
    return fold
