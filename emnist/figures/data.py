"""The figures of a data set. Each function draws one and names the data in its title."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from emnist.figures.explanations import titled
from emnist.figures.run import label_font
from emnist.figures.style import PART_COLORS, PART_NAMES

SIDE = 56  # pixels of a picture: those of EMNIST twice as large
GAP = 4
MARGIN = 10
TEXT = 20  # pixels below a picture
GREY = "#555555"
LONGEST = 120  # pixels of a name beside a row
PER_LINE = 24  # pictures across a sheet of rows
TALLEST = 32  # rows below each other


@dataclass(frozen=True)
class Tile:
    """Pictures side by side that belong together, with a text below."""

    images: Sequence[np.ndarray]  # uint8 [H, W] or [C, H, W]
    text: str
    color: str = GREY


def in_rows(rows: Sequence[tuple[str, Sequence[np.ndarray]]], title: str) -> Figure:
    """Rows of images, each with a name on its left; many rows stand beside each other, with fewer images each."""
    columns = 1 if len(rows) <= PER_LINE // 2 else -(-len(rows) // TALLEST)
    height = -(-len(rows) // columns)
    rows = [(name, images[: PER_LINE // columns]) for name, images in rows]
    font = label_font(17)
    names = [_shortened(name, font) for name, _ in rows]
    left = round(max(map(font.getlength, names), default=0)) + 2 * MARGIN
    longest = max((len(images) for _, images in rows), default=0)
    width = left + longest * (SIDE + GAP) + MARGIN
    canvas = Image.new("RGB", (columns * width, height * (SIDE + GAP) + MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    for i, (name, (_, images)) in enumerate(zip(names, rows, strict=True)):
        x, y = i // height * width, i % height * (SIDE + GAP) + GAP
        draw.text((x + left - MARGIN, y + SIDE // 2), name, fill="black", font=font, anchor="rm")
        for j, image in enumerate(images):
            _paste(canvas, image, x + left + j * (SIDE + GAP), y)
    return titled(np.asarray(canvas), title)


def tiles(tiles: Sequence[Tile], columns: int, title: str) -> Figure:
    """Pictures with texts below, in rows."""
    side = 84 if any(len(tile.images) > 1 for tile in tiles) else 72
    widest = max((len(tile.images) for tile in tiles), default=1)
    width, height = widest * (side + GAP) + 2 * MARGIN, side + TEXT + MARGIN
    columns = min(columns, max(1, len(tiles)))
    canvas = Image.new("RGB", (columns * width, -(-len(tiles) // columns) * height), "white")
    draw, font = ImageDraw.Draw(canvas), label_font(13)
    for i, tile in enumerate(tiles):
        x, y = i % columns * width + MARGIN, i // columns * height
        for j, image in enumerate(tile.images):
            _paste(canvas, image, x + j * (side + GAP), y, side)
        middle = x + (len(tile.images) * (side + GAP) - GAP) // 2
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


def _shortened(name: str, font) -> str:
    if font.getlength(name) <= LONGEST:
        return name
    while font.getlength(f"{name}…") > LONGEST:
        name = name[:-1]
    return f"{name}…"


def _paste(canvas: Image.Image, image: np.ndarray, x: int, y: int, side: int = SIDE) -> None:
    """Grey images with dark ink, colours as they are, the longer side `side` pixels."""
    if image.ndim == 3:
        image = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    picture = Image.fromarray(255 - image if image.ndim == 2 else image).convert("RGB")
    times = side / max(picture.size)
    size = max(1, round(picture.width * times)), max(1, round(picture.height * times))
    picture = picture.resize(size, Image.Resampling.BICUBIC if times > 1 else Image.Resampling.BOX)
    canvas.paste(picture, (x + (side - size[0]) // 2, y + (side - size[1]) // 2))
    ImageDraw.Draw(canvas).rectangle((x, y, x + side - 1, y + side - 1), outline="#dddddd")
