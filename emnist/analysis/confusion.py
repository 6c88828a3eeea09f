"""Which classes are taken for which."""

from collections.abc import Sequence

import numpy as np

TYPICAL = ("9", "q")  # the mistake that the reference report calls typical


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How often each true class (row) was predicted as each class (column): int64 [classes, classes]."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def confused_pairs(labels: np.ndarray, predicted: np.ndarray, classes: list[str]) -> list[tuple[str, str, int]]:
    """(true class, predicted class, count) of every kind of mistake, most frequent first."""
    counts = confusion_counts(labels, predicted, len(classes))
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")
    pairs = zip(*np.unravel_index(order, counts.shape), strict=True)
    return [(classes[i], classes[j], int(counts[i, j])) for i, j in pairs if counts[i, j]]


def most_confident_mistakes(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Numbers of the images that are classified wrong, the most probable first: int64 [mistakes].

    float [N, classes], int64 [N].
    """
    predicted = probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != labels)
    return wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")]


def most_confused(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str], pair: tuple[str, str]
) -> np.ndarray:
    """Numbers of the images of two classes, the most probably the other one first: int64 [images of the pair].

    float [N, classes], int64 [N]; none if the classes have no such pair.
    """
    if not set(pair) <= set(classes):
        return np.zeros(0, np.int64)
    a, b = (list(classes).index(name) for name in pair)
    of_pair = np.flatnonzero((labels == a) | (labels == b))
    other = np.where(labels[of_pair] == a, b, a)
    return of_pair[np.argsort(-probabilities[of_pair, other], kind="stable")]
