import numpy as np
import pytest

from emnist.figures.run import augmented, mistakes
from emnist.figures.style import to_png

LABELS = np.array([0, 0, 1, 1, 1, 2])


@pytest.mark.parametrize("predicted", [LABELS, 2 - LABELS])
def test_mistakes_can_be_drawn_with_none_and_with_many(predicted):
    images, probabilities = np.zeros((6, 28, 28), np.uint8), np.full((6, 3), 1 / 3)
    assert to_png(mistakes(images, LABELS, predicted, probabilities, ["a", "b", "c"], "title")).startswith(b"\x89PNG")


def test_augmented_examples_name_the_shares_of_mixed_classes():
    images = np.zeros((2, 3, 28, 28), np.uint8)
    own = np.eye(3)
    plain = augmented(images, np.stack([own, own]), ["a", "b", "c"], "title")
    mixed = augmented(images, np.stack([own, 0.7 * own + 0.3 * own[::-1]]), ["a", "b", "c"], "title")
    assert "share" not in plain.get_suptitle()
    assert mixed.get_suptitle().endswith("with the share of each class")
    assert to_png(mixed) != to_png(plain)
