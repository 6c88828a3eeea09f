import numpy as np
import pytest

from emnist.figures.run import mistakes
from emnist.figures.style import to_png

LABELS = np.array([0, 0, 1, 1, 1, 2])


@pytest.mark.parametrize("predicted", [LABELS, 2 - LABELS])
def test_mistakes_can_be_drawn_with_none_and_with_many(predicted):
    images, probabilities = np.zeros((6, 28, 28), np.uint8), np.full((6, 3), 1 / 3)
    assert to_png(mistakes(images, LABELS, predicted, probabilities, ["a", "b", "c"], "title")).startswith(b"\x89PNG")
