import numpy as np

from emnist.analysis.confusion import confused_pairs, confusion_counts

LABELS, PREDICTED = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 1, 0, 0, 2])


def test_confusion_counts_by_hand():
    assert confusion_counts(LABELS, PREDICTED, 3).tolist() == [[1, 1, 0], [2, 1, 0], [0, 0, 1]]


def test_confused_pairs_most_frequent_first():
    assert confused_pairs(LABELS, PREDICTED, ["a", "b", "c"]) == [("b", "a", 2), ("a", "b", 1)]
