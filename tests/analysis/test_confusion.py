import numpy as np

from emnist.analysis.confusion import confused_pairs, confusion_counts, most_confident_mistakes, most_confused

LABELS, PREDICTED = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 1, 0, 0, 2])


def test_confusion_counts_by_hand():
    assert confusion_counts(LABELS, PREDICTED, 3).tolist() == [[1, 1, 0], [2, 1, 0], [0, 0, 1]]


def test_confused_pairs_most_frequent_first():
    assert confused_pairs(LABELS, PREDICTED, ["a", "b", "c"]) == [("b", "a", 2), ("a", "b", 1)]


def test_most_confident_mistakes_come_first():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
    assert most_confident_mistakes(probabilities, np.array([0, 0, 0, 1])).tolist() == [1, 3, 2]
    assert most_confident_mistakes(probabilities, np.array([0, 1, 1, 0])).tolist() == []


def test_images_of_a_pair_most_probably_the_other_one_first():
    probabilities = np.array([[0.5, 0.1, 0.4], [0.2, 0.7, 0.1], [0.3, 0.0, 0.7], [0.6, 0.2, 0.2]])
    labels = np.array([0, 1, 2, 2])
    assert most_confused(probabilities, labels, "9aq", ("9", "q")).tolist() == [3, 0, 2]
    assert most_confused(probabilities, labels, "abc", ("9", "q")).tolist() == []
