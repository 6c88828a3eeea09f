"""Labels that look wrong, by confident learning: Northcutt, Jiang, Chuang, Journal of AI Research 70, 2021.

Own code, a few lines of numpy, where the authors' library, cleanlab, needs scikit-learn; the tests compare it with what
cleanlab 2.9 finds.
"""

from dataclasses import dataclass

import numpy as np

ROUNDING = 1e-6  # by which a probability may miss its threshold, as in cleanlab


@dataclass(frozen=True)
class LabelIssues:
    """How many labels are probably wrong, and which; the most suspicious first."""

    joint: np.ndarray  # int64 [classes, classes]: estimated number of images by given (row) and true (column) class
    suspects: np.ndarray  # int64 [S]: their numbers
    suggested: np.ndarray  # int64 [S]: the most probable class
    quality: np.ndarray  # float [S]: normalised margin of the given label, 0 (surely wrong) to 0.5

    @property
    def estimated(self) -> int:
        """Estimated number of wrong labels."""
        return int(self.joint.sum() - np.trace(self.joint))


def find_label_issues(probabilities: np.ndarray, labels: np.ndarray) -> LabelIssues:
    """Probabilities float [N, classes] of images that the networks were not trained on, and given labels int64 [N].

    For each pair of given class i and true class j, as many images as the joint estimates are suspected, those labelled
    i with the largest margin p(j) − p(i) (the paper's "prune by noise rate"), but for those whose label is also the
    most probable class.
    """
    joint = estimate_joint(probabilities, labels)
    suspected = np.zeros(len(labels), bool)
    for given, true in np.argwhere(joint):
        if given != true:
            own = np.flatnonzero(labels == given)
            margin = probabilities[own, true] - probabilities[own, given]
            suspected[own[np.argsort(-margin, kind="stable")[: joint[given, true]]]] = True
    of_label, best = probabilities[np.arange(len(labels)), labels], probabilities.max(1)
    suspects = np.flatnonzero(suspected & (of_label < best - ROUNDING))
    quality = (of_label[suspects] - best[suspects] + 1) / 2
    order = np.argsort(quality, kind="stable")
    suspects = suspects[order]
    return LabelIssues(joint, suspects, probabilities[suspects].argmax(1), quality[order])


def estimate_joint(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Number of images by given (row) and true (column) class, int64 [classes, classes].

    The confident joint counts the images whose probability of a class reaches the mean probability that images
    labelled so have of it; its rows are then scaled to the number of images with each label.
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    of_label = probabilities[np.arange(len(labels)), labels]
    sums = np.bincount(labels, of_label, minlength=classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    confident = probabilities >= thresholds - ROUNDING
    true = np.where(confident, probabilities, -1).argmax(1)
    counted = confident.any(1)
    joint = np.bincount(labels[counted] * classes + true[counted], minlength=classes**2).reshape(classes, classes)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))  # no class is all errors
    return round_rows(joint / joint.sum(1, keepdims=True) * counts[:, None])


def round_rows(values: np.ndarray) -> np.ndarray:
    """Rounded to int64 [N, M] so that each row keeps its sum: what was rounded most gives way."""
    rounded = np.round(values)
    for row, exact in zip(rounded, values, strict=True):
        missing = round(exact.sum() - row.sum())
        order = np.argsort(exact - row, kind="stable")
        row[order[::-1][: max(missing, 0)]] += 1
        row[order[: max(-missing, 0)]] -= 1
    return rounded.astype(np.int64)
