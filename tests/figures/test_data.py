import numpy as np
import pytest

from emnist.figures.data import PER_LINE, Tile, class_counts, in_rows, tiles

BLACK = np.zeros((28, 28), np.uint8)
RED = np.zeros((40, 20, 3), np.uint8)
RED[..., 0] = 255


def pixels(figure) -> np.ndarray:
    """Of the sheet in the figure."""
    return figure.images[0].get_array()


@pytest.mark.parametrize("classes", [2, 10, 47, 100])
def test_sheets_hold_all_rows(classes):
    sheet = pixels(in_rows([(f"class {i}", [BLACK] * PER_LINE) for i in range(classes)], "title"))
    dark = (sheet.max(2) < 10).sum() / 56**2
    columns = 1 if classes <= 12 else -(-classes // 32)
    assert dark == pytest.approx(classes * (PER_LINE // columns), rel=0.08)  # frames; letters


def test_long_names_are_cut():
    wide, short = (pixels(in_rows([(name, [BLACK])], "t")).shape[1] for name in ("a" * 200, "a" * 5))
    assert wide - short < 130


def test_colours_stay_as_they_are():
    sheet = pixels(tiles([Tile([RED], "a")], 1, "title"))
    assert ((sheet == [255, 0, 0]).all(2)).sum() > 1000


def test_texts_do_not_overlap():
    narrow, wide = (
        pixels(tiles([Tile([BLACK], text)] * 3, 3, "title")).shape[1] for text in ("a", "a long text below")
    )
    assert wide > narrow + 3 * 20


def test_counts_of_long_names():
    figure = class_counts(np.array([3, 5]), np.array([1, 0]), ["a boot", "a bag"], "title")
    figure.draw_without_rendering()
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["a boot", "a bag"]
