import numpy as np
import pytest

from emnist.figures.explanations import SIDE, explanations, label_of, overlay

IMAGE = np.zeros((28, 28), np.uint8)
IMAGE[10:18, 4:12] = 255
PICTURE = 255 - IMAGE


def test_heat_shows_on_ink_and_on_paper():
    cold, warm = overlay(PICTURE, np.zeros((28, 28))), overlay(PICTURE, np.ones((28, 28)))
    assert cold.shape == (SIDE, SIDE, 3)
    assert (cold[0, 0] == 255).all()
    ink = cold[14 * 4, 8 * 4]
    assert (ink < 80).all()
    for place in (0, 0), (14 * 4, 8 * 4):
        red, _, blue = warm[place].astype(int)
        assert red - blue > 100


@pytest.mark.parametrize("count", [1, 3, 20])
def test_the_title_fits_however_few_pictures_there_are(count):
    title = (
        "a title of which not a letter may be lost, since it names the data\nEMNIST balanced, not the official split"
    )
    figure = explanations(np.stack([IMAGE] * count), np.zeros((count, 28, 28)), ["a"] * count, [True] * count, title)
    figure.draw_without_rendering()
    box = figure._suptitle.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def test_labels():
    probabilities = np.array([0.1, 0.7, 0.2])
    assert label_of("9qz", 0, probabilities) == "9→q (70%)"
    assert label_of("9qz", 1, probabilities) == "q (70%)"
    assert label_of("9qz", None, probabilities) == "q (70%)"
