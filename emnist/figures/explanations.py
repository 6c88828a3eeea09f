"""Characters under the heat maps of what speaks for a class."""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from emnist.figures.pictures import LONGEST, as_pictures, short
from emnist.figures.run import label_font
from emnist.figures.style import RIGHT, WRONG

SIDE = 4 * 28  # pixels of the longer side of an image
TEXT = 18  # pixels below each
GAP = 10
HEAT = np.array([230, 81, 0], np.float32)  # orange, which shows on ink and on paper


def overlay(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """uint8 [H, W] or [H, W, 3] and float [H, W] from 0 to 1 → uint8 [., ., 3], the longer side of `SIDE` pixels."""
    height, width = heat.shape
    size = (max(1, round(width * SIDE / max(heat.shape))), max(1, round(height * SIDE / max(heat.shape))))
    large = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC), np.float32)
    smooth = np.asarray(Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    base = 64 + 0.75 * (large if large.ndim == 3 else large[..., None])  # so that the heat shows on ink
    alpha = 0.75 * np.clip(smooth, 0, 1)[..., None]
    return np.round(base * (1 - alpha) + HEAT * alpha).astype(np.uint8)


def sheet(
    pictures: Sequence[Sequence[np.ndarray]], texts: Sequence[Sequence[str]], right: Sequence[Sequence[bool | None]]
) -> np.ndarray:
    """Rows of overlays with a text below each, green, red or (None) grey: uint8 [H, W, 3]."""
    columns, font = max(map(len, pictures), default=1), label_font(13)
    side = max(SIDE, *(ceil(font.getlength(text)) for line in texts for text in line), 0)
    canvas = Image.new("RGB", (columns * (side + GAP) + GAP, len(pictures) * (SIDE + TEXT + GAP) + GAP), "white")
    draw = ImageDraw.Draw(canvas)
    colors = {True: RIGHT, False: WRONG, None: "#555555"}
    for row, line in enumerate(pictures):
        for column, picture in enumerate(line):
            left, top = GAP + column * (side + GAP) + (side - SIDE) // 2, GAP + row * (SIDE + TEXT + GAP)
            height, width = picture.shape[:2]
            canvas.paste(Image.fromarray(picture), (left + (SIDE - width) // 2, top + (SIDE - height) // 2))
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
    """Images uint8 [N, H, W] or [N, 3, H, W] under their maps float [N, H, W], in rows."""
    pictures = [overlay(picture, heat) for picture, heat in zip(as_pictures(images), maps, strict=True)]

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
    shown = as_pictures(images)
    plain = [overlay(picture, np.zeros(picture.shape[:2])) for picture in shown]
    pictures = [plain] + [[overlay(*pair) for pair in zip(shown, one, strict=True)] for one in maps.values()]
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
    before = "" if true is None or true == guess else f"{short(classes[true], 6)}→"
    return f"{before}{short(classes[guess], 6 if before else LONGEST)} ({probabilities[guess]:.0%})"
