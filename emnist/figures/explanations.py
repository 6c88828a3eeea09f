"""Characters under the heat maps of what speaks for a class."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from emnist.figures.run import label_font
from emnist.figures.style import RIGHT, WRONG

TIMES = 4  # a pixel of a character
SIDE = 28 * TIMES
TEXT = 18  # pixels below each
GAP = 10
HEAT = np.array([230, 81, 0], np.float32)  # orange, which shows on ink and on paper


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """uint8 [28, 28] and float [28, 28] from 0 to 1 → uint8 [H, W, 3], ink black, `TIMES` times as large."""
    size = (SIDE, SIDE)
    ink = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC), np.float32)
    smooth = np.asarray(Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    base = 255 - 0.75 * ink[..., None]  # so that the heat shows on ink
    alpha = 0.75 * np.clip(smooth, 0, 1)[..., None]
    return np.round(base * (1 - alpha) + HEAT * alpha).astype(np.uint8)


def sheet(
    pictures: Sequence[Sequence[np.ndarray]], texts: Sequence[Sequence[str]], right: Sequence[Sequence[bool | None]]
) -> np.ndarray:
    """Rows of overlays with a text below each, green, red or (None) grey: uint8 [H, W, 3]."""
    width = max(map(len, pictures), default=1)
    canvas = Image.new("RGB", (width * (SIDE + GAP) + GAP, len(pictures) * (SIDE + TEXT + GAP) + GAP), "white")
    draw, font = ImageDraw.Draw(canvas), label_font(13)
    colors = {True: RIGHT, False: WRONG, None: "#555555"}
    for row, line in enumerate(pictures):
        for column, picture in enumerate(line):
            left, top = GAP + column * (SIDE + GAP), GAP + row * (SIDE + TEXT + GAP)
            canvas.paste(Image.fromarray(picture), (left, top))
            draw.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), outline="#dddddd")
            text, color = texts[row][column], colors[right[row][column]]
            draw.text((left + SIDE // 2, top + SIDE + TEXT // 2), text, fill=color, font=font, anchor="mm")
    return np.asarray(canvas)


def explanations(
    images: np.ndarray,
    maps: np.ndarray,
    texts: Sequence[str],
    right: Sequence[bool | None],
    title: str,
    columns: int = 8,
) -> Figure:
    """Images uint8 [N, 28, 28] under their maps float [N, 28, 28], in rows."""
    pictures = [overlay(image, heat) for image, heat in zip(images, maps, strict=True)]

    def rows(values):
        return [values[i : i + columns] for i in range(0, len(values), columns)]

    return titled(sheet(rows(pictures), rows(texts), rows(right)), title)


def side_by_side(
    images: np.ndarray,
    maps: Mapping[str, np.ndarray],
    texts: Mapping[str, Sequence[str]],
    right: Mapping[str, Sequence[bool]],
    title: str,
) -> Figure:
    """The same images in columns under the maps of several networks, a row each, and as they are in the first.

    `texts` by the name of the network, and by "" those of the first row.
    """
    plain = [overlay(image, np.zeros((28, 28))) for image in images]
    pictures = [plain] + [[overlay(*pair) for pair in zip(images, one, strict=True)] for one in maps.values()]
    names = list(maps)
    below = [texts[""], *(texts[name] for name in names)]
    verdicts: list[Sequence[bool | None]] = [[None] * len(images), *(right[name] for name in names)]
    grid = sheet(pictures, below, verdicts)
    figure = titled(grid, title, left=70)
    for row, name in enumerate(["", *names]):
        y = grid.shape[0] - (GAP + row * (SIDE + TEXT + GAP) + SIDE / 2)  # from the bottom
        position = 8 / (figure.get_figwidth() * 100), y / (figure.get_figheight() * 100)
        figure.text(*position, name, fontsize=11, va="center")
    return figure


def titled(grid: np.ndarray, title: str, left: int = 0) -> Figure:
    """uint8 [H, W, 3], pixel by pixel, under a title and beside an empty margin of `left` pixels."""
    lines = title.splitlines()
    height, width = grid.shape[0], max(grid.shape[1], 8 * max(map(len, lines)))  # of a letter
    top = 14 + 18 * len(lines)
    figure = Figure(figsize=((width + left) / 100, (height + top) / 100))
    figure.suptitle(title, fontsize=11, y=1 - 8 / (height + top), va="top")
    figure.figimage(grid, xo=left)
    return figure


def label_of(classes: Sequence[str], true: int | None, probabilities: np.ndarray) -> str:
    """The predicted class and its probability, after the true one if it is known and another: "9→q (87%)"."""
    guess = int(probabilities.argmax())
    before = "" if true is None or true == guess else f"{classes[true]}→"
    return f"{before}{classes[guess]} ({probabilities[guess]:.0%})"
