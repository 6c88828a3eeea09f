import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from emnist.data.sources.glyphs import FONT_FOLDER
from emnist.inference.character import NoCharacter
from emnist.inference.sheet import find_characters
from tests.fixtures.pictures import on_paper

LINES = ["ABCDE", "1234", "ijkmn"]


def page(lines: list[str], size: int = 60, angle: float = 0) -> np.ndarray:
    """Lines of letters that stand apart, white on black."""
    image = Image.new("L", (12 * size, 3 * size * len(lines) + size), 0)
    face = ImageFont.truetype(str(FONT_FOLDER / "DejaVuSans.ttf"), size)
    for row, line in enumerate(lines):
        for column, text in enumerate(line):
            ImageDraw.Draw(image).text(((2 * column + 1.5) * size, (3 * row + 2) * size), text, 255, face, anchor="ms")
    return np.asarray(image.rotate(angle), np.float32)


def alone(text: str) -> np.ndarray:
    (_, image), *others = find_characters(page([text]))
    assert not others
    return image


@pytest.mark.parametrize("angle", [0, 3, -3])
def test_characters_in_reading_order(angle):
    found = find_characters(page(LINES, angle=angle))
    assert len(found) == 14
    if angle == 0:  # turned letters are others
        for text, (_, image) in zip("".join(LINES), found, strict=True):
            assert np.abs(image.astype(int) - alone(text)).mean() < 3, text
    lefts = [box.left for box, _ in found]
    starts = [i for i in range(1, 14) if lefts[i] < lefts[i - 1]]
    assert starts == [5, 9]  # of the second and third line


def test_boxes_hold_the_ink():
    picture = page(LINES)
    boxes = [box for box, _ in find_characters(picture)]
    inside = np.zeros(picture.shape, bool)
    for box in boxes:
        inside[box.top : box.bottom, box.left : box.right] = True
    assert picture[~inside].max() < 140
    letters = [(box.width, box.height) for box in boxes]
    assert all(5 <= width <= 60 and 30 <= height <= 60 for width, height in letters)


def test_dots_belong_to_their_letters():
    found = find_characters(page(["ij:n"]))
    assert len(found) == 3  # a colon is none of the classes
    i, j, *_ = found
    assert i[0].height > 40
    assert j[0].height > 50


def test_a_photographed_page():
    random = np.random.default_rng(0)
    found = find_characters(on_paper(page(LINES, angle=2), random))
    assert len(found) == 14
    large = on_paper(page(LINES, size=250), random)
    boxes = [box for box, _ in find_characters(large)]
    assert len(boxes) == 14
    assert 120 < boxes[0].height < 250  # in pixels of the file


def test_empty_pages():
    for empty in (np.full((300, 200), 255.0, np.float32), np.random.default_rng(0).normal(200, 5, (300, 200))):
        with pytest.raises(NoCharacter, match="no characters found"):
            find_characters(empty.astype(np.float32))
    with pytest.raises(NoCharacter, match="2 × 300 pixels are too few"):
        find_characters(np.zeros((300, 2), np.float32))
