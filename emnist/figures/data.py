"""The figures of a data set. Each function draws one and names the data in its title.

Pictures are uint8 [H, W] or [H, W, 3], as `as_pictures` makes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from emnist.figures.explanations import titled
from emnist.figures.pictures import fitted, short
from emnist.figures.run import label_font
from emnist.figures.style import PART_COLORS, PART_NAMES

SIDE = 56  # pixels of a picture: those of EMNIST twice as large
GAP = 4
MARGIN = 10
TEXT = 20  # pixels below a picture
GREY = "#555555"
LETTERS = 16  # of a name beside a row
PER_LINE = 24  # pictures across a sheet of rows
TALLEST = 32  # rows below each other


@dataclass(frozen=True)
class Tile:
    """Pictures side by side that belong together, with a text below."""

    pictures: Sequence[np.ndarray]
    text: str
    color: str = GREY


def in_rows(rows: Sequence[tuple[str, Sequence[np.ndarray]]], title: str) -> Figure:
    """Rows of pictures, each with a name on its left; many rows stand beside each other, with fewer pictures each."""
    columns = 1 if len(rows) <= PER_LINE // 2 else -(-len(rows) // TALLEST)
    height = -(-len(rows) // columns)
    rows = [(short(name, LETTERS), pictures[: PER_LINE // columns]) for name, pictures in rows]
    font = label_font(17)
    left = ceil(max((font.getlength(name) for name, _ in rows), default=0)) + 2 * MARGIN
    longest = max((len(pictures) for _, pictures in rows), default=0)
    width = left + longest * (SIDE + GAP) + MARGIN
    canvas = Image.new("RGB", (columns * width, height * (SIDE + GAP) + MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    for i, (name, pictures) in enumerate(rows):
        x, y = i // height * width, i % height * (SIDE + GAP) + GAP
        draw.text((x + left - MARGIN, y + SIDE // 2), name, fill="black", font=font, anchor="rm")
        for j, picture in enumerate(pictures):
            _paste(canvas, picture, x + left + j * (SIDE + GAP), y, SIDE)
    return titled(np.asarray(canvas), title)


def tiles(tiles: Sequence[Tile], columns: int, title: str) -> Figure:
    """Pictures with texts below, in rows."""
    side, font = 3 * SIDE // 2, label_font(13)
    of_pictures = max((len(tile.pictures) for tile in tiles), default=1) * (side + GAP) - GAP
    width = max(of_pictures, *(ceil(font.getlength(tile.text)) for tile in tiles), 0) + 2 * MARGIN
    height, columns = side + TEXT + MARGIN, min(columns, max(1, len(tiles)))
    canvas = Image.new("RGB", (columns * width, -(-len(tiles) // columns) * height), "white")
    draw = ImageDraw.Draw(canvas)
    for i, tile in enumerate(tiles):
        middle, y = i % columns * width + width // 2, i // columns * height
        x = middle - (len(tile.pictures) * (side + GAP) - GAP) // 2
        for j, picture in enumerate(tile.pictures):
            _paste(canvas, picture, x + j * (side + GAP), y, side)
        draw.text((middle, y + side + TEXT // 2), tile.text, fill=tile.color, font=font, anchor="mm")
    return titled(np.asarray(canvas), title)


def class_counts(train: np.ndarray, test: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """Images of each class, int64 [classes] each."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.add_subplot()
    places = np.arange(len(classes))
    for shift, part, counts in ((-0.2, "train", train), (0.2, "test", test)):
        name = PART_NAMES[part].split()[0]
        axes.bar(places + shift, counts, 0.4, color=PART_COLORS[part], label=f"{name}: {counts.sum():,}")
    long = max(map(len, classes)) > 2
    axes.set_xticks(places, classes, fontsize=9, rotation=40 if long else 0, ha="right" if long else "center")
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.8, len(classes) - 0.2)
    axes.set_ylabel("images")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    return figure


def _paste(canvas: Image.Image, picture: np.ndarray, x: int, y: int, side: int) -> None:
    """A picture in the middle of a square with a thin frame."""
    fit = fitted(picture, side)
    canvas.paste(fit, (x + (side - fit.width) // 2, y + (side - fit.height) // 2))
    ImageDraw.Draw(canvas).rectangle((x, y, x + side - 1, y + side - 1), outline="#dddddd")
