import numpy as np
from PIL import Image

from emnist.figures.pictures import as_pictures, fitted, short


def test_ink_is_shown_dark_on_white_and_pictures_as_they_are():
    ink = np.zeros((3, 28, 28), np.uint8)
    ink[:, 10:15] = 255
    assert np.array_equal(as_pictures(ink), 255 - ink)
    photographs = np.full((3, 28, 28), 100, np.uint8)
    assert np.array_equal(as_pictures(photographs), photographs)
    colours = np.zeros((3, 3, 20, 30), np.uint8)
    colours[:, 1] = 7
    assert as_pictures(colours).shape == (3, 20, 30, 3)
    assert as_pictures(colours)[0, 4, 5].tolist() == [0, 7, 0]
    assert as_pictures(ink[:0]).shape == (0, 28, 28)


def test_pictures_fit_and_keep_their_proportions():
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    large = fitted(picture, 8)
    assert large.size == (8, 6)
    assert np.array_equal(np.asarray(large)[::2, ::2], picture)
    assert fitted(np.zeros((100, 20, 3), np.uint8), 56).size == (11, 56)
    assert isinstance(fitted(np.zeros((1, 500), np.uint8), 56), Image.Image)


def test_names_are_cut():
    assert short("Sandal", 6) == "Sandal"
    assert short("Sneaker", 6) == "Sneak…"
