import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from emnist.data.character import NoCharacter
from emnist.data.sources.glyphs import FONT_FOLDER
from emnist.inference import sheet
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


@pytest.mark.parametrize("lines", [LINES, ["ABCDE"]])
def test_the_shadow_of_a_spine_and_a_dark_desk(lines):
    base = on_paper(page(lines), np.random.default_rng(0))
    spine = base.copy()
    spine[:, :25] = 0
    desk = np.pad(base, 250, constant_values=60)
    beside = np.pad(base, ((0, 0), (0, 200)), constant_values=60)
    boxes = [box for box, _ in find_characters(base)]
    for picture, shift in ((spine, 0), (desk, 250), (255 - desk, 250), (beside, 0)):
        found = [box for box, _ in find_characters(picture)]
        assert len(found) == len(boxes)
        assert all(abs(a.left - b.left - shift) <= 5 for a, b in zip(found, boxes, strict=True))


def test_a_smudge_is_skipped(monkeypatch):
    picture = page(["ABC"])
    first, _, third = find_characters(picture)
    outcomes = iter([first[1], None, third[1]])

    def normalize(ink):
        image = next(outcomes)
        if image is None:
            raise NoCharacter("no character found")
        return image

    monkeypatch.setattr(sheet, "emnist_image", normalize)
    assert [box for box, _ in find_characters(picture)] == [first[0], third[0]]


def test_a_page_of_many_letters():
    dotted = np.zeros((1500, 2000), np.float32)
    for row in range(15):
        for column in range(20):
            top, left = 100 * row + 20, 100 * column + 30
            dotted[top : top + 8, left : left + 8] = dotted[top + 16 : top + 60, left : left + 8] = 255
    assert len(find_characters(dotted)) == 300


def test_empty_pages():
    for empty in (np.full((300, 200), 255.0, np.float32), np.random.default_rng(0).normal(200, 5, (300, 200))):
        with pytest.raises(NoCharacter, match="no characters found"):
            find_characters(empty.astype(np.float32))
    with pytest.raises(NoCharacter, match="2 × 300 pixels are too few"):
        find_characters(np.zeros((300, 2), np.float32))
