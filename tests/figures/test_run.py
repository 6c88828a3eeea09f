import numpy as np
import pytest

from emnist.figures.run import confused_pairs, confusion_counts, mistakes, png

CLASSES = ["a", "b", "c"]
LABELS, PREDICTED = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 1, 0, 0, 2])


def test_confusion_counts_by_hand():
    assert confusion_counts(LABELS, PREDICTED, 3).tolist() == [[1, 1, 0], [2, 1, 0], [0, 0, 1]]


def test_confused_pairs_most_frequent_first():
    assert confused_pairs(LABELS, PREDICTED, CLASSES) == [("b", "a", 2), ("a", "b", 1)]


@pytest.mark.parametrize("predicted", [LABELS, 2 - LABELS])
def test_mistakes_can_be_drawn_with_none_and_with_many(predicted):
    images, probabilities = np.zeros((6, 28, 28), np.uint8), np.full((6, 3), 1 / 3)
    assert png(mistakes(images, LABELS, predicted, probabilities, CLASSES, "title")).startswith(b"\x89PNG")
