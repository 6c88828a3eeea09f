import numpy as np
from PIL import Image, ImageDraw

from emnist.data.character import normalize_character
from tests.fixtures.javascript import call_javascript, needs_node

NORMALIZE = """(drawings) => drawings.map(({ width, height, ink }) =>
    normalizeCharacter({ data: Float32Array.from(ink, (byte) => byte / 255), width, height }))"""


def drawings(count: int) -> list[np.ndarray]:
    """Random strokes of random widths on sheets of random sizes, uint8 [H, W], smooth at the edges."""
    random = np.random.default_rng(0)
    sheets = []
    for _ in range(count):
        width, height = random.integers(40, 400, 2)
        sheet = Image.new("L", (4 * int(width), 4 * int(height)))
        pen = int(random.integers(4, 100))
        for _ in range(random.integers(1, 4)):
            points = random.uniform(0, 1, (random.integers(2, 6), 2)) * sheet.size
            ImageDraw.Draw(sheet).line([(float(x), float(y)) for x, y in points], 255, pen, "curve")
        sheets.append(np.asarray(sheet.resize((int(width), int(height)), Image.Resampling.BOX)))
    return sheets


@needs_node
def test_drawings_become_the_same_images_as_in_python():
    sheets = drawings(200)
    expected = np.stack([normalize_character(sheet.astype(np.float32) / 255) for sheet in sheets])
    given = [{"width": s.shape[1], "height": s.shape[0], "ink": s.flatten().tolist()} for s in sheets]
    images = np.array(call_javascript(NORMALIZE, given, "character.js")).reshape(-1, 28, 28)
    difference = np.abs(images - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


@needs_node
def test_a_dot_and_nothing():
    sheets = np.zeros((2, 50, 70))
    sheets[1, 20, 30] = 255
    given = [{"width": 70, "height": 50, "ink": sheet.flatten().tolist()} for sheet in sheets]
    nothing, dot = call_javascript(NORMALIZE, given, "character.js")
    assert nothing is None
    assert np.abs(np.array(dot).reshape(28, 28) - normalize_character(sheets[1] / 255)).max() <= 1


@needs_node
def test_halves_are_rounded_as_in_python():
    numbers = [0.5, 1.5, 2.5, 143.5, 2.4, 2.6]
    assert call_javascript("(numbers) => numbers.map(roundToEven)", numbers, "character.js") == list(
        map(round, numbers)
    )
